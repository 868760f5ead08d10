"""One timer that is moved for almost nothing."""

import asyncio
from collections.abc import Callable
from math import inf


class Countdown:
    """Calls `expire` once when `start(seconds)` was not followed by `stop()` or another `start` in time.

    A connection moves its deadline for every request. Making and cancelling a loop timer each time costs more than
    the rest of the book-keeping together, so the loop's timer is left where it is and looks again when it fires.
    """

    __slots__ = ("_deadline", "_expire", "_fires", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._fires = inf

    def start(self, seconds: float) -> None:
        """Expire in `seconds` from now, instead of whenever it was before. `inf` is `stop`."""
        self._deadline = deadline = self._loop.time() + seconds
        if deadline < self._fires:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(seconds, deadline)

    def stop(self) -> None:
        """Do not expire; the next `start` may use the loop's timer that is still there."""
        self._deadline = inf

    def pause(self) -> float:
        """Stop, and give the seconds that were left: `start` with them goes on. `inf` when it was not running."""
        left = self._deadline - self._loop.time()
        self._deadline = inf
        return left

    def close(self) -> None:
        """Give the loop's timer back. The countdown can be started again."""
        self._deadline = self._fires = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, seconds: float, fires: float) -> None:
        self._fires = fires
        self._timer = self._loop.call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._fires = inf
        if self._deadline == inf:
            return
        left = self._deadline - self._loop.time()
        if left > 0:
            self._arm(left, self._deadline)
            return
        self._deadline = inf
        self._expire()
