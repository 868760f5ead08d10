"""How far a rolling update may go: maxSurge and maxUnavailable, as numbers of pods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `desired + surge` pods, at least `desired - unavailable` available ones."""

    desired: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        """The most pods there may be."""
        return self.desired + self.surge

    @property
    def least_available(self) -> int:
        """The fewest available pods there may be."""
        return max(0, self.desired - self.unavailable)


def amount(value: int | str, total: int, *, up: bool) -> int:
    """An int-or-percent of a total, rounded up or down. Raises ValueError for anything else."""
    if isinstance(value, int):
        return value
    if value.endswith("%") and value[:-1].isdigit():
        share = int(value[:-1]) * total / 100
        return math.ceil(share) if up else math.floor(share)
    raise ValueError(f"{value!r} is neither a number of pods nor a percentage such as '25%'")


def limits_of(deployment: Mapping[str, Any]) -> Limits:
    """The limits of a Deployment: surge rounds up, unavailable rounds down, and both 0 means one unavailable.

    Recreate keeps nothing available and adds nothing.
    """
    spec = deployment["spec"]
    desired = replicas_of(deployment)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(desired, 0, desired)
    rolling = strategy.get("rollingUpdate") or {}
    surge = amount(_or(rolling.get("maxSurge"), "25%"), desired, up=True)
    unavailable = amount(_or(rolling.get("maxUnavailable"), "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(desired, surge if desired else 0, min(unavailable, desired))


def replicas_of(obj: Mapping[str, Any]) -> int:
    """spec.replicas, 1 when it is not set."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def _or(value: int | str | None, default: str) -> int | str:
    return default if value is None else value
