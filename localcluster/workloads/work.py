"""A queue of objects to look at: each at most once at a time, again after a failure with back-off, again at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from localcluster.objects import ApiError

WORKERS = 16
FIRST_DELAY, LAST_DELAY = 0.05, 5.0
log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One object of a kind; an empty name means the whole namespace."""

    plural: str
    namespace: str
    name: str


class Work:
    """Runs `sync(item)` for every added item; its answer is the seconds after which to run again, or None."""

    def __init__(self, sync: Callable[[Item], Awaitable[float | None]]) -> None:
        self._sync = sync
        self._ready: dict[Item, None] = {}
        self._running: set[Item] = set()
        self._again: set[Item] = set()
        self._failures: dict[Item, int] = {}
        self._timers: dict[Item, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    def add(self, item: Item) -> None:
        """Look at an item soon; while it is being looked at, once more afterwards."""
        if item in self._running:
            self._again.add(item)
            return
        self._ready[item] = None
        self._wake.set()

    def start(self) -> None:
        """Begin to work."""
        self._workers = [asyncio.create_task(self._worker(), name=f"worker {index}") for index in range(WORKERS)]

    async def stop(self) -> None:
        """End the workers and forget all timers."""
        for timer in self._timers.values():
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _worker(self) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            item = next(iter(self._ready))
            del self._ready[item]
            self._running.add(item)
            try:
                await self._run(item)
            finally:
                self._running.discard(item)
            if item in self._again:
                self._again.discard(item)
                self.add(item)

    async def _run(self, item: Item) -> None:
        if timer := self._timers.pop(item, None):
            timer.cancel()
        try:
            delay = await self._sync(item)
        except ApiError as error:
            delay = self._failed(item)
            log.debug("%s %s/%s: again in %.2f s: %s", *item, delay, error)
        except (KeyError, TypeError, ValueError):
            delay = max(1.0, self._failed(item))
            log.exception("%s %s/%s cannot be understood; again in %.2f s", *item, delay)
        else:
            self._failures.pop(item, None)
        if delay is not None:
            self._timers[item] = asyncio.get_running_loop().call_later(delay, self._due, item)

    def _failed(self, item: Item) -> float:
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        return float(min(LAST_DELAY, FIRST_DELAY * 2**failures))

    def _due(self, item: Item) -> None:
        self._timers.pop(item, None)
        self.add(item)
