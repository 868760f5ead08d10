"""Rivals: two processes that lead at once for a moment, each with a judge and a clock of its own. Pure but for memory.

What moves a rollout is the same for both, or held against the server. But what only tells, such as how far the judge
is, each would put right again after the other, as fast as they can. So whoever finds that told otherwise than it wrote
last tells it no more often than once in a while.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.queue import Key

PAUSE = timedelta(seconds=2)
"""Between two writes of what another leader tells otherwise."""
_TOLD = frozenset({"analysis", "blockedOn", "conditions", "message"})
_TOLD_OF_WEIGHTS = frozenset({"observed", "verified"})
Status = Mapping[str, Any]


class Rivals:
    """Remembers what this process wrote last of each rollout, and when."""

    def __init__(self) -> None:
        self._written: dict[Key, tuple[Status, datetime]] = {}

    def wrote(self, key: Key, status: Status, *, now: datetime) -> None:
        """Keep what was written."""
        self._written[key] = status, now

    def forget(self, key: Key) -> None:
        """Drop what is known of a rollout."""
        self._written.pop(key, None)

    def wait(self, key: Key, live: Status, fresh: Status, *, now: datetime) -> timedelta:
        """Return how long a status is not to be written yet; nothing where it is ours alone, or moves the rollout."""
        last, at = self._written.get(key, (live, now))
        if last == live or _moved(live, fresh):
            return timedelta()
        return min(max(at + PAUSE - now, timedelta()), PAUSE)


def _moved(live: Status, fresh: Status) -> bool:
    return _kept(live) != _kept(fresh)


def _kept(status: Status) -> Status:
    weights = {key: each for key, each in (status.get("weights") or {}).items() if key not in _TOLD_OF_WEIGHTS}
    return {**{key: each for key, each in status.items() if key not in _TOLD}, "weights": weights}
