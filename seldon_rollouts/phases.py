"""Phases for the eye: which of them somebody should look at first, and in which colour."""

_URGENCY = {"Degraded": 0, "Invalid": 0, "Paused": 1, "RollingBack": 2, "Promoting": 3, "Progressing": 3, "Pending": 4}
_MOVING = frozenset({"Pending", "Progressing", "Promoting", "RollingBack"})
_STYLES = {"Healthy": "green", "Degraded": "red", "Invalid": "red", "Paused": "yellow", "RollingBack": "red"}


def urgency(phase: str, waits: str = "") -> int:
    """Return a number that sorts what needs a person first; `waits`: what kind of thing is waited for."""
    asks = waits == "person" and phase in _MOVING
    return _URGENCY["Paused"] if asks else _URGENCY.get(phase, 5)


def style(phase: str) -> str:
    """Return a phase's colour."""
    return _STYLES.get(phase, "")
