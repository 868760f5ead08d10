"""Listening: what a server does alike whichever HTTP its connections speak."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar

ConnectionT = TypeVar("ConnectionT", bound=asyncio.Protocol)


class Listening(Generic[ConnectionT]):
    """Listens on one address, and knows the connections that are open.

    `make` gives a new one, which adds itself to `connections`, and is discarded when it is gone.
    """

    def __init__(self, make: Callable[[asyncio.AbstractEventLoop], ConnectionT]) -> None:
        self.connections: set[ConnectionT] = set()
        self._make = make
        self._listener: asyncio.Server | None = None
        self._emptied = asyncio.Event()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None, *, together: bool = False) -> int:
        """Listen on `host`:`port` (0 picks a free one) and return the port. Raises OSError when it is taken.

        With `together` other processes that say the same may listen there, too.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: self._make(loop),
            host,
            port,
            ssl=tls,
            backlog=2048,
            reuse_address=True,
            reuse_port=together or None,
        )
        return int(self._listener.sockets[0].getsockname()[1])

    def discard(self, connection: ConnectionT) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()

    def stop_listening(self) -> None:
        """Take no new connections."""
        if self._listener is not None:
            self._listener.close()

    async def emptied(self, seconds: float) -> bool:
        """Wait until no connection is left, for so many seconds at most, and say whether that came."""
        self._emptied.clear()
        if not self.connections:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True
