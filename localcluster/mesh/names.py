"""Names: of hosts, as Istio resolves them, and of Envoy's clusters and route tables, as we write them."""

import re
from dataclasses import dataclass

DOMAIN = "svc.cluster.local"
GATEWAY_ROUTES = "gateway"
_POD = re.compile(r"(\d+-\d+-\d+-\d+)\.[^.]+\.pod\.cluster\.local")


@dataclass(frozen=True, slots=True, order=True)
class ClusterKey:
    """One Envoy cluster: the pods behind a Service port, all of them or those of one subset."""

    namespace: str
    service: str
    port: int
    subset: str = ""

    @property
    def name(self) -> str:
        """`ns/service/port[/subset]`. Slashes, because Envoy cuts a cluster's name in its statistics at dots."""
        parts = (self.namespace, self.service, str(self.port), self.subset)
        return "/".join(part for part in parts if part)


def service_routes(namespace: str, service: str, port: int) -> str:
    """The name of the route table that serves a Service's port inside the cluster."""
    return f"service/{namespace}/{service}/{port}"


def file_name(resource: str) -> str:
    """A resource's name as the name of a file: `~` is in no Kubernetes name."""
    return resource.replace("/", "~") + ".json"


def service_of_host(host: str, namespace: str) -> tuple[str, str] | None:
    """The (namespace, name) of the Service that a host means, seen from `namespace`; None for a host elsewhere.

    As Istio does: a name without dots is of the object's own namespace; `a.b`, `a.b.svc` and the full name will do.
    """
    parts = host.lower().split(".")
    if len(parts) == 1:
        return (namespace, parts[0]) if parts[0] and parts[0] != "*" else None
    name, owner, rest = parts[0], parts[1], ".".join(parts[2:])
    if name != "*" and rest in ("", "svc", DOMAIN):
        return (owner, name)
    return None


def full_host(host: str, namespace: str) -> str:
    """A VirtualService's host as Istio reads it: a name without dots is a Service of the same namespace."""
    plain = host.lower()
    return plain if any(each in plain for each in ".*:") or not plain else f"{plain}.{namespace}.{DOMAIN}"


def pod_address(address: str) -> str:
    """An endpoint's address as an IP. A pod's DNS name (`127-1-0-2.ml.pod.cluster.local`) spells its address.

    A real API server takes no loopback address in an EndpointSlice, but such a name (address type FQDN).
    """
    found = _POD.fullmatch(address)
    return found.group(1).replace("-", ".") if found else address


def shared_host(wanted: str, offered: str) -> str | None:
    """The narrower of two host patterns if one contains the other (`*`, `*.example.org`, a plain name), else None."""
    if wanted == offered or _contains(offered, wanted):
        return wanted
    return offered if _contains(wanted, offered) else None


def _contains(pattern: str, host: str) -> bool:
    return pattern == "*" or (pattern.startswith("*.") and host.endswith(pattern[1:]))
