"""HTTP/1.1 to a handler: the server that both the orchestrator and the node runtime stand behind."""

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable

from orchestrator.room import Room
from orchestrator.servers.connection import Connection
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request
from orchestrator.servers.reading import Handler

log = logging.getLogger(__name__)

_LINGER = 0.5  # seconds an idle connection stays open in a drain: a request may be on its way


class Server:
    """Listens on one address and hands whole requests to `handler`.

    The handler gives a response, or a coroutine of one that is cancelled when its client leaves. It gets requests with
    long bodies before these are whole, if `streams` says of them that it can do with that. All that are whole have
    to fit into `room`.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits | None = None,
        streams: Callable[[Request], bool] = lambda _: False,
        room: Room | None = None,
    ) -> None:
        self.handler = handler
        self.streams = streams
        self.limits = limits or Limits()
        self.room = room or Room(sys.maxsize)
        self.draining = False
        self.connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._emptied = asyncio.Event()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None, *, together: bool = False) -> int:
        """Listen on `host`:`port` (0 picks a free one) and return the port. Raises OSError when it is taken.

        With `together` other processes that say the same may listen there, too.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self, loop),
            host,
            port,
            ssl=tls,
            backlog=2048,
            reuse_address=True,
            reuse_port=together or None,
        )
        return int(self._listener.sockets[0].getsockname()[1])

    def discard(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()

    def start_draining(self) -> None:
        """From now on each answer asks its client to leave; new connections are still taken."""
        self.draining = True

    async def close(self, within: float) -> bool:
        """Take no more connections, let requests finish, and say whether all did so within `within` seconds."""
        self.start_draining()
        if self._listener is not None:
            self._listener.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await self._wait_empty(min(_LINGER, within))
        for connection in list(self.connections):
            connection.close_if_idle()
        clean = await self._wait_empty(max(0.0, deadline - loop.time()))
        if not clean:
            log.warning("%d connections still had a request after %.3g s; closing them", len(self.connections), within)
            for connection in list(self.connections):
                connection.abort()
        return clean

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
