"""Which key is reconciled next: one worker for each key at a time, delays, and back-off per key.

`Schedule` decides with the time as an argument; `WorkQueue` lets workers wait for it.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from controller.backoff import Backoff

Key = tuple[str, str]
"""Namespace and name."""

DEFAULT_BACKOFF = Backoff(timedelta(seconds=0.2), timedelta(minutes=2))
EAGER = timedelta(seconds=1)


class Schedule:
    """Keys that are due, in the order in which they became due; keys that wait; keys that are being worked on.

    A key is in work once at most: what is added meanwhile comes after `done`. A delay is an upper bound: when the key
    is taken earlier, for a change, that pass answers it. Times are seconds on any steady clock.

    Args:
        backoff: the waits of a key that fails.
        eager: how soon a change may bring back a key that waits after a failure, so that failing passes that change
            something do not run in a circle.
    """

    def __init__(self, backoff: Backoff = DEFAULT_BACKOFF, eager: timedelta = EAGER) -> None:
        self._backoff, self._eager = backoff, eager.total_seconds()
        self._ready: dict[Key, float] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushed = 0
        self._busy: set[Key] = set()
        self._again: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._not_before: dict[Key, float] = {}
        self.waited = 0.0
        """How long the key that was taken last had been due, in seconds."""

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    @property
    def busy(self) -> int:
        """How many keys are being worked on."""
        return len(self._busy)

    def ready(self, now: float) -> int:
        """Return how many keys are due."""
        self._promote(now)
        return len(self._ready)

    def failures(self, key: Key) -> int:
        """Return how often a key failed in a row."""
        return self._failures.get(key, 0)

    def add(self, key: Key, now: float) -> None:
        """Something changed: the key is due now, or soon if it just failed."""
        self.add_at(key, max(now, self._not_before.get(key, now)), now)

    def add_at(self, key: Key, at: float, now: float) -> None:
        """The key is due at a time, if it does not come earlier."""
        if key in self._busy:
            self._again[key] = min(at, self._again.get(key, at))
        elif key not in self._ready and at < self._due.get(key, float("inf")):
            if at <= now:
                self._due.pop(key, None)
                self._ready[key] = now
            else:
                self._wait(key, at)

    def take(self, now: float) -> Key | None:
        """Return the key that has been due longest, if any; it is in work until `done`."""
        self._promote(now)
        if not self._ready:
            return None
        key = next(iter(self._ready))
        self.waited = max(now - self._ready.pop(key), 0.0)
        self._busy.add(key)
        return key

    def done(self, key: Key, now: float) -> None:
        """The pass is over; what was added meanwhile counts now."""
        self._busy.discard(key)
        at = self._again.pop(key, None)
        if at is not None:
            self.add_at(key, at, now)

    def fail(self, key: Key, now: float, *, draw: float = 0.0, at_least: timedelta = timedelta(0)) -> float:
        """The pass failed: come back later, each time later; return the wait in seconds.

        Args:
            key: the key, in work.
            now: the time.
            draw: a number in [0, 1), for jitter.
            at_least: what a server asked for.
        """
        count = self._failures[key] = self._failures.get(key, 0) + 1
        wait = max(self._backoff.after(count, draw), at_least).total_seconds()
        soonest = now + min(wait, max(self._eager, at_least.total_seconds()))
        self._not_before[key] = soonest
        if key in self._again:
            self._again[key] = max(self._again[key], soonest)
        self.add_at(key, now + wait, now)
        return wait

    def forget(self, key: Key) -> None:
        """The pass went well, or trying again cannot help: the next failure is the first."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    def next_at(self) -> float | None:
        """Return when the next waiting key is due; None when none waits."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _wait(self, key: Key, at: float) -> None:
        self._due[key] = at
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, key))

    def _promote(self, now: float) -> None:
        while (at := self.next_at()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            self._ready[key] = at


class WorkQueue:
    """A schedule that workers wait on; all calls from one event loop.

    Args:
        schedule: what decides; a fresh one when absent.
        chance: draws a number in [0, 1), for jitter.
    """

    def __init__(self, schedule: Schedule | None = None, *, chance: Callable[[], float] = random.random) -> None:
        self.schedule = schedule or Schedule()
        self._chance = chance
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._closed = False

    def add(self, key: Key) -> None:
        """Make a key due."""
        self.schedule.add(key, self._now())
        self._stir()

    def add_after(self, key: Key, delay: timedelta) -> None:
        """Make a key due after a while."""
        now = self._now()
        self.schedule.add_at(key, now + delay.total_seconds(), now)
        self._stir()

    async def get(self) -> Key | None:
        """Wait for a key that is due and give it back with `done`; None once the queue is closed."""
        while not self._closed:
            key = self.schedule.take(self._now())
            if key is not None:
                return key
            self._arm()
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                else:
                    self._stir()  # we were woken and go without a key: another has to wake
                raise
        return None

    def done(self, key: Key) -> None:
        """Give a key back."""
        self.schedule.done(key, self._now())
        self._stir()

    def fail(self, key: Key, *, at_least: timedelta = timedelta(0)) -> timedelta:
        """Let a key in work come back after its back-off; return the wait."""
        wait = self.schedule.fail(key, self._now(), draw=self._chance(), at_least=at_least)
        return timedelta(seconds=wait)

    def forget(self, key: Key) -> None:
        """End a key's back-off."""
        self.schedule.forget(key)

    def depth(self) -> int:
        """Return how many keys are due."""
        return self.schedule.ready(self._now())

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _stir(self) -> None:
        """Wake as many workers as there are keys, and see to it that the next delay wakes one."""
        for _ in range(min(self.schedule.ready(self._now()), len(self._waiting))):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        self._arm()

    def _arm(self) -> None:
        at = self.schedule.next_at()
        if at is None or self._closed or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._stir()

    def close(self) -> None:
        """Hand out no more keys; workers that wait get None."""
        self._closed = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
