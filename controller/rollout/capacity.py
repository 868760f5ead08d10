"""Capacity: what share of the traffic stable's ready pods can carry, and how small it may be beside a canary."""

from collections.abc import Mapping
from typing import Any

from controller.api.rollout import BlockedOn, Blocker
from controller.api.strategy import SetScale
from controller.rollout import scaling
from controller.rollout.observed import Child

LACKING: frozenset[Blocker] = frozenset({"pods", "quota", "error"})
"""What is waited for where pods are missing."""


def needed(child: Child, whole: Mapping[str, Any]) -> int:
    """Return how many pods a revision needs for all traffic.

    Args:
        child: as it stands; its Deployments may lag behind what was asked for.
        whole: its spec with all the pods that the template says.
    """
    return max(child.replicas, scaling.least_pods(whole))


def carries(child: Child | None, whole: Mapping[str, Any]) -> int:
    """Return the percent of all traffic that a revision's ready pods can carry, as of the pods that it needs."""
    if child is None or not child.serving:
        return 0
    return min(child.capacity, 100 * child.ready_replicas // max(needed(child, whole), 1), 100)


def waiting(which: str, child: Child | None, want: int | None = None) -> BlockedOn:
    """Say which pods are waited for, and what they say; `want` where it is more than the child has now."""
    if child is None:
        return BlockedOn(kind="pods", message=f"the {which} revision's SeldonDeployment is not there yet")
    why = f": {child.refused or child.message}" if child.refused or child.message else ""
    count = max(want or 0, child.replicas)
    message = f"the {which} revision has {child.ready_replicas} of {count} pods ready{why}"
    if child.refused:
        return BlockedOn(kind="quota" if "quota" in child.refused else "error", message=message)
    return BlockedOn(kind="pods", message=message)


def beside(whole: Mapping[str, Any], live: Mapping[str, Any], *, away: float, settled: bool) -> dict[str, Any]:
    """Return stable's spec with the pods for what the canary does not carry, at least one for each predictor.

    Args:
        whole: with all pods.
        live: as it stands.
        away: percent of traffic that the canary really has.
        settled: whether that is in effect; pods go only then.
    """
    small = scaling.scaled(whole, SetScale(match_weight=True), weight=100 - away)
    return small if settled else scaling.at_least(small, live, whole)
