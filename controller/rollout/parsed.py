"""Parsed: what was read of objects, once for each of their versions. Objects are never changed in place."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from controller.api.analysis import AnalysisTemplateSpec
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout import gather, seen, validity
from controller.rollout.observed import Member, Run

T = TypeVar("T")
REMEMBERED = 5_000
"""Objects of a kind; those that were not looked at for longest are read anew."""


class Parsed(Generic[T]):
    """One way to read objects, and what it gave for the last version of each."""

    def __init__(self, read: Callable[[Mapping[str, Any]], T], *, remembered: int = REMEMBERED) -> None:
        self._read, self._remembered = read, remembered
        self._known: OrderedDict[str, tuple[str, T]] = OrderedDict()

    def __call__(self, obj: Mapping[str, Any]) -> T:
        """Return what an object says."""
        meta = obj["metadata"]
        uid, version = meta.get("uid"), meta.get("resourceVersion")
        if not uid or not version:
            return self._read(obj)
        known = self._known.get(uid)
        if known is None or known[0] != version:
            known = self._known[uid] = version, self._read(obj)
        self._known.move_to_end(uid)
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return known[1]


@dataclass(frozen=True, slots=True)
class Readings:
    """All that a pass reads of objects by models."""

    spec: Parsed[tuple[RolloutSpec | None, str]] = field(default_factory=lambda: Parsed(validity.read))
    status: Parsed[RolloutStatus] = field(default_factory=lambda: Parsed(gather.status))
    member: Parsed[Member] = field(default_factory=lambda: Parsed(seen.member))
    run: Parsed[Run] = field(default_factory=lambda: Parsed(gather.run))
    template: Parsed[AnalysisTemplateSpec | str] = field(default_factory=lambda: Parsed(gather.template))
