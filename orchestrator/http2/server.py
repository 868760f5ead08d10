"""Listens for gRPC."""

import asyncio
import logging
import ssl

from orchestrator.http2.serving import Serving, Terms

log = logging.getLogger(__name__)

_LINGER = 0.5  # seconds for a client to hear that it should leave
_SWEEP = 1.0
_ABORTED = 1.0  # seconds for handlers that are cancelled


class Server:
    """Listens on one address and serves what `terms` name."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.connections: set[Serving] = set()
        self._listener: asyncio.Server | None = None
        self._emptied = asyncio.Event()
        self._sweeping: asyncio.TimerHandle | None = None
        self._draining = False

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None, *, together: bool = False) -> int:
        """Listen on `host`:`port` (0 picks a free one) and return the port. Raises OSError when it is taken.

        With `together` other processes that say the same may listen there, too.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Serving(self, loop),
            host,
            port,
            ssl=tls,
            backlog=2048,
            reuse_address=True,
            reuse_port=together or None,
        )
        self._sweeping = loop.call_later(_SWEEP, self._sweep, loop)
        return int(self._listener.sockets[0].getsockname()[1])

    def discard(self, connection: Serving) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = loop.call_later(_SWEEP, self._sweep, loop)
        now = loop.time()
        for connection in list(self.connections):
            connection.sweep(now)

    async def close(self, within: float) -> bool:
        """Take no more calls, let those under way finish, and say whether all did so within `within` seconds."""
        if self._listener is not None:
            self._listener.close()
        if within > 0.0:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + within
            for connection in list(self.connections):
                connection.leave()
            await self._wait_empty(min(_LINGER, within))
            for connection in list(self.connections):
                connection.last_word()
            await self._wait_empty(max(0.0, deadline - loop.time()))
        under_way = {task for connection in self.connections for task in connection.tasks}
        if under_way and within > 0.0:
            log.warning("%d calls over gRPC were still under way after %.3g s; ending them", len(under_way), within)
        for connection in list(self.connections):
            connection.abort()
        if under_way:
            await asyncio.wait(under_way, timeout=_ABORTED)
        if self._sweeping is not None:
            self._sweeping.cancel()
        return not under_way

    async def _wait_empty(self, seconds: float) -> bool:
        self._emptied.clear()
        if not self.connections:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True
