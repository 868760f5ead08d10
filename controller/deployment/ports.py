"""A predictor whose ports change, as when its orchestrator comes or goes: no route may lead to a port that a pod lacks.

Its Service keeps an old port as long as a route leads there. A Deployment that would close such a port waits until the
route leads to another, which can be moved first when the pods that run listen there already. Where they do not, the
Service finds the port of each pod by its name, so that one old port leads to old and to new pods. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.deployment.drift import signed
from controller.deployment.observed import Object

Address = tuple[str, int]
"""Host and port of a destination."""
_OLD = "old-"


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


def widened(
    service: Mapping[str, Any],
    live: Object | None,
    route: Object | None,
    host: str,
    *,
    fronts: Sequence[tuple[Object, Object]] = (),
    hold: bool = False,
) -> Mapping[str, Any]:
    """Return a Service that also keeps the live ports which the live route leads to.

    Args:
        service: as it should be in the end.
        live: as it is.
        route: the live route.
        host: under which the route names the Service.
        fronts: the Deployments behind it, as they should be and as they are.
        hold: keep also old ports that no route leads to any more: who routes may not know yet.
    """
    new = {each["port"]: each["name"] for each in service["spec"]["ports"]}
    used = {port for (target, port), _ in destinations(route) if target == host}
    kept = []
    for each in (live or {}).get("spec", {}).get("ports") or ():
        name = each["name"].removeprefix(_OLD)
        if each["port"] in new or not (each["port"] in used or (hold and each["name"] != name)):
            continue
        follower = next((port for port, known in new.items() if known == name), 0)
        target = _shared_name(fronts, each["port"], follower) or each.get("targetPort", each["port"])
        kept.append({**each, "name": f"{_OLD}{name}", "targetPort": target})
    if not kept:
        return service
    fields = ("name", "port", "targetPort", "protocol")
    old = [{name: each[name] for name in fields if name in each} for each in kept]
    return signed({**service, "spec": {**service["spec"], "ports": [*service["spec"]["ports"], *old]}})


def _shared_name(fronts: Sequence[tuple[Object, Object]], old: int, new: int) -> str:
    """Return the name that a port has in pods that listen at the old number, and in those that will at the new one."""
    for desired, live in fronts:
        name = _named(live).get(old, "")
        if name and not listens(live, new) and _named(desired).get(new) == name:
            return name
    return ""


def listens(deployment: Object, port: int) -> bool:
    """Return whether a Deployment's pods have a container with this port."""
    return port in _named(deployment)


def closes(desired: Object, live: Object | None, route: Object | None, host: str, service: Object | None) -> bool:
    """Return whether a Deployment's update would close a port that the live route leads to.

    Args:
        desired: the Deployment as it should be.
        live: as it is.
        route: the live route.
        host: under which the route names the Deployment's Service.
        service: that Service, as it is: what it finds by name is not closed.
    """
    if live is None:
        return False
    used = {port for (target, port), weight in destinations(route) if target == host and weight}
    closed = used & (_named(live).keys() - _named(desired).keys())
    names = set(_named(desired).values())
    found = {
        each["port"] for each in (service or {}).get("spec", {}).get("ports") or () if each.get("targetPort") in names
    }
    return bool(closed - found)


def _named(deployment: Object) -> dict[int, str]:
    """Return the names of the ports of a Deployment's pods, by number."""
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    ports = [port for container in containers for port in container.get("ports") or ()]
    return {port["containerPort"]: port.get("name") or "" for port in ports}
