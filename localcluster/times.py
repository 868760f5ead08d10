"""Kubernetes' way to write a moment: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime) -> str:
    """`2024-05-01T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """The moment of a stamp, or None when there is none. Raises ValueError for a malformed one."""
    return datetime.fromisoformat(text) if text else None


def seconds_since(text: str | None, now: datetime) -> float:
    """Seconds from a stamp until now; endless when there is no stamp."""
    then = moment(text)
    return float("inf") if then is None else (now - then).total_seconds()
