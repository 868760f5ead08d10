"""Simulated time: what happens next, and whose clock shows what. Nothing here sleeps."""

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Timeline:
    """Events in the order of their time; ties in the order in which they were asked for.

    Args:
        seed: where all chance comes from; each user of chance has a stream of its own, so that leaving out one event of
            a story disturbs the others little.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        """Seconds since the start, steady."""
        self.skew = 0.0
        """How far the clock of whoever acts now is off."""
        self.steps = 0
        """Events that touched the API, a controller, a pod or the mesh."""
        self.after_step: Callable[[], None] = lambda: None
        self._seed = seed
        self._heap: list[tuple[float, int, Callable[[], None], bool]] = []
        self._order = itertools.count()

    def chance(self, name: str) -> random.Random:
        """Return a stream of chance of one's own."""
        return random.Random(f"{self._seed}/{name}")

    def at(self, when: float, do: Callable[[], None], *, counts: bool = True) -> None:
        """Do something at a time."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), do, counts))

    def after(self, seconds: float, do: Callable[[], None], *, counts: bool = True) -> None:
        """Do something after a while."""
        self.at(self.now + seconds, do, counts=counts)

    def run_until(self, when: float) -> None:
        """Let everything happen that is due by then."""
        while self._heap and self._heap[0][0] <= when:
            self.now, _, do, counts = heapq.heappop(self._heap)
            do()
            if counts:
                self.steps += 1
                self.after_step()
        self.now = max(self.now, when)

    def true_time(self) -> datetime:
        """What a right clock shows."""
        return START + timedelta(seconds=self.now)

    def shown_time(self) -> datetime:
        """What the clock of whoever acts now shows."""
        return START + timedelta(seconds=self.now + self.skew)
