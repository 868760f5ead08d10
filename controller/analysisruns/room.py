"""Room: how many measurements are under way at once, and whose turn it is when a place becomes free.

Asking can take as long as the time that a template gives it. So no run and no namespace has all places, and who has the
fewest goes next: a template with many slow metrics keeps nobody else waiting for long.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.queue import Key


class Room:
    """So many places, of which a run (namespace, name) has at most `run`, and a namespace at most `namespace`."""

    def __init__(self, places: int = 64, *, run: int = 8, namespace: int = 32) -> None:
        self._free, self._run, self._namespace = places, run, namespace
        self._runs: Counter[Key] = Counter()
        self._namespaces: Counter[str] = Counter()
        self._waiting: dict[Key, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def place(self, key: Key) -> AsyncIterator[None]:
        """Wait for a place, and have it while the block runs."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        self._seat()
        try:
            await turn
            yield
        finally:
            self._leave(key, turn)

    def _leave(self, key: Key, turn: asyncio.Future[None]) -> None:
        if not turn.done() or turn.cancelled():  # it went away while it waited
            waiting = self._waiting.get(key, deque())
            if turn in waiting:
                self._drop(key, turn)
            return
        self._free += 1
        self._take(key, -1)
        self._seat()

    def _seat(self) -> None:
        while self._free and (fitting := [key for key in self._waiting if self._may(key)]):
            # The first of equals is the one that has waited longest.
            key = min(fitting, key=lambda key: (self._namespaces[key[0]], self._runs[key]))
            turn = self._waiting[key][0]
            self._drop(key, turn)
            if turn.cancelled():
                continue
            self._free -= 1
            self._take(key, 1)
            turn.set_result(None)

    def _may(self, key: Key) -> bool:
        return self._runs[key] < self._run and self._namespaces[key[0]] < self._namespace

    def _drop(self, key: Key, turn: asyncio.Future[None]) -> None:
        """Take one that waits out of the row; the others of its run wait behind the other runs."""
        waiting = self._waiting.pop(key)
        waiting.remove(turn)
        if waiting:
            self._waiting[key] = waiting

    def _take(self, key: Key, places: int) -> None:
        self._runs[key] += places
        self._namespaces[key[0]] += places
        if not self._runs[key]:
            del self._runs[key]
        if not self._namespaces[key[0]]:
            del self._namespaces[key[0]]
