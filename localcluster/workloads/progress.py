"""A Deployment's status: counts, and the conditions Available, Progressing, ReplicaFailure with known reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.times import seconds_since, stamp
from localcluster.workloads.pods import condition

NO_DEADLINE = 2**31 - 1
COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
Condition = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pods of a Deployment: all, of the new ReplicaSet, ready, available, and wanted by all ReplicaSets together."""

    replicas: int
    updated: int
    ready: int
    available: int
    wanted: int

    def fields(self) -> dict[str, int]:
        """As status fields."""
        unavailable = max(0, self.wanted - self.available)
        return dict(zip(COUNTS, (self.replicas, self.updated, self.ready, self.available, unavailable), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What one look at a Deployment found: facts that the conditions are made of."""

    counts: Counts
    least_available: int
    new_name: str
    """The name of the new ReplicaSet, empty while there is none."""
    created: bool = False
    """It is being created by this very decision."""
    failure: Mapping[str, Any] | None = None
    """The ReplicaFailure condition of one of its ReplicaSets."""


def status_of(deployment: Mapping[str, Any], seen: Happening, now: datetime) -> dict[str, Any]:
    """The whole status that the Deployment should have."""
    spec = deployment["spec"]
    old = deployment.get("status") or {}
    status: dict[str, Any] = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    if old.get("collisionCount"):
        status["collisionCount"] = old["collisionCount"]
    status |= seen.counts.fields()
    conditions = [_available(seen)]
    if deadline_of(deployment) is not None:
        progressing = _paused(deployment) if spec.get("paused") else _progressing(deployment, seen, now)
        if progressing is not None:
            conditions.append(progressing)
    if seen.failure:
        conditions.append(_condition("ReplicaFailure", "True", seen.failure.get("reason"), seen.failure.get("message")))
    status["conditions"] = [_dated(entry, condition(deployment, entry["type"]), now) for entry in conditions]
    return status


def deadline_of(deployment: Mapping[str, Any]) -> int | None:
    """spec.progressDeadlineSeconds, 600 when it is not set; None when there is no deadline."""
    value = deployment["spec"].get("progressDeadlineSeconds")
    seconds = 600 if value is None else int(value)
    return None if seconds >= NO_DEADLINE else seconds


def deadline_in(deployment: Mapping[str, Any], status: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds until the progress deadline passes, None when nothing is waited for."""
    seconds = deadline_of(deployment)
    progressing = condition({"status": status}, "Progressing")
    if seconds is None or progressing is None or deployment["spec"].get("paused"):
        return None
    if progressing["status"] == "False" or progressing["reason"] == "NewReplicaSetAvailable":
        return None
    return max(0.0, seconds - seconds_since(progressing.get("lastUpdateTime"), now)) + 1


def _available(seen: Happening) -> Condition:
    if seen.counts.available >= seen.least_available:
        said = f"{seen.counts.available} of at least {seen.least_available} pods are available."
        return _condition("Available", "True", "MinimumReplicasAvailable", said)
    said = f"Only {seen.counts.available} of at least {seen.least_available} pods are available."
    return _condition("Available", "False", "MinimumReplicasUnavailable", said)


def _paused(deployment: Mapping[str, Any]) -> Condition | None:
    """Paused: the clock stands still. A failure that was already found stays."""
    known = condition(deployment, "Progressing")
    if known is not None and known.get("reason") == "ProgressDeadlineExceeded":
        return dict(known)
    return _condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")


def _progressing(deployment: Mapping[str, Any], seen: Happening, now: datetime) -> Condition | None:
    known = condition(deployment, "Progressing")
    subject = f'ReplicaSet "{seen.new_name}"' if seen.new_name else f'Deployment "{deployment["metadata"]["name"]}"'
    if known is not None and known.get("reason") == "DeploymentPaused":
        return _condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
    if seen.created:
        return _condition("Progressing", "True", "NewReplicaSetCreated", f"{subject} was created.")
    counts, old = seen.counts, deployment.get("status") or {}
    if _complete(deployment, counts):
        return _condition("Progressing", "True", "NewReplicaSetAvailable", f"{subject} is fully available.")
    if known is not None and known.get("reason") == "NewReplicaSetAvailable" and counts.replicas == counts.updated:
        return dict(known)  # a pod that was lost after the update is no new progress to wait for
    if known is None:
        return _condition("Progressing", "True", "FoundNewReplicaSet", f"{subject} exists already.")
    if _moved(counts, old):
        return _condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.") | {"fresh": True}
    if _timed_out(deployment, known, now):
        return _condition("Progressing", "False", "ProgressDeadlineExceeded", f"{subject} stopped progressing.")
    return dict(known)


def _complete(deployment: Mapping[str, Any], counts: Counts) -> bool:
    value = deployment["spec"].get("replicas")
    desired = 1 if value is None else value
    return bool(counts.updated == desired == counts.replicas == counts.available)


def _moved(counts: Counts, old: Mapping[str, Any]) -> bool:
    """More updated, fewer old, more ready or more available pods than the status says."""
    replicas, updated, ready, available = (int(old.get(name) or 0) for name in COUNTS[:4])
    fewer_old = counts.replicas - counts.updated < replicas - updated
    return counts.updated > updated or fewer_old or counts.ready > ready or counts.available > available


def _timed_out(deployment: Mapping[str, Any], known: Mapping[str, Any], now: datetime) -> bool:
    if known.get("reason") == "ProgressDeadlineExceeded":
        return True
    seconds = deadline_of(deployment)
    if seconds is None or known.get("reason") == "NewReplicaSetAvailable":
        return False
    return seconds_since(known.get("lastUpdateTime"), now) > seconds


def _condition(kind: str, status: str, reason: object, message: object) -> Condition:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _dated(wanted: Condition, known: Mapping[str, Any] | None, now: datetime) -> Condition:
    """Keep the times of a condition that says the same as before; `lastTransitionTime` moves only with its status."""
    fresh = wanted.pop("fresh", False)
    told = {name: wanted[name] for name in ("type", "status", "reason", "message")}
    at = stamp(now)
    if known is None or known.get("status") != told["status"]:
        return told | {"lastUpdateTime": at, "lastTransitionTime": at}
    since = known.get("lastTransitionTime") or at
    same = known.get("reason") == told["reason"] and not fresh
    return told | {"lastUpdateTime": known.get("lastUpdateTime", at) if same else at, "lastTransitionTime": since}
