"""Stuck: when a rollout under way has waited for too long. It loads nothing, so that a list asks it, too."""

from datetime import datetime, timedelta

STUCK_AFTER = timedelta(minutes=15)
"""A rollout under way that waits this long for one kind of thing, a person or the clock excepted."""
MOVING = frozenset({"Pending", "Progressing", "Promoting", "RollingBack"})
_PATIENT = frozenset({"person", "time"})


def due(phase: str, kind: str, since: datetime | None) -> datetime | None:
    """Return when a rollout counts as stuck if nothing changes; None where that is no trouble, as with a person.

    Args:
        phase: where it stands.
        kind: what kind of thing it waits for; empty where it waits for nothing.
        since: since when.
    """
    if phase not in MOVING or not kind or kind in _PATIENT or since is None:
        return None
    return since + STUCK_AFTER
