"""Neighbours: which rollouts look at which, so that a change of one wakes those that wait for it, and no others."""

from collections.abc import Mapping
from typing import Any

from controller.queue import Key

Labels = frozenset[tuple[str, str]]


class Neighbours:
    """An index by both ends. To note a rollout costs as much as it has neighbours, however many rollouts there are."""

    def __init__(self) -> None:
        self._depends: dict[Key, frozenset[Key]] = {}
        self._dependents: dict[Key, set[Key]] = {}
        self._group: dict[Key, Labels] = {}
        self._groups: dict[str, dict[Labels, set[Key]]] = {}

    def note(self, key: Key, *, depends_on: tuple[str, ...] = (), group: Mapping[str, str] | None = None) -> None:
        """Keep what a rollout looks at, as it was last looked at itself: nothing, where it is gone."""
        self._note_dependencies(key, frozenset((key[0], name) for name in depends_on))
        self._note_group(key, frozenset((group or {}).items()))

    def _note_dependencies(self, key: Key, new: frozenset[Key]) -> None:
        old = self._depends.pop(key, frozenset())
        for each in old - new:
            self._dependents[each].discard(key)
            if not self._dependents[each]:
                del self._dependents[each]
        for each in new - old:
            self._dependents.setdefault(each, set()).add(key)
        if new:
            self._depends[key] = new

    def _note_group(self, key: Key, new: Labels) -> None:
        old = self._group.pop(key, frozenset())
        groups = self._groups.setdefault(key[0], {})
        if old and old != new:
            groups[old].discard(key)
            if not groups[old]:
                del groups[old]
        if new:
            groups.setdefault(new, set()).add(key)
            self._group[key] = new
        if not groups:
            del self._groups[key[0]]

    def dependents(self, rollout: Mapping[str, Any]) -> list[Key]:
        """Return the rollouts that depend on this one."""
        meta = rollout["metadata"]
        return sorted(self._dependents.get((meta["namespace"], meta["name"]), ()))

    def mates(self, rollout: Mapping[str, Any]) -> list[Key]:
        """Return the rollouts whose group this one belongs to."""
        meta = rollout["metadata"]
        key, found = (meta["namespace"], meta["name"]), set[Key]()
        labels = (meta.get("labels") or {}).items()
        for wanted, members in self._groups.get(key[0], {}).items():
            if wanted <= labels:
                found |= members
        return sorted(found - {key})
