"""Instants: what a status remembers of time, held against the clock that is read now.

Clocks are set back, and the next leader's may be behind the last one's: an instant that lies ahead would make a pause,
a deadline or a drain longer by as much. It counts as this instant.
"""

from datetime import datetime

from controller.api.rollout import RolloutStatus

_OF_STATUS = ("step_started_at", "step_progress_at", "paused_at", "canary_ready_at")
_OF_WEIGHTS = ("changed_at", "accepted_at")


def settled(status: RolloutStatus, *, now: datetime) -> RolloutStatus:
    """Return the status with no instant after `now` that something is counted from."""
    changes: dict[str, object] = {name: now for name in _OF_STATUS if _ahead(getattr(status, name), now)}
    weights = {name: now for name in _OF_WEIGHTS if _ahead(getattr(status.weights, name), now)}
    if weights:
        changes["weights"] = status.weights.model_copy(update=weights)
    if status.blocked_on is not None and _ahead(status.blocked_on.since, now):
        changes["blocked_on"] = status.blocked_on.model_copy(update={"since": now})
    if any(_ahead(retired.retired_at, now) for retired in status.retired_revisions):
        changes["retired_revisions"] = tuple(
            each.model_copy(update={"retired_at": now}) if _ahead(each.retired_at, now) else each
            for each in status.retired_revisions
        )
    analysis = status.analysis
    if _ahead(analysis.started_at, now) or any(_ahead(each, now) for each in analysis.restarts):
        started = now if _ahead(analysis.started_at, now) else analysis.started_at
        restarts = tuple(each for each in analysis.restarts if not _ahead(each, now))
        changes["analysis"] = analysis.model_copy(update={"started_at": started, "restarts": restarts})
    return status.model_copy(update=changes) if changes else status


def _ahead(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant > now
