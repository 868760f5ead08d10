"""Users who send back what they were told: they stay with a revision while its weight allows."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controller.kube.resources import VIRTUAL_SERVICE
from simulated.api import NAMESPACE_NAME, Object
from simulated.promises import MOVING
from simulated.shop import NAME, PATH, SESSION

if TYPE_CHECKING:
    from simulated.world import World

MANY = 12
LAZY = 0.4
"""How likely a user asks within five seconds."""


@dataclass(slots=True)
class Met:
    """Whom a user met last and was told to come back to; beside which canary, at what percent, by which rule."""

    host: str
    canary: str
    weight: float
    rule: str


@dataclass(slots=True)
class Stayer:
    """One user."""

    sends: dict[str, str] = field(default_factory=dict)
    met: Met | None = None

    def told(self, response: Object) -> bool:
        """Keep what an answer's headers say; say whether they say anything."""
        if SESSION in (response.get("set") or {}):
            self.sends = {SESSION: response["set"][SESSION]}
        elif "set-cookie" in (response.get("add") or {}):
            self.sends = {"cookie": "theme=dark; " + response["add"]["set-cookie"].split(";", 1)[0]}
        else:
            return False
        return True


class Stayers:
    """A dozen users with a memory. They ask while the rollout has its users stay."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.timeline.chance("stayers")
        self._users = [Stayer() for _ in range(MANY)]

    def ask(self, door: str) -> None:
        """Some of them send a request through a VirtualService."""
        rule = json.dumps(((self._world.live() or {}).get("spec") or {}).get("routing", {}).get("sticky"))
        route = self._world.mesh.effective.get(door)
        if rule == "null" or route is None:
            return
        canary = self._canary(door, route)
        weight = self._world.mesh.shares(door)[0].get(canary, 0.0)
        for user in self._users:
            if not 0 < weight < 100:
                user.met = None
            if self._chance.random() < LAZY:
                self._one(user, door, route, Met("", canary, weight, rule))

    def _canary(self, door: str, route: Object) -> str:
        """The host of the canary beside which users stay; empty where that is in doubt, as when pods were taken."""
        world, status = self._world, self._world.status()
        live = world.api.find(VIRTUAL_SERVICE, door)
        names = [(status.get(role) or {}).get("name") for role in ("stableRevision", "canaryRevision")]
        known = status.get("observedGeneration") == (world.live() or {"metadata": {}})["metadata"].get("generation")
        taken = live is not None and live["metadata"]["generation"] == route["metadata"]["generation"]
        left = status.get("phase") not in MOVING  # nobody stays with what was rejected
        if left or not (known and taken) or None in names or any(world.excused(each) for each in names):
            return ""
        return f"{names[1]}-default.{NAMESPACE_NAME}.svc.cluster.local"

    def _one(self, user: Stayer, door: str, route: Object, now: Met) -> None:
        taken = next(_taking(route, _path(door, self._world.rollout), user.sends), None)
        if taken is None:
            return
        parts = taken["route"]
        part = self._chance.choices(parts, [each.get("weight", 100 if len(parts) == 1 else 0) for each in parts])[0]
        host, before = part["destination"]["host"], user.met
        self._world.users.asked(host)
        told = user.told((part.get("headers") or {}).get("response") or {})
        user.met = replace(now, host=host) if told and now.weight else None
        if before is None or (before.canary, before.rule) != (now.canary, now.rule):
            return
        self._world.reached["sticky", "asked again", "canary" if before.host == now.canary else "stable"] += 1
        if host != before.host and (before.host == now.canary or now.weight <= before.weight):
            said = f"a user of {before.host} at {before.weight} % met {host} at {now.weight} %"
            self._world.promises.broken("a user stays while the weight allows", said)


def _path(door: str, rollout: str) -> str:
    return PATH if door == NAME else f"/seldon/{NAMESPACE_NAME}/{rollout}/api/v1.0/predictions"


def _taking(route: Object, path: str, headers: dict[str, str]) -> Iterator[Object]:
    """The routes that take a request, as Istio matches: in order, the first counts."""
    for http in route["spec"]["http"]:
        if any(_matches(each, path, headers) for each in http.get("match") or [{}]):
            yield http


def _matches(match: Object, path: str, headers: dict[str, str]) -> bool:
    asked: dict[str, Any] = match.get("headers") or {}
    method = match.get("method") or {"exact": "POST"}
    return (
        _text(match.get("uri") or {"prefix": "/"}, path)
        and _text(method, "POST")
        and all(name in headers and _text(want, headers[name]) for name, want in asked.items())
    )


def _text(wanted: Object, value: str) -> bool:
    if "exact" in wanted:
        return bool(value == wanted["exact"])
    if "prefix" in wanted:
        return value.startswith(wanted["prefix"])
    return re.fullmatch(wanted.get("regex", ".*"), value) is not None
