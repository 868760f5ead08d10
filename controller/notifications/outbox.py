"""Outbox: what has to be told to which service, when it is tried again, and up to when everything was told. Pure."""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.backoff import Backoff
from controller.notifications.notices import Notice

RETRY = Backoff(base=timedelta(seconds=2), cap=timedelta(minutes=5))
GIVE_UP = timedelta(hours=24)
"""A notice that nobody took for so long is dropped."""
FULL = 10_000
REMEMBERED = 20_000


@dataclass(slots=True)
class Letter:
    """One notice for one service."""

    notice: Notice
    service: str
    due: datetime
    failures: int = 0


@dataclass(slots=True)
class Outbox:
    """Letters that wait. Each notice is posted once for each service; each leaves when it was delivered or given up."""

    waiting: list[Letter] = field(default_factory=list)
    dropped: int = 0
    _known: dict[tuple[str, str], None] = field(default_factory=dict)
    _tried: dict[str, deque[datetime]] = field(default_factory=dict)
    _left_alone: dict[str, datetime] = field(default_factory=dict)

    def post(self, notice: Notice, services: Iterable[str], now: datetime) -> None:
        """Take a notice for these services, unless it was taken before; when it is full the oldest is dropped."""
        for service in sorted(services):
            key = (notice.id, service)
            if key in self._known:
                continue
            self._known[key] = None
            if len(self._known) > REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self.waiting.append(Letter(notice, service, now))
            if len(self.waiting) > FULL:
                self.waiting.pop(0)
                self.dropped += 1

    def due(self, now: datetime, per_minute: dict[str, int]) -> list[Letter]:
        """Return the letters to send now, oldest first, no more for each service than may be tried in a minute."""
        kept = [each for each in self.waiting if now - each.notice.at <= GIVE_UP and each.service in per_minute]
        self.dropped += len(self.waiting) - len(kept)
        self.waiting = kept
        room = {service: limit - self._lately(service, now) for service, limit in per_minute.items()}
        ready = []
        for letter in self.waiting:
            due = max(letter.due, self._left_alone.get(letter.service, letter.due))
            if due <= now and room[letter.service] > 0:
                room[letter.service] -= 1
                ready.append(letter)
        return ready

    def delivered(self, letter: Letter, now: datetime) -> None:
        """Take out a letter that a service took."""
        self._tried.setdefault(letter.service, deque()).append(now)
        with suppress(ValueError):  # it may have been dropped while it was under way
            self.waiting.remove(letter)

    def failed(self, letter: Letter, now: datetime, draw: float, wait: timedelta = timedelta(0)) -> None:
        """Try a letter again later.

        Args:
            letter: what was not taken.
            now: when.
            draw: a number in [0, 1), by chance.
            wait: how long the service asks to be left alone, with all of its letters.
        """
        self._tried.setdefault(letter.service, deque()).append(now)
        self._left_alone[letter.service] = max(now + wait, self._left_alone.get(letter.service, now))
        letter.failures += 1
        letter.due = now + RETRY.after(letter.failures, draw)

    def told_until(self, newest: datetime) -> datetime:
        """Return the instant up to which nothing is left to tell, given the newest that was looked at."""
        oldest = min((letter.notice.at for letter in self.waiting), default=None)
        return newest if oldest is None else min(newest, oldest - timedelta(microseconds=1))

    def _lately(self, service: str, now: datetime) -> int:
        tried = self._tried.get(service, deque())
        while tried and now - tried[0] > timedelta(minutes=1):
            tried.popleft()
        return len(tried)
