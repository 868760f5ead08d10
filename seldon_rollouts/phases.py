"""Phases for the eye: which of them somebody should look at first, and in which colour."""

from collections.abc import Mapping
from typing import Any

_URGENCY = {"Degraded": 0, "Invalid": 0, "Paused": 1, "RollingBack": 2, "Promoting": 3, "Progressing": 3, "Pending": 4}
MOVING = frozenset({"Pending", "Progressing", "Promoting", "RollingBack"})
_STYLES = {"Healthy": "green", "Degraded": "red", "Invalid": "red", "Paused": "yellow", "RollingBack": "red"}


def urgency(row: Mapping[str, Any]) -> int:
    """Return a number that sorts what needs a person first.

    Args:
        row: of the server's table; one without a phase was not looked at yet.
    """
    return rank(row.get("Phase") or "Pending", asks=row.get("Waits") == "person")


def rank(phase: str, *, asks: bool) -> int:
    """Return the number of a phase; `asks` says whether a person is waited for."""
    return _URGENCY["Paused"] if asks and phase in MOVING else _URGENCY.get(phase, 5)


def style(phase: str) -> str:
    """Return a phase's colour."""
    return _STYLES.get(phase, "")
