"""The mesh: Gateways, VirtualServices, DestinationRules, Services and EndpointSlices made true by a real Envoy.

Pure (no I/O, no clock): `objects`, `names`, `destinations`, `matches`, `policies`, `routes`, `clusters`, `listeners`,
`metrics`, `addresses`, `bootstrap`, `status` and `render`, which joins them. Shell: `xds` (files that Envoy watches, in
a safe order), `admin` (what Envoy says of itself), `envoy` (its process) and `shell` (watch, render, write, report).
"""
