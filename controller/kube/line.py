"""The way to the API server: a connection, whose credentials are read anew in time, and what carries requests."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller import clock
from controller.kube.connection import Connect, Connection, CredentialsError
from controller.kube.transport import Transport

log = logging.getLogger("seldon_rollouts.kube")

REREAD_AGAIN = timedelta(seconds=10)
RETIREMENT = timedelta(seconds=60)
"""How long requests on old credentials may go on after new ones came."""


class Line:
    """Connects at the first request, again when credentials grow old, and over a new transport when they changed.

    Args:
        connect: reads the configuration, each time anew.
        transport: makes what carries requests.
    """

    def __init__(self, connect: Connect, transport: Callable[[], Transport]) -> None:
        self._connect = connect
        self._new_transport = transport
        self._connection: Connection | None = None
        self._transport: Transport | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()

    @property
    def server(self) -> str:
        """The API server's address; empty before the first request."""
        return self._connection.url if self._connection is not None else ""

    async def close(self) -> None:
        """Close all connections."""
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def connected(self) -> tuple[Connection, Transport]:
        """Return the connection to send over now.

        Raises:
            CredentialsError: there has never been one, and the credentials cannot be used.
        """
        connection = self._connection
        if connection is None or self._transport is None or _stale(connection, clock.now()):
            async with self._connecting:
                connection = self._connection
                if connection is None or self._transport is None or _stale(connection, clock.now()):
                    await self._reconnect()
        assert self._connection is not None
        assert self._transport is not None
        return self._connection, self._transport

    async def renewed(self) -> bool:
        """Read the credentials again after a 401; say whether they changed."""
        async with self._connecting:
            before = self._connection
            await self._reconnect()
            return before is None or self._connection is None or before.authorization != self._connection.authorization

    async def _reconnect(self) -> None:
        before = self._connection
        try:
            after = await self._connect()
        except CredentialsError as error:
            if before is None:
                raise
            log.warning("credentials cannot be read again, the old ones go on error=%s", error)
            after = dataclasses.replace(before, reread_at=clock.now() + REREAD_AGAIN)
        self._connection = after
        if self._transport is not None and before is not None and before.material == after.material:
            return
        if self._transport is not None:
            log.info("credentials changed server=%s", after.url)
            task = asyncio.create_task(_retire(self._transport))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        self._transport = self._new_transport()


def _stale(connection: Connection, now: datetime) -> bool:
    return connection.reread_at is not None and now >= connection.reread_at


async def _retire(transport: Transport) -> None:
    try:
        await asyncio.sleep(RETIREMENT.total_seconds())
    finally:
        await transport.close()
