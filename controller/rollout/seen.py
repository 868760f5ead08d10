"""Seen: what rollouts of a group see of each other. Pure.

A member is read from its face and from nothing else, so a change of anything else of it concerns nobody.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from controller.api.rollout import RolloutStatus
from controller.rollout.observed import Member

_PLAIN = (
    "observedGeneration", "phase", "currentStepIndex", "stepCount", "pausedAt", "pausedBy", "pauseReason", "group",
)  # fmt: skip
_CONDITION = ("type", "status", "lastTransitionTime")


def face(live: Mapping[str, Any]) -> dict[str, Any]:
    """Return what others see of a rollout: no figures, and no sentence that is about figures."""
    meta, spec, status = live["metadata"], _part(live, "spec"), _part(live, "status")
    seen: dict[str, Any] = {name: status[name] for name in _PLAIN if name in status}
    canary, blocked = _part(status, "canaryRevision"), _part(status, "blockedOn")
    if canary:
        seen["canaryRevision"] = _some(canary, ("hash", "number"))
    if blocked.get("kind") == "gate":
        seen["blockedOn"] = _some(blocked, ("kind", "message"))
    if isinstance(rejected := status.get("rejected"), list):
        seen["rejected"] = rejected[-1:]
    if isinstance(conditions := status.get("conditions"), list):
        seen["conditions"] = [_some(each, _CONDITION) for each in conditions if isinstance(each, Mapping)]
    return {
        "labels": meta.get("labels") or {},
        "generation": meta.get("generation", 0),
        "leaving": "deletionTimestamp" in meta,
        "group": _part(spec, "group"),
        "status": seen,
    }


def member(live: Mapping[str, Any]) -> Member:
    """Read a rollout as another of its group."""
    shown = face(live)
    try:
        status = RolloutStatus.model_validate(shown["status"])
    except ValidationError:
        status = RolloutStatus()  # somebody else wrote it
    return Member(
        status=status,
        current=status.observed_generation == shown["generation"],
        labels=labels(shown["group"]),
        wave=str(shown["group"].get("wave") or ""),
    )


def labels(group: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what a group's selector asks for; None of what has none or cannot be read."""
    found = _part(group, "selector").get("matchLabels")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) and found else None


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def _some(of: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: of[name] for name in names if name in of}
