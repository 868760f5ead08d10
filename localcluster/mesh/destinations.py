"""Destinations: which cluster of Envoy a `destination` of a VirtualService means, and whether it exists."""

from dataclasses import dataclass

from localcluster.mesh.errors import RouteError
from localcluster.mesh.names import ClusterKey, service_of_host
from localcluster.mesh.objects import Key, Object, Snapshot


@dataclass(frozen=True, slots=True)
class Target:
    """Where a share of the requests goes. `problem` says why nobody will answer them, or is empty."""

    key: ClusterKey
    problem: str = ""


def target(destination: Object, namespace: str, at: str, snapshot: Snapshot) -> Target:
    """Resolve a `destination`. One that does not exist still gets a cluster: its share is answered with 503."""
    host = destination.get("host")
    if not isinstance(host, str) or not host:
        raise RouteError(f"{at}.host", "is required: the name of a Service")
    found = service_of_host(host, namespace)
    if found is None:
        return Target(
            ClusterKey("unknown", host.replace("/", "_"), 0),
            f"{at}.host: {host} is not the name of a Service in this cluster",
        )
    subset = str(destination.get("subset") or "")
    wanted = (destination.get("port") or {}).get("number")
    service = snapshot.services.get(found)
    if service is None:
        return Target(
            ClusterKey(*found, int(wanted or 0), subset), f"{at}.host: there is no Service {found[0]}/{found[1]}"
        )
    if wanted is None and len(service.ports) != 1:
        raise RouteError(f"{at}.port", f"is required: Service {found[0]}/{found[1]} has {len(service.ports)} ports")
    number = int(wanted) if wanted is not None else service.ports[0].number
    key = ClusterKey(*found, number, subset)
    if service.port(number) is None:
        ports = ", ".join(str(port.number) for port in service.ports)
        return Target(key, f"{at}.port.number: Service {found[0]}/{found[1]} has no port {number} (it has {ports})")
    if subset and subset_labels(snapshot, found, subset) is None:
        return Target(key, f"{at}.subset: no DestinationRule of {host} has a subset {subset!r}")
    return Target(key)


def subset_of(snapshot: Snapshot, service: Key, subset: str) -> Object | None:
    """The definition of a subset, from the first DestinationRule that has it."""
    for rule in snapshot.rules.get(service, ()):
        for each in (rule.get("spec") or {}).get("subsets") or ():
            if each.get("name") == subset:
                return dict(each)
    return None


def subset_labels(snapshot: Snapshot, service: Key, subset: str) -> dict[str, str] | None:
    """The pod labels of a subset; None if no DestinationRule has it."""
    found = subset_of(snapshot, service, subset)
    return None if found is None else dict(found.get("labels") or {})
