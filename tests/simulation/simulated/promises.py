"""The promises of the design, checked on every write and every state that the world comes to."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from controller.api.meta import INTENT_ANNOTATION, REVISION_LABEL
from controller.kube.resources import SELDON_DEPLOYMENT, SELDON_ROLLOUT, VIRTUAL_SERVICE, Resource
from controller.queue import Key
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.mesh import MAIN

if TYPE_CHECKING:
    from simulated.process import Process
    from simulated.world import World

WAITING = frozenset({"Pending", "Progressing", "Paused", "Promoting", "RollingBack"})
MOVING = frozenset({"Progressing", "Paused", "Promoting"})
AT_REST = frozenset({"Healthy", "Degraded", "Paused", "Shadowed"})
SERVING = frozenset({"SeldonDeployment", "Deployment", "Service", "DestinationRule"})
"""Kinds without which a revision cannot answer."""
BOTH = ("rest", "grpc")
"""The routes that take everybody's requests, by protocol."""
LATELY = 900.0
"""Seconds in which a stable that the world took pods from may be worse than a bad canary."""


class BrokenPromiseError(BaseException):
    """A promise is broken. No handler of a controller can catch it.

    Args:
        promise: its short name; the same for the same promise.
        message: what happened.
    """

    def __init__(self, promise: str, message: str) -> None:
        self.promise, self.message = promise, message
        super().__init__(f"{promise}: {message}")


class Promises:
    """Watches a world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._status_writes: Counter[tuple[str, str]] = Counter()
        self._written: dict[str, int] = {}
        """The weights of the route as it was last written."""
        world.api.watchers.append(self._happened)
        world.users.served = self._served

    def broken(self, promise: str, message: str) -> None:
        """Say that a promise is broken, now.

        Raises:
            BrokenPromiseError: always.
        """
        raise BrokenPromiseError(promise, f"at {self._world.timeline.now:.3f} s: {message}")

    # on each write of a controller, before it is done

    def about_to(self, process: "Process", verb: str, resource: Resource, what: Any) -> None:
        if resource is SELDON_ROLLOUT or resource.name == SELDON_ROLLOUT.name:
            self._status_writes[process.name, what if isinstance(what, str) else ""] += verb == "status"
        elif (
            resource.name == VIRTUAL_SERVICE.name
            and verb in ("apply", "patch")
            and what["metadata"]["name"] == self._world.door()
            and "http" in what.get("spec", {})
        ):
            self._route(process, what)
        elif verb == "delete":
            self._removal(resource, what)

    def passed(self, process: "Process", controller: str, key: Key) -> None:
        """One status write a pass."""
        if controller == "rollout":
            count = self._status_writes.pop((process.name, key[1]), 0)
            if count > 1:
                self.broken("one status write a pass", f"{process.name} wrote the status {count} times")

    def _route(self, process: "Process", route: Object) -> None:
        live = self._world.api.find(VIRTUAL_SERVICE, self._world.door())
        # A route that somebody deleted comes back as it was; one that leads to nobody leads to stable again.
        before = _weights(live) if live is not None else self._written
        if before.keys() == {self._world.rollout}:
            stable = (self._world.status().get("stableRevision") or {}).get("name", "")
            before = {**self._written, f"{stable}-default.{self._world.key[0]}.svc.cluster.local": 100}
        for http in route["spec"]["http"]:
            if len(http["route"]) == 1 and "weight" not in http["route"][0]:
                continue  # a person's own
            total = sum(part["weight"] for part in http["route"])
            if total not in (100, 10_000):
                self.broken("weights sum to 100", f"route {http.get('name')} sums to {total}")
        if len({json.dumps(_split(http)) for http in route["spec"]["http"] if http.get("name") in BOTH}) > 1:
            self.broken("both protocols are split alike", f"{[_split(http) for http in route['spec']['http']]}")
        version = route["metadata"].get("resourceVersion")
        if live is not None and version != live["metadata"]["resourceVersion"]:
            return  # the server refuses it
        self._never_back(live, route)
        self._written = _weights(route)
        seen = process.starts.get(("rollout", self._world.key), {})
        for host, weight in _weights(route).items():
            child = _child(host)
            if weight <= before.get(host, 0) or host == self._world.rollout:  # which is nobody's
                continue
            others = any(ready for name, ready in seen.items() if name != child)
            if others and not seen.get(child):
                self.broken(
                    "no weight without ready pods", f"{child} gets {weight} % and has no ready pod in the cache"
                )
            if child.removeprefix(f"{self._world.rollout}-") in self._rejected():
                self.broken(
                    "a rejected revision gets no request", f"{child} is rejected and its weight rises to {weight}"
                )

    def _never_back(self, live: Object | None, route: Object) -> None:
        """Nobody who knows less than the status takes a canary's weight back, but to nothing."""
        rollout = self._world.live() or {"metadata": {}}
        status = rollout.get("status") or {}
        up_to_date = status.get("observedGeneration") == rollout["metadata"].get("generation")
        same = status.get("lastIntent", {}).get("id") == self._world.people.asked
        canary = (status.get("canaryRevision") or {}).get("name")
        if live is None or status.get("phase") != "Progressing" or not (up_to_date and same and canary):
            return
        host = f"{canary}-default.{self._world.key[0]}.svc.cluster.local"
        stable = (status.get("stableRevision") or {}).get("name", "")
        strategy = rollout["spec"]["strategy"].get("canary") or {"dynamicStableScale": True}
        if strategy.get("dynamicStableScale") or self._world.robbed(stable, LATELY):
            return  # what stable cannot carry stays with the canary
        before, after = _weights(live).get(host, 0), _weights(route).get(host, 0)
        wanted = (status.get("weights") or {}).get("canary", 0)
        to_come = [
            each.get("setWeight", 100)
            for each in (strategy.get("steps") or ())[status.get("currentStepIndex", 0) + 1 :]
        ]
        if 0 < after < min(before, wanted, *to_come):  # other steps may say less than those of before did
            self.broken("weights never go backwards", f"{canary} from {before} to {after} %, at {wanted} %")

    def _rejected(self) -> set[str]:
        """The hashes that are rejected, unless a person asked for another try, by a verb or by another wave."""
        live = self._world.api.find(SELDON_ROLLOUT, self._world.rollout) or {"metadata": {}}
        if '"retry"' in ((live["metadata"].get("annotations") or {}).get(INTENT_ANNOTATION) or ""):
            return set()
        wave = ((live.get("spec") or {}).get("group") or {}).get("wave", "")
        return {
            each["hash"]
            for each in (live.get("status") or {}).get("rejected") or ()
            if each.get("by") != "group" or wave == each.get("wave", "")
        }

    def _removal(self, resource: Resource, name: str) -> None:
        live = self._world.api.find(resource, name)
        if live is None or resource.kind not in SERVING:
            return
        labels = live["metadata"].get("labels") or {}
        child = name if resource.name == SELDON_DEPLOYMENT.name else labels.get("seldon-deployment-id", "")
        if resource.name == SELDON_DEPLOYMENT.name and REVISION_LABEL not in labels:
            return
        host = f"{child}-default.{self._world.key[0]}.svc.cluster.local"
        if child and self._world.mesh.names(self._world.door(), host) and not self._in_doubt():
            self.broken("nothing goes while the route in effect names it", f"{resource.kind} {name} is deleted")
        if resource.name == SELDON_DEPLOYMENT.name:
            self._world.onward.removed(live)

    def _in_doubt(self) -> bool:
        """A mesh that says nothing is believed to be quick; that is wrong of a route that it has not taken yet.

        With right clocks it is quick, unless it refuses. What it has taken is no matter of belief.
        """
        mesh, door = self._world.mesh, self._world.door()
        slow = mesh.silent and (self._world.jumped or mesh.refuses)
        return slow and not mesh.up_to_date(door)

    # on each new state

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != SELDON_ROLLOUT.name or event.key[1] != self._world.rollout or event.type == "DELETED":
            return
        obj = event.entry.object
        status = obj.get("status") or {}
        before = (event.previous or {}).get("status") or {}
        if status == before or not status:
            return
        weights = status.get("weights") or {}
        if round(weights.get("stable", 100) + weights.get("canary", 0), 2) != 100:
            self.broken("weights sum to 100", f"the status says {weights}")
        if not status.get("message"):
            self.broken("every decision explains itself", f"phase {status.get('phase')} has no message")
        if status.get("phase") in WAITING and not status.get("blockedOn"):
            self.broken("every block is named", f"phase {status['phase']} waits for nothing: {status.get('message')}")
        self._promotion(before, status)
        self._forward(before, status)
        self._leaving(status)

    def _promotion(self, before: Object, status: Object) -> None:
        old, new = before.get("stableRevision") or {}, status.get("stableRevision") or {}
        forced = any(each.get(word) for each in (before, status) for word in ("forcedBy", "passed", "skipReason"))
        forced = forced or any((each.get("group") or {}).get("aloneBy") for each in (before, status))
        # Also a step before: blue-green is judged before its switch, and not again.
        forced = forced or any(
            each["type"] == "Passed" and each.get("revision") == (status.get("canaryRevision") or new).get("number")
            for each in status.get("history") or ()
        )
        verdict = (status.get("analysis") or {}).get("verdict")
        begins = status.get("phase") == "Promoting" and before.get("phase") not in ("Promoting", "Invalid")
        strategy = ((self._world.live() or {}).get("spec") or {}).get("strategy") or {}
        if begins and "blueGreen" not in strategy and not forced and verdict != "Good":
            self.broken("nothing but a good verdict promotes", f"promoting on {verdict}")
        if old and new and old.get("hash") != new.get("hash") and not forced:
            qualities = self._world.qualities
            was, is_ = qualities.of_child(old["name"]), qualities.of_child(new["name"])
            if is_.fails > was.fails + 0.05 and not self._world.robbed(old["name"], LATELY):
                self.broken("a bad revision is never stable", f"{new['name']} fails {is_.fails} of its requests")

    def _forward(self, before: Object, status: Object) -> None:
        """Two controllers at once, a crash or old news never take a canary back to a step that it has left."""
        old, new = before.get("canaryRevision") or {}, status.get("canaryRevision") or {}
        asked = [
            (each.get("observedGeneration"), (each.get("lastIntent") or {}).get("id")) for each in (before, status)
        ]
        same = old and new and old["hash"] == new["hash"] and asked[0] == asked[1]
        if same and before["phase"] in MOVING and status["phase"] in MOVING:
            steps = before.get("currentStepIndex", 0), status.get("currentStepIndex", 0)
            if steps[1] < steps[0]:
                self.broken("steps never go backwards", f"from step {steps[0] + 1} to {steps[1] + 1}")

    def _leaving(self, status: Object) -> None:
        """Going back, the route gives nothing to the rejected revision, or what is lacking is named."""
        if status.get("phase") not in ("RollingBack", "Degraded") or status.get("blockedOn"):
            return
        weights = _weights(self._world.api.find(VIRTUAL_SERVICE, self._world.door()))
        for rejected in status.get("rejected") or ():
            child = f"{self._world.rollout}-{rejected['hash']}"
            if any(_child(host) == child and weight for host, weight in weights.items()):
                self.broken("a rejected revision gets no request", f"{child} has weight in {status['phase']}")

    def _served(self, child: str, count: int, lost: int) -> None:
        if lost and not self._world.excused(child):
            self.broken("no request is lost", f"{lost} of {count} requests found no ready pod of {child}")


def _split(http: Object) -> list[Any]:
    """Who gets what of a route, and who gets copies."""
    parts = [(part["destination"]["host"], part.get("weight")) for part in http["route"]]
    return [parts, [(each["destination"]["host"], each["percentage"]) for each in http.get("mirrors") or ()]]


def _weights(route: Object | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for http in (route or {}).get("spec", {}).get("http") or ():
        if http.get("name") in MAIN:
            parts = http["route"]
            given = [part.get("weight", 0) for part in parts] if len(parts) > 1 else [100]
            for part, weight in zip(parts, given, strict=True):
                host = part["destination"]["host"]
                found[host] = found.get(host, 0) + 100 * weight / sum(given)
    return found


def _child(host: str) -> str:
    return host.split(".", maxsplit=1)[0].removesuffix("-default")
