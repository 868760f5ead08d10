"""The arithmetic of a rolling update: how many replicas each ReplicaSet should have next.

Two promises hold at every step: never more than `limits.most` pods, never fewer than `limits.least_available` available
ones of those that are available now. It counts `min(available, replicas)` as available, because pods above `replicas`
are about to go, and `max(replicas, pods)` as present, because they have not gone yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from localcluster.workloads.amounts import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One ReplicaSet in numbers. `most` is what its annotation remembers of the limits when it was last scaled."""

    name: str
    replicas: int
    pods: int = 0
    available: int = 0
    most: int = 0

    @property
    def sure(self) -> int:
        """Available pods that stay when the pods follow `replicas`."""
        return min(self.available, self.replicas)

    @property
    def present(self) -> int:
        """Pods that are there, or will be without any further decision."""
        return max(self.replicas, self.pods)


Scales = dict[str, int]


def roll(new: Arm, old: Sequence[Arm], limits: Limits) -> Scales:
    """The next replicas by name, only of those that change: the new arm up as far as surge allows, old arms down as
    far as availability allows, broken pods first. `old` is ordered oldest first.
    """
    scales: Scales = {}
    target = _new_replicas(new, old, limits)
    if target != new.replicas:
        scales[new.name] = target
    return scales | _old_replicas(replace(new, replicas=target), old, limits)


def _new_replicas(new: Arm, old: Sequence[Arm], limits: Limits) -> int:
    if new.replicas >= limits.desired:
        return limits.desired
    room = limits.most - new.present - sum(arm.present for arm in old)
    return min(limits.desired, new.replicas + max(0, room))


def _old_replicas(new: Arm, old: Sequence[Arm], limits: Limits) -> Scales:
    left = {arm.name: arm.replicas for arm in old}
    total = new.replicas + sum(left.values())
    budget = total - limits.least_available - (new.replicas - new.sure)
    if budget <= 0:
        return {}
    for arm in old:
        broken = min(arm.replicas - arm.sure, budget)
        left[arm.name] -= broken
        budget -= broken
    spare = new.sure + sum(arm.sure for arm in old) - limits.least_available
    for arm in old:
        taken = max(0, min(left[arm.name], spare))
        left[arm.name] -= taken
        spare -= taken
    return {arm.name: left[arm.name] for arm in old if left[arm.name] != arm.replicas}


def rescale(new: Arm | None, old: Sequence[Arm], limits: Limits) -> Scales:
    """The next replicas after the Deployment's own replicas changed, in the middle of an update or at rest.

    With one arm in use it gets everything. With a finished new arm the old ones get nothing. Otherwise the change is
    shared in proportion to the arms' sizes, rounding the remainder to the largest.
    """
    active = [arm for arm in ((*old, new) if new else old) if arm.replicas > 0]
    if len(active) <= 1:
        chosen = active[0] if active else new or (old[-1] if old else None)
        return {chosen.name: limits.desired} if chosen and chosen.replicas != limits.desired else {}
    if new and new.replicas == limits.desired and new.sure == limits.desired:
        return {arm.name: 0 for arm in old if arm.replicas}
    allowed = limits.most if limits.desired else 0
    return _proportional(active, allowed - sum(arm.replicas for arm in active), allowed)


def _proportional(active: Sequence[Arm], change: int, allowed: int) -> Scales:
    """Share `change` replicas out: largest arms first; among equals the newest when growing, else the oldest."""
    growing = change > 0
    order = sorted(reversed(active) if growing else active, key=lambda arm: -arm.replicas)
    left = change
    scales: Scales = {}
    for arm in order:
        share = round(arm.replicas * allowed / (arm.most or allowed or 1)) - arm.replicas if left else 0
        share = max(0, min(share, left)) if growing else min(0, max(share, left, -arm.replicas))
        scales[arm.name] = arm.replicas + share
        left -= share
    largest = order[0].name
    scales[largest] = max(0, scales[largest] + left)
    return {arm.name: scales[arm.name] for arm in active if scales[arm.name] != arm.replicas}
