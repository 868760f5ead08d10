"""Onward: what a step may be left on, what is never begun again, and what a revision without traffic waits for."""

from datetime import datetime
from typing import TYPE_CHECKING

from controller.kube.resources import SELDON_DEPLOYMENT, SELDON_ROLLOUT
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.gatekeeper import Gatekeeper
from simulated.mesh import hosts

if TYPE_CHECKING:
    from simulated.world import World

DRAINS = 20.0
"""Seconds that a revision stands at least after its last request: its delay of 30 s, less what clocks may be off by.
A mesh that says of a route that it has it before it has takes as much of it."""


class Onward:
    """Watches how a rollout goes on. It keeps its own memory: what a status forgets is not forgotten here."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rejected: set[str] = set()
        self._entered: tuple[str | None, int, Object | None] = (None, 0, None)
        """The canary, and the step that it came to last, as it was written then: what it says later moves nothing."""
        self._named: dict[str, float] = {}
        """When the route in effect last named a host."""
        world.api.watchers.append(self._happened)

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != SELDON_ROLLOUT.name or event.key[1] != self._world.rollout:
            return
        if event.type != "MODIFIED":
            self._rejected.clear()  # another of its name knows nothing of it
            return
        if not actor.startswith("controller"):
            self._rejected.clear() if not event.entry.object.get("status") else None
            return
        before, after = event.previous or {}, event.entry.object
        old, new = before.get("status") or {}, after.get("status") or {}
        asked = (old.get("lastIntent") or {}).get("id") != (new.get("lastIntent") or {}).get("id")
        if old and not asked:
            self._left(before, old, new)
        if "group" not in after["spec"]:  # whose next wave tries again
            self._begun(old, new, asked=asked)
        self._enter(after, new)

    # steps

    def _enter(self, rollout: Object, status: Object) -> None:
        """Keep what a step says when it is come to."""
        at = (status.get("canaryRevision") or {}).get("hash"), status.get("currentStepIndex", 0)
        if self._entered[:2] != at:
            steps = (rollout["spec"]["strategy"].get("canary") or {}).get("steps") or ()
            self._entered = (*at, steps[at[1]] if at[1] < len(steps) else None)

    def _left(self, rollout: Object, old: Object, new: Object) -> None:
        """A step that nobody skipped is left once the mesh has had what it says, and a gate once it was opened."""
        same = (old.get("canaryRevision") or {}).get("hash") == (new.get("canaryRevision") or {}).get("hash")
        known = old.get("observedGeneration") == new.get("observedGeneration") == rollout["metadata"]["generation"]
        steps = (rollout["spec"]["strategy"].get("canary") or {}).get("steps") or ()
        came, went = old.get("currentStepIndex", 0), new.get("currentStepIndex", 0)
        if not (same and known and came < went and came < len(steps)) or old.get("phase") != "Progressing":
            return
        for index in range(came, min(went, len(steps))):
            self._opened(steps[index], index, old, new)
            said = self._entered[2] if index == came else steps[index]
            if said is not None and {"setWeight", "setMirror"} & said.keys():
                self._given(old, index, said)

    def _opened(self, step: Object, index: int, old: Object, new: Object) -> None:
        if "webhook" in (step.get("gate") or {}) and (keeper := self._world.part(Gatekeeper)) is not None:
            here = index == old.get("currentStepIndex", 0)
            keeper.passed(new["canaryRevision"]["hash"], index, old.get("stepStartedAt"), here=here)
        gate = (step.get("gate") or {}).get("approval")
        if gate is not None and gate["name"] not in {each["name"] for each in new.get("approvals") or ()}:
            self._world.promises.broken("a gate is opened", f"nobody approved {gate['name']}")

    def _given(self, old: Object, index: int, step: Object) -> None:
        world = self._world
        if world.mesh.silent or world.jumped or not old.get("canaryRevision") or not old.get("stepStartedAt"):
            return
        copies = (step.get("setMirror") or {"percentage": 0}).get("percentage", 100)
        wanted = step.get("setWeight", (old.get("weights") or {}).get("canary", 0)), copies
        host = f"{old['canaryRevision']['name']}-default.{world.key[0]}.svc.cluster.local"
        gave = world.mesh.gave(world.door(), host, datetime.fromisoformat(old["stepStartedAt"]))
        if all(max(abs(one - other) for one, other in zip(wanted, each, strict=True)) > 0.01 for each in gave):
            said = f"step {index + 1} is left at {wanted[0]} and {wanted[1]} %, the mesh had {gave}"
            world.promises.broken("a step is left once the mesh has had it", said)

    # what was rejected

    def _begun(self, old: Object, new: Object, *, asked: bool) -> None:
        canary = (new.get("canaryRevision") or {}).get("hash")
        fresh = canary is not None and canary != (old.get("canaryRevision") or {}).get("hash")
        retried = asked and new["lastIntent"].get("verb") == "retry" and new["lastIntent"].get("outcome") == "done"
        if fresh and canary in self._rejected and not retried:
            self._world.promises.broken("what was rejected is not tried again", f"{canary} begins again")
        if canary is not None and (fresh or retried):
            self._rejected.discard(canary)
        self._rejected |= {each["hash"] for each in new.get("rejected") or ()}

    # what drains

    def look(self) -> None:
        """Note whom the route in effect names now."""
        taken = self._world.mesh.effective.get(self._world.door())
        for host in hosts(taken) if taken is not None else ():
            self._named[host] = self._world.timeline.now

    def removed(self, live: Object) -> None:
        """A SeldonDeployment of a revision is deleted by a controller."""
        world, spec = self._world, (self._world.live() or {}).get("spec") or {}
        name = live["metadata"]["name"]
        host = f"{name}-default.{world.key[0]}.svc.cluster.local"
        lately = world.timeline.now - self._named.get(host, -1e9)
        if lately < DRAINS - world.mesh.boasted and "scaleDownDelayRevisionLimit" not in spec and not world.jumped:
            said = f"{SELDON_DEPLOYMENT.kind} {name} is deleted {lately:.0f} s after its last request"
            world.promises.broken("what has no traffic any more stands for its delay", said)
