"""A predictor whose ports change, as when its orchestrator comes or goes: no route may lead to a port that a pod lacks.

Its Service keeps an old port as long as a route leads there. A Deployment that would close such a port waits until the
route leads to another, which can be moved first when the pods that run listen there already. Where they do not, the
Service finds the port of each pod by its name, so that one old port leads to old and to new pods. The same holds for a
node that gets another place in its graph: orchestrators of before and of now ask it at two ports.

A port of a Service keeps its name as long as it stands: EndpointSlices know ports by their names, and one that is
renamed leads nowhere until they follow. So a new port is `http-9001` where `http` is still an old one's. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.deployment.drift import signed
from controller.deployment.names import ENGINE
from controller.deployment.observed import Object

Address = tuple[str, int]
"""Host and port of a destination."""
SERVED = ("http", "grpc")
"""Names of ports that answer predictions."""


def destinations(route: Object | None) -> Iterator[tuple[Address, int]]:
    """Walk the destinations of all routes of a VirtualService with their weights; a copy counts as 100."""
    for http in (route or {}).get("spec", {}).get("http") or ():
        targets = [(each["destination"], int(each.get("weight") or 0)) for each in http.get("route") or ()]
        if len(targets) == 1:
            targets = [(targets[0][0], 100)]
        copies = [http["mirror"]] if http.get("mirror") else []
        copies += [each["destination"] for each in http.get("mirrors") or ()]
        for target, weight in (*targets, *((each, 100) for each in copies)):
            yield (target["host"], int((target.get("port") or {}).get("number") or 0)), weight


def weights(route: Object | None) -> dict[Address, int]:
    """Return what a VirtualService sends to each host and port."""
    return {address: weight for address, weight in destinations(route) if weight}


def in_use(route: Object | None, host: str) -> frozenset[int]:
    """Return the ports of a host that a route leads to."""
    return frozenset(port for (target, port), _ in destinations(route) if target == host)


def widened(
    service: Mapping[str, Any],
    live: Object | None,
    used: frozenset[int],
    *,
    fronts: Sequence[tuple[Object, Object]] = (),
    hold: bool = False,
) -> Mapping[str, Any]:
    """Return a Service that also keeps the live ports which are used.

    Args:
        service: as it should be in the end.
        live: as it is.
        used: ports of it that somebody asks: those that the live route leads to.
        fronts: the Deployments behind it, as they should be and as they are.
        hold: keep also ports that no route leads to any more: who routes may not know yet.
    """
    return _with(service, live, service["spec"]["ports"], _kept(service, live, used, fronts, hold=hold))


def steady(service: Mapping[str, Any], live: Object | None) -> Mapping[str, Any]:
    """Return a Service with no port but its own, under the names that they have by now."""
    return _with(service, live, service["spec"]["ports"], ())


def bridged(service: Mapping[str, Any], live: Object | None, behind: Sequence[Object]) -> Mapping[str, Any]:
    """Return a node's Service while orchestrators of before and of now ask it, each at the port that it knows.

    Both ports lead to old and to new pods by their name, where each pod has one node with a port of that name. A name
    is looked up from the first container to the last, and an orchestrator beside a node is the last.

    Args:
        service: as it should be in the end.
        live: as it is.
        behind: the Deployments that it selects, as they should be and as they are.
    """
    kept = _kept(service, live, frozenset(), (), hold=True)
    shared = {name for name in SERVED if all(_of_nodes(each).count(name) == 1 for each in behind)}
    shared &= {_origin(each) for each in kept}
    old, new = (
        [{**each, "targetPort": _origin(each)} if _origin(each) in shared else each for each in ports]
        for ports in (kept, service["spec"]["ports"])
    )
    return _with(service, live, new, old)


def _kept(
    service: Mapping[str, Any],
    live: Object | None,
    used: frozenset[int],
    fronts: Sequence[tuple[Object, Object]],
    *,
    hold: bool,
) -> list[dict[str, Any]]:
    """Return the live ports that must stay."""
    new = {each["port"]: each["name"] for each in service["spec"]["ports"]}
    kept = []
    for each in _ports(live):
        if each["port"] in new or not (hold or each["port"] in used):
            continue
        follower = next((port for port, known in new.items() if known == _origin(each)), 0)
        target = _shared_name(fronts, each["port"], follower) or each.get("targetPort", each["port"])
        kept.append({**each, "targetPort": target})
    return kept


def _ports(service: Object | None) -> Sequence[Mapping[str, Any]]:
    return (service or {}).get("spec", {}).get("ports") or ()


def _origin(port: Mapping[str, Any]) -> str:
    """Return the name that a Service's port would have if it were alone: `http` for `http-9001`."""
    return str(port.get("name") or "").partition("-")[0]


def _with(
    service: Mapping[str, Any],
    live: Object | None,
    new: Sequence[Mapping[str, Any]],
    old: Sequence[Mapping[str, Any]],
) -> Mapping[str, Any]:
    """Return a Service with its ports and those of before; none that stands is renamed."""
    known = {each["port"]: each.get("name") for each in _ports(live)}
    taken = {each["name"] for each in old}
    fields = ("name", "port", "targetPort", "protocol")
    ports = [{name: each[name] for name in fields if name in each} for each in old]
    for place, each in enumerate(new):
        longer = f"{each['name']}-{each['port']}"
        keeps = known.get(each["port"]) == longer or each["name"] in taken
        ports.insert(place, {**each, "name": longer if keeps else each["name"]})
    if ports == service["spec"]["ports"]:
        return service
    return signed({**service, "spec": {**service["spec"], "ports": ports}})


def _shared_name(fronts: Sequence[tuple[Object, Object]], old: int, new: int) -> str:
    """Return the name (`http`, `grpc`) of a port of the pods that run, which those to come have at another number.

    Empty where the pods that run listen at the new port already: then the route is moved first. The orchestrator's port
    is no such port: its name is that of metrics, which each node has, too.
    """
    for desired, live in fronts:
        name, names = _named(live).get(old, ""), list(_named(desired).values())
        if name in SERVED and not listens(live, new) and names.count(name) == 1:
            return name
    return ""


def listens(deployment: Object, port: int) -> bool:
    """Return whether a Deployment's pods have a container with this port."""
    return port in _named(deployment)


def closes(
    desired: Object, live: Object | None, route: Object | None, host: str, services: tuple[Object, Object | None]
) -> bool:
    """Return whether a Deployment's update would close a port that the live route leads to, and waiting can help.

    Args:
        desired: the Deployment as it should be.
        live: as it is.
        route: the live route.
        host: under which the route names the Deployment's Service.
        services: that Service, as it should be and as it is: what it finds by name is not closed.
    """
    wanted, service = services
    if live is None:
        return False
    used = {port for (target, port), weight in destinations(route) if target == host and weight}
    names = set(_named(desired).values())
    before = {each["port"]: each for each in _ports(service)}
    after = {each["name"]: each["port"] for each in wanted["spec"]["ports"]}
    helped = []
    for port in used & (_named(live).keys() - _named(desired).keys()):
        entry = before.get(port) or {}
        follower = after.get(_origin(entry), 0)
        if entry.get("targetPort") not in names:
            helped.append(listens(live, follower) or bool(_shared_name([(desired, live)], port, follower)))
    return bool(helped) and all(helped)


def is_led_to(service: Object | None, port: int, reached: frozenset[tuple[str, int]]) -> bool:
    """Return whether a Service's port leads to pods by now.

    Args:
        service: as it is.
        port: the Service's port.
        reached: names and numbers of the ports in its EndpointSlices.
    """
    entries = [each for each in _ports(service) if each["port"] == port]
    return any(
        each["name"] == name and each.get("targetPort", port) in (number, *SERVED)
        for each in entries
        for name, number in reached
    )


def _named(deployment: Object) -> dict[int, str]:
    """Return the names of the ports of a Deployment's pods, by number."""
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    ports = [port for container in containers for port in container.get("ports") or ()]
    return {port["containerPort"]: port.get("name") or "" for port in ports}


def _of_nodes(deployment: Object) -> list[str]:
    """Return the names of the ports of a Deployment's pods, without those of an orchestrator."""
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    return [port.get("name") or "" for each in containers if each["name"] != ENGINE for port in each.get("ports") or ()]
