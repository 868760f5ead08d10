"""What follows from a deletion: dependents of an owner that is gone or going, and finalizers of the deletion itself.

Kubernetes' garbage collector as far as a local cluster needs it: background, foreground and orphan propagation.
Source: Kubernetes documentation, "Garbage Collection" and "Owners and Dependents".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localcluster.objects import Object

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object, and where its kind is served."""

    group_version: str
    plural: str
    obj: Object

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"].get("namespace") or "")

    @property
    def owners(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.obj["metadata"].get("ownerReferences") or []
        return found

    @property
    def finalizers(self) -> list[str]:
        found: list[str] = self.obj["metadata"].get("finalizers") or []
        return found

    @property
    def going(self) -> bool:
        return "deletionTimestamp" in self.obj["metadata"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Delete a thing. `because` are owners that are said to be gone: each is looked for once more before."""

    thing: Thing
    propagation: Propagation
    because: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Give a thing other metadata, if it is still the one that was seen. `because` as for Remove."""

    thing: Thing
    metadata: Mapping[str, Any]
    because: tuple[Mapping[str, Any], ...] = ()


Step = Remove | Rewrite


def plan(things: Iterable[Thing]) -> tuple[Step, ...]:
    """What to do next, given everything that there is; done again after each change until nothing is left to do."""
    known = {thing.uid: thing for thing in things}
    dependents: dict[str, list[Thing]] = defaultdict(list)
    for thing in known.values():
        for owner in thing.owners:
            dependents[owner["uid"]].append(thing)
    steps: list[Step] = []
    for thing in known.values():
        if thing.owners:
            steps += _judged(thing, known, dependents)
        if thing.going and ORPHAN in thing.finalizers:
            steps += _orphaned(thing, dependents[thing.uid])
        elif thing.going and FOREGROUND in thing.finalizers:
            steps += _released(thing, dependents[thing.uid])
    return tuple(steps)


def _judged(thing: Thing, known: Mapping[str, Thing], dependents: Mapping[str, list[Thing]]) -> Iterable[Step]:
    """A dependent goes when no owner stays; owners that are gone or wait for it are taken off one that stays."""
    solid, absent, waiting = [], [], []
    for owner in thing.owners:
        found = known.get(owner["uid"])
        if found is None or found.namespace not in ("", thing.namespace):
            absent.append(owner)
        elif found.going and FOREGROUND in found.finalizers:
            waiting.append(owner)
        else:
            solid.append(owner)
    if solid and (absent or waiting):
        yield Rewrite(thing=thing, metadata={"ownerReferences": solid}, because=tuple(absent))
    elif solid:
        return
    elif waiting and not thing.going:
        deeper: Propagation = "Foreground" if dependents.get(thing.uid) else "Background"
        yield Remove(thing=thing, propagation=deeper, because=tuple(absent))
    elif not waiting and not thing.going:
        yield Remove(thing=thing, propagation=_propagation(thing), because=tuple(absent))


def _propagation(thing: Thing) -> Propagation:
    if ORPHAN in thing.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in thing.finalizers else "Background"


def _orphaned(thing: Thing, dependents: Iterable[Thing]) -> Iterable[Step]:
    """Its dependents forget it; then it may go."""
    left = list(dependents)
    for each in left:
        kept = [owner for owner in each.owners if owner["uid"] != thing.uid]
        yield Rewrite(thing=each, metadata={"ownerReferences": kept or None})
    if not left:
        yield _without(thing, ORPHAN)


def _released(thing: Thing, dependents: Iterable[Thing]) -> Iterable[Step]:
    """It may go when no dependent is left that blocks its deletion."""
    blocking = (
        owner.get("blockOwnerDeletion") for each in dependents for owner in each.owners if owner["uid"] == thing.uid
    )
    if not any(blocking):
        yield _without(thing, FOREGROUND)


def _without(thing: Thing, finalizer: str) -> Rewrite:
    left = [each for each in thing.finalizers if each != finalizer]
    return Rewrite(thing=thing, metadata={"finalizers": left or None})
