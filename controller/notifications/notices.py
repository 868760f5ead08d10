"""Notices: what of a rollout's history is worth telling, out of its status alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from controller.api.rollout import HistoryEntry, RolloutStatus
from controller.notifications.stuck import MOVING, due

_NO_VERDICT = frozenset({"Inconclusive", "NoData", "Error"})


class Trigger(StrEnum):
    """What is told of."""

    STARTED = "started"
    STEP = "step"
    PAUSED = "paused"
    """It waits for a person: at a pause, or for an approval."""
    INCONCLUSIVE = "inconclusive"
    """It waits for a person, because the judge has no verdict."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolledBack"
    SHADOWED = "shadowed"
    STUCK = "stuck"


URGENT = frozenset({Trigger.PAUSED, Trigger.INCONCLUSIVE, Trigger.ROLLED_BACK, Trigger.STUCK})
"""Somebody should look."""
_OF_ENTRIES = {
    "RevisionCreated": Trigger.STARTED,
    "StepCompleted": Trigger.STEP,
    "Paused": Trigger.PAUSED,
    "Promoted": Trigger.PROMOTED,
    "RolledBack": Trigger.ROLLED_BACK,
    "ShadowEnded": Trigger.SHADOWED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell, once for each service."""

    id: str
    """The same for the same event, whoever finds it and however often."""
    trigger: Trigger
    namespace: str
    name: str
    labels: Mapping[str, str]
    """The rollout's."""
    revision: int
    phase: str
    message: str
    at: datetime
    reason: Mapping[str, Any]
    """Why it was rolled back, in figures; empty otherwise."""


def notices(rollout: Mapping[str, Any], *, since: datetime, now: datetime) -> tuple[Notice, ...]:
    """Return what happened to a rollout from `since` on, oldest first."""
    status = _status(rollout)
    found = [
        _notice(rollout, status, _trigger(entry, status), entry.at, entry.revision, entry.message)
        for entry in status.history
        if entry.at >= since and entry.type in _OF_ENTRIES
    ]
    asked = _asked_at(status)
    if asked is not None and since <= asked and status.blocked_on is not None:
        number = status.canary_revision.number if status.canary_revision else 0
        found.append(_notice(rollout, status, Trigger.PAUSED, asked, number, status.blocked_on.message))
    at = stuck_at(rollout)
    if at is not None and since <= at <= now and status.blocked_on is not None:
        number = status.canary_revision.number if status.canary_revision else 0
        blocked = status.blocked_on
        said = f"waits for {blocked.kind} since {blocked.since:%H:%M} UTC: {blocked.message}"
        found.append(_notice(rollout, status, Trigger.STUCK, at, number, said))
    return tuple(found)


def stuck_at(rollout: Mapping[str, Any]) -> datetime | None:
    """Return when a rollout counts as stuck if nothing changes; None where that is no trouble, as with a person."""
    status = _status(rollout)
    blocked = status.blocked_on
    return due(status.phase, blocked.kind, blocked.since) if blocked is not None else None


def _asked_at(status: RolloutStatus) -> datetime | None:
    """Return since when a rollout waits for a person without being paused, as at an approval; None where it does not.

    What is waited for may be of the same kind as before it, such as a pause; the step tells the two apart.
    """
    blocked = status.blocked_on
    if status.phase not in MOVING or blocked is None or blocked.kind != "person" or blocked.since is None:
        return None
    return max(blocked.since, status.step_started_at or blocked.since)


def _status(rollout: Mapping[str, Any]) -> RolloutStatus:
    try:
        return RolloutStatus.model_validate(rollout.get("status") or {})
    except ValueError:
        return RolloutStatus()


def _trigger(entry: HistoryEntry, status: RolloutStatus) -> Trigger:
    trigger = _OF_ENTRIES[entry.type]
    newest = bool(status.history) and status.history[-1] == entry
    asked = newest and not status.paused_by and status.analysis.verdict in _NO_VERDICT
    return Trigger.INCONCLUSIVE if trigger is Trigger.PAUSED and asked else trigger


def _notice(
    rollout: Mapping[str, Any], status: RolloutStatus, trigger: Trigger, at: datetime, revision: int, message: str
) -> Notice:
    meta = rollout["metadata"]
    last = status.rejected[-1] if status.rejected else None
    why = last.reason if trigger is Trigger.ROLLED_BACK and last and last.number == revision else None
    return Notice(
        id=f"{meta['uid']}/{trigger.value}/{revision}/{at.isoformat()}",
        trigger=trigger,
        namespace=meta["namespace"],
        name=meta["name"],
        labels=dict(meta.get("labels") or {}),
        revision=revision,
        phase=status.phase,
        message=message,
        at=at,
        reason=why.model_dump(by_alias=True, mode="json", exclude_none=True) if why else {},
    )
