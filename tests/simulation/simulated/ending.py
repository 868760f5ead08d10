"""The end of a story: the faults stop, and everything comes to rest, as it should be, without a write."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from controller.kube.resources import DEPLOYMENT, ENDPOINT_SLICE, POD, SELDON_DEPLOYMENT, SERVICE
from simulated.api import NAMESPACE_NAME, Object
from simulated.lookup import NAME as LOOKUP
from simulated.promises import AT_REST, BrokenPromiseError
from simulated.workloads import START_TIME

if TYPE_CHECKING:
    from simulated.world import World

LONGEST_END = 3 * 3600.0
"""Seconds of simulated time in which everything must have come to rest once the faults have stopped."""


def waits_for_somebody(status: Object) -> bool:
    """Say whether a rollout waits for a person, and judges meanwhile."""
    return status.get("phase") == "Paused" or (status.get("blockedOn") or {}).get("kind") in ("gate", "person")


class Ending:
    """Brings a world to rest, and looks at what is left."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.before: list[Callable[[], object]] = []
        """Called when the faults stop: what was still to come comes no more."""

    def heal(self) -> None:
        """Stop all faults; a person corrects a spec that cannot be done."""
        for stop in self.before:
            stop()
        self._world.faults.calm()
        self._world.workloads.set_quota(False)
        self._world.workloads.start_time = START_TIME
        self._world.mesh.delay, self._world.mesh.ahead = 0.3, 0.0
        self._world.mesh.set_refusing(False)
        self._world.prometheus.mode = "up"
        self._world.shop.heal()
        for process in self._world.processes:
            if process.skew:  # what lies ahead of a clock that is right again is corrected once
                process.add(process.rooms[0], self._world.key)
            process.skew = 0.0
        for name, state in self._world.workloads.sets.items():
            for pod in list(state.pods.values()):
                if pod.broken == "Error":
                    self._world.workloads._set_ready(name, pod.name, True, "")
        stuck = self._world.status().get("phase") == "Pending" and "stuck" in json.dumps(self._world.live())
        if stuck or "svc-name" in json.dumps(self._world.live()):
            self._world.people.do_edit("good-9")
        self._world.lookup.heal()
        for part in self._world.parts:
            part.heal()

    def come_to_rest(self) -> None:
        """Wait until everything is at rest.

        Raises:
            BrokenPromiseError: it does not come to rest, or something is left over, or passes at rest write.
        """
        end = self._world.timeline.now + LONGEST_END
        quiet = 0
        while quiet < 3:
            before = self._world.api.revision
            self._world.timeline.run_until(self._world.timeline.now + 40)
            status = self._world.status()
            judged = self._judged()
            starting = bool(self._world.workloads.starting())
            rests = waits_for_somebody(status) or status.get("phase") in AT_REST or self._world.live() is None
            still = rests and not status.get("retiredRevisions") and not starting
            still = still and self._world.lookup.at_rest() and all(part.at_rest() for part in self._world.parts)
            quiet = quiet + 1 if still and (judged or self._world.api.revision == before) else 0
            if self._world.timeline.now > end:
                raise BrokenPromiseError("everything comes to rest", f"after three hours: {self._words()}")
        if self._world.live() is not None:
            self._check_children()
        for part in self._world.parts:
            part.ended()
        self._check_silence()

    def _judged(self) -> bool:
        """Whether figures go on being written, for somebody who is waited for."""
        return waits_for_somebody(self._world.status()) or any(part.judged() for part in self._world.parts)

    def _words(self) -> str:
        status = self._world.status()
        return f"{status.get('phase')}: {status.get('message')} (blocked on {status.get('blockedOn')})"

    def _check_children(self) -> None:
        status = self._world.status()
        roles = ["stableRevision", *(["canaryRevision"] if waits_for_somebody(status) else [])]
        expected = {status[role]["name"] for role in roles if status.get(role)}
        lookup = self._world.lookup.children().union(*(part.children() for part in self._world.parts))
        found = {obj["metadata"]["name"] for obj in self._world.api.all(SELDON_DEPLOYMENT)}
        if found != expected | lookup:
            raise BrokenPromiseError("exactly the expected children", f"expected {expected | lookup}, found {found}")
        for obj in self._world.api.all(SELDON_DEPLOYMENT) if self._world.upstream is None else ():
            meta, said = obj["metadata"], (obj.get("status") or {}).get("observedGeneration")
            if said != meta["generation"]:
                told = f"{meta['name']} is at generation {meta['generation']}, its status says {said}"
                raise BrokenPromiseError("every status is of the newest spec", told)
        for resource in (DEPLOYMENT, SERVICE, POD, ENDPOINT_SLICE):
            for obj in self._world.api.all(resource):
                owner = (obj["metadata"].get("labels") or {}).get("seldon-deployment-id")
                if owner not in expected | lookup:
                    raise BrokenPromiseError("no object is left over", f"{resource.kind} {obj['metadata']['name']}")
        if self._world.story.adopts:
            self._world.reached["adopts", "done", ""] += 1
        weights, copies = self._world.mesh.shares(self._world.door())
        hosts = {f"{name}-default.{NAMESPACE_NAME}.svc.cluster.local" for name in expected}
        if not (weights.keys() | copies.keys()) <= hosts or round(sum(weights.values()), 6) != 100:
            raise BrokenPromiseError("the route leads to who serves", f"{weights} {copies}, expected {hosts}")
        self._check_told(weights, copies)

    def _check_told(self, weights: Mapping[str, float], copies: Mapping[str, float]) -> None:
        """The status tells what the mesh does."""
        status = self._world.status()
        for revision in filter(None, (status.get("stableRevision"), status.get("canaryRevision"))):
            host = f"{revision['name']}-default.{NAMESPACE_NAME}.svc.cluster.local"
            told, done = (revision["weight"], revision["mirror"]), (weights.get(host, 0), copies.get(host, 0))
            if any(abs(one - other) > 0.01 for one, other in zip(told, done, strict=True)):
                raise BrokenPromiseError("the status tells the weights in effect", f"{host}: {told}, the mesh {done}")

    def _check_silence(self) -> None:
        """No write at rest; while a canary is paused it is judged, and its figures are written."""
        if self._judged():
            return
        before = self._world.api.revision, sum(process.client.writes for process in self._world.processes)
        for process in self._world.processes:
            for room in process.rooms:
                for key in [
                    self._world.key,
                    (NAMESPACE_NAME, LOOKUP),
                    *((NAMESPACE_NAME, o["metadata"]["name"]) for o in self._world.api.all(SELDON_DEPLOYMENT)),
                ]:
                    process.add(room, key)
        self._world.timeline.run_until(self._world.timeline.now + 30)
        after = self._world.api.revision, sum(process.client.writes for process in self._world.processes)
        if after != before:
            raise BrokenPromiseError("no write at rest", f"revision and writes went from {before} to {after}")
