"""The node: pods as local processes, each pod on its own loopback address.

`agent` follows the API; a `PodRunner` (pod) lives as long as its pod and runs its containers (container), each a
process session of its own (session). Pure is what needs no process: environment, paths, probe tallies, status.
"""
