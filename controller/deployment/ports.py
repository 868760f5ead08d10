"""A predictor whose ports change, as when its orchestrator comes or goes: no route may lead to a port that a pod lacks.

Its Service keeps an old port as long as a route leads there. A Deployment that would close such a port waits until the
route leads to another, which can be moved first when the pods that run listen there already. Pure.
"""

from collections.abc import Iterator, Mapping
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


def widened(service: Mapping[str, Any], live: Object | None, route: Object | None, host: str) -> Mapping[str, Any]:
    """Return a Service that also keeps the live ports which the live route leads to."""
    new = {each["port"] for each in service["spec"]["ports"]}
    used = {port for (target, port), _ in destinations(route) if target == host}
    kept = [
        {**each, "name": f"{_OLD}{each['name'].removeprefix(_OLD)}"}
        for each in (live or {}).get("spec", {}).get("ports") or ()
        if each["port"] not in new and each["port"] in used
    ]
    if not kept:
        return service
    fields = ("name", "port", "targetPort", "protocol")
    old = [{name: each[name] for name in fields if name in each} for each in kept]
    return signed({**service, "spec": {**service["spec"], "ports": [*service["spec"]["ports"], *old]}})


def listens(deployment: Object, port: int) -> bool:
    """Return whether a Deployment's pods have a container with this port."""
    return port in _open(deployment)


def closes(desired: Object, live: Object | None, route: Object | None, host: str) -> bool:
    """Return whether a Deployment's update would close a port that the live route leads to."""
    if live is None:
        return False
    used = {port for (target, port), weight in destinations(route) if target == host and weight}
    return bool(used & (_open(live) - _open(desired)))


def _open(deployment: Object) -> set[int]:
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    return {port["containerPort"] for container in containers for port in container.get("ports") or ()}
