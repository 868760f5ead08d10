"""The vigil: promises that hold over time. It looks when users have sent their requests, and at what changes."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.api.meta import parse_duration
from controller.kube.resources import SELDON_ROLLOUT, VIRTUAL_SERVICE, Resource
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.mesh import hosts

if TYPE_CHECKING:
    from simulated.world import World

LONGEST_STEP = 45 * 60.0
"""Seconds in which every step of every way ends, one way or the other: twice the judge's patience, and a deadline."""
HEALED = 20.0
"""Seconds in which what somebody changed or deleted must be as it was, in a world without other trouble."""
CALM = 60.0
"""Seconds after which a fault is forgotten: what failed was tried again."""
LEEWAY = 12.0
"""Seconds by which the clocks of two controllers, and the step of the judge, may shorten a pause."""
MOVING = frozenset({"Progressing", "Promoting"})
GOING = frozenset({"RollingBack", "Degraded"})


class Vigil:
    """Watches a world over time."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._step: tuple[Any, ...] = ()
        self._since = 0.0
        self._ahead: dict[str, float] = {}
        """By rollout: seconds for which its step's weight was in effect when the step began."""
        self._wounds: dict[tuple[str, str], float] = {}
        world.api.watchers.append(self._happened)

    # what changes

    def _happened(self, actor: str, event: Event) -> None:
        if actor.startswith("controller"):
            self._wounds.pop((event.collection, event.key[1]), None)
        if event.collection == SELDON_ROLLOUT.name and event.type == "MODIFIED" and event.previous is not None:
            self._pause(event.previous, event.entry.object)

    def _pause(self, before: Object, after: Object) -> None:
        """A pause lasts as long as it says, also with two controllers: nothing goes forward twice.

        After a weight it counts from when the mesh had taken that.
        """
        old, new, name = before.get("status") or {}, after.get("status") or {}, before["metadata"]["name"]
        came, went, began = old.get("currentStepIndex", 0), new.get("currentStepIndex", 0), old.get("stepStartedAt")
        if went == came or began is None:
            return
        since, moved = datetime.fromisoformat(began), _moves(before, came)
        lasted = {came: self._lasted(since) + self._ahead.pop(name, 0.0)}
        if moved and went > came:
            lasted[came + 1] = self._in_effect(name, since)
        if moved and went == came + 1:
            self._ahead[name] = lasted[went]
        same = _asked(old) == _asked(new) and old.get("phase") == "Progressing" == new.get("phase")
        for step in range(came, went) if same and not self._world.jumped else ():
            length, found = _pause_of(before, step), lasted.get(step, 0.0)
            if found + LEEWAY < length:
                said = f"step {step + 1} lasted {found:.0f} s instead of {length:.0f} s"
                self._world.promises.broken("a pause lasts as long as it says", said)

    def _lasted(self, since: datetime) -> float:
        return (self._world.timeline.true_time() - since).total_seconds()

    def _in_effect(self, name: str, since: datetime) -> float:
        """Seconds for which the mesh has had the first route that it took after an instant."""
        door = self._world.door() if name == self._world.rollout else name
        taken = (at for at in self._world.mesh.taken.get(door, ()) if at >= since)
        return self._lasted(next(taken, since))

    # what is wounded

    def wounded(self, resource: Resource, name: str) -> None:
        """Somebody changed or deleted an object of the controllers; they have to put it right soon."""
        world, place = self._world, (self._world.api.kind(resource).collection, name)
        at = self._wounds[place] = world.timeline.now
        world.timeline.after(HEALED, lambda: self._healed(resource, name, at), counts=False)

    def _healed(self, resource: Resource, name: str, at: float) -> None:
        place = (self._world.api.kind(resource).collection, name)
        if self._wounds.get(place) != at or not self._world.calm(at - CALM):
            return
        if self._wanted(resource, name):
            self._world.promises.broken("drift is healed within seconds", f"{resource.kind} {name} is not as it was")

    def _wanted(self, resource: Resource, name: str) -> bool:
        """Whether an object belongs to a revision that is in use; an invalid spec leaves all as it is."""
        status = self._world.status()
        if status.get("phase") in (None, "Invalid") or not status.get("stableRevision"):
            return False
        used = {(status.get(role) or {}).get("name", "-") for role in ("stableRevision", "canaryRevision")}
        return resource.name == VIRTUAL_SERVICE.name or any(
            name == child or name.startswith(f"{child}-") for child in used
        )

    # each five seconds

    def look(self) -> None:
        """Look at the world as it is now."""
        status = self._world.status()
        self._rejected_gets_nothing(status)
        self._goes_on(status)

    def _rejected_gets_nothing(self, status: Object) -> None:
        """What was rejected gets no request, no copy and no header's route, once the mesh has taken the route."""
        blocked = (status.get("blockedOn") or {}).get("kind", "mesh")
        if status.get("phase") not in GOING or blocked != "mesh":
            return
        world = self._world
        door = world.door()
        live, taken = world.api.find(VIRTUAL_SERVICE, door), world.mesh.effective.get(door)
        if live is None or taken is None or (VIRTUAL_SERVICE.name, door) in self._wounds:
            return
        if taken["metadata"]["generation"] != live["metadata"]["generation"]:
            return
        for rejected in status.get("rejected") or ():
            host = f"{world.rollout}-{rejected['hash']}-default.{world.key[0]}.svc.cluster.local"
            if host in hosts(taken):
                world.promises.broken(
                    "a rejected revision gets no request", f"{host} stands in the route in {status['phase']}"
                )

    def _goes_on(self, status: Object) -> None:
        """Every step ends: it is done, or a person is asked, or its deadline fires."""
        step = (status.get("phase"), status.get("currentStepIndex", 0), *_asked(status))
        now, waits = self._world.timeline.now, (status.get("blockedOn") or {}).get("kind")
        if step != self._step or status.get("phase") not in MOVING or waits in ("gate", "person"):
            self._step, self._since = step, now
        elif now > self._since + LONGEST_STEP:
            lasted = f"{status.get('message')} for {(now - self._since) / 60:.0f} minutes"
            self._world.promises.broken("every phase has a deadline", lasted)


def _asked(status: Object) -> tuple[Any, ...]:
    """All that may change the length of a step, but time and the world."""
    canary, intent = (status.get("canaryRevision") or {}).get("hash"), (status.get("lastIntent") or {}).get("id")
    return canary, intent, status.get("observedGeneration"), status.get("strategy")


def _pause_of(rollout: Object, index: int) -> float:
    """The seconds of the pause that a step is; 0 for any other step, and while the spec is newer than the status."""
    status = rollout.get("status") or {}
    steps = (rollout["spec"]["strategy"].get("canary") or {}).get("steps") or ()
    pause = steps[index].get("pause") if index < len(steps) else None
    known = status.get("observedGeneration") == rollout["metadata"]["generation"]
    return parse_duration(pause["duration"]).total_seconds() if known and pause and "duration" in pause else 0.0


def _moves(rollout: Object, index: int) -> bool:
    """Whether a step changes who gets which requests."""
    steps = (rollout["spec"]["strategy"].get("canary") or {}).get("steps") or ()
    return index < len(steps) and not {"setWeight", "setMirror", "setHeaderRoute"}.isdisjoint(steps[index])
