"""Phases for the eye: which of them somebody should look at first, and in which colour."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from controller.notifications.stuck import MOVING, due

_URGENCY = {"Degraded": 0, "Invalid": 0, "Paused": 1, "RollingBack": 2, "Promoting": 3, "Progressing": 3, "Pending": 4}
_STUCK = 0
_STYLES = {"Healthy": "green", "Degraded": "red", "Invalid": "red", "Paused": "yellow", "RollingBack": "red"}
_STUCK_STYLE = "red"


def stuck(row: Mapping[str, Any], now: datetime) -> bool:
    """Say whether what moves by its phase does not: a first revision that cannot start, or a wait for too long.

    Args:
        row: of the server's table; one without a phase was not looked at yet.
        now: the instant.
    """
    since = datetime.fromisoformat(row["Since"]) if row.get("Since") else None
    at = due(row.get("Phase") or "", row.get("Waits") or "", since)
    return (row.get("Phase") in MOVING and bool(row.get("Stalled"))) or (at is not None and at <= now)


def urgency(row: Mapping[str, Any], *, stuck: bool) -> int:
    """Return a number that sorts what needs a person first, of a row of the server's table."""
    return rank(row.get("Phase") or "Pending", asks=row.get("Waits") == "person", stuck=stuck)


def rank(phase: str, *, asks: bool, stuck: bool = False) -> int:
    """Return the number of a phase; `asks` says whether a person is waited for, `stuck` whether it does not move."""
    if stuck:
        return _STUCK
    return _URGENCY["Paused"] if asks and phase in MOVING else _URGENCY.get(phase, 5)


def style(phase: str, *, stuck: bool = False) -> str:
    """Return a phase's colour."""
    return _STUCK_STYLE if stuck else _STYLES.get(phase, "")
