"""Durations as templates write them: `30s`, `1h30m`, `1.5m`."""

import re
from datetime import timedelta

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
LONGEST = timedelta(hours=87_600)
"""The longest that is taken, ten years: later instants could not be reckoned with."""


def duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: the text is none, or it is longer than `LONGEST`.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; expected one such as 30s, 5m or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text[:50]!r} is too long; expected at most 87600h, ten years")
    return timedelta(seconds=seconds)
