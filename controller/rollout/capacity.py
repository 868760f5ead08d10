"""Capacity: what stable's ready pods can carry, how small it may be beside a canary, and whose pods have more to do."""

from collections.abc import Mapping
from typing import Any

from controller.api.arms import Weights
from controller.api.rollout import BlockedOn, Blocker
from controller.api.strategy import ProgressThreshold, SetScale
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


def suffices(child: Child, whole: Mapping[str, Any], threshold: ProgressThreshold) -> bool:
    """Say whether a revision has the ready pods that a threshold asks for. None is ready where a Deployment has none.

    Args:
        child: as it stands.
        whole: the spec that it should have now; its Deployments may lag behind that.
        threshold: how many are enough.
    """
    if not child.serving or child.replicas < scaling.least_pods(whole):
        return False
    if threshold.percent is not None:
        return all(100 * ready >= threshold.percent * wanted for ready, wanted in child.pods)
    return all(ready >= min(threshold.replicas or wanted, wanted) for ready, wanted in child.pods)


def enough(child: Child | None, threshold: ProgressThreshold | None, *, holds: bool) -> str:
    """Say how many ready pods are enough, as the end of a sentence that counts them; empty where all are anyway.

    Args:
        child: as it stands.
        threshold: the strategy's.
        holds: whether it is in force for what comes next.
    """
    if threshold is None or child is None:
        return ""
    if not holds:
        return ", all are needed for what comes next"
    if threshold.percent is not None:
        return f", {threshold.percent} % are enough"
    where = " in each Deployment" if len(child.pods) > 1 else ""
    return f", {threshold.replicas} are enough{where}"


def waiting(which: str, child: Child | None, want: int | None = None, enough: str = "") -> BlockedOn:
    """Say which pods are waited for, and what they say.

    Args:
        which: the revision's role.
        child: as it stands.
        want: how many pods it should have, where that is more than it has now.
        enough: how many of them are, where not all are needed.
    """
    if child is None:
        return BlockedOn(kind="pods", message=f"the {which} revision's SeldonDeployment is not there yet")
    why = f": {child.refused or child.message}" if child.refused or child.message else ""
    count = max(want or 0, child.replicas)
    message = f"the {which} revision has {child.ready_replicas} of {count} pods ready{enough}{why}"
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


def times(canary: Child | None, stable: Child | None, weights: Weights) -> float:
    """Return how many times the requests of one of stable's pods one of the canary's gets; 0 where nobody can say.

    Args:
        canary: as it stands; its pods are taken to share its requests, as stable's do.
        stable: as it stands.
        weights: as they are; copies are requests like others for who gets them.
    """
    if canary is None or stable is None or not canary.serving or not stable.serving:
        return 0.0
    rest = 100 - weights.canary or weights.control
    asked = weights.canary + weights.mirror
    return asked * stable.ready_replicas / (rest * canary.ready_replicas) if rest else 0.0
