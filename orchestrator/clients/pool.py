"""The connections to one node: kept open, bounded, last used first."""

import asyncio
import ssl
from collections import deque
from math import inf

from orchestrator.clients.connection import Connection, StaleError
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.reading import Reply
from orchestrator.errors import NodeTimeoutError, NodeUnreachableError
from orchestrator.flow import Flow
from orchestrator.room import Hold

_CONNECT_SECONDS = 5.0


class Pool:
    """Sends requests to one `host:port`, over at most `size` connections at a time; with `tls` encrypted."""

    def __init__(
        self,
        name: str,
        address: tuple[str, int],
        hosts: Hosts,
        *,
        size: int = 256,
        limit: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name = f"node {name!r} at {address[0]}:{address[1]}"
        self._host, self._port = address
        self._hosts = hosts
        self._size = size
        self._limit = limit
        self._tls = tls
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    async def request(
        self,
        head: bytes,
        body: bytes,
        *,
        within: float = inf,
        again: bool = False,
        flow: Flow | None = None,
        flows: bool = False,
        hold: Hold | None = None,
    ) -> Reply:
        """Send a request and wait for its answer.

        Args:
            head: request line and headers, with the empty line.
            body: what follows.
            flow: what follows, instead of `body`.
            flows: a long answer may be given when its body is still on its way.
            hold: what the request keeps, to which a long answer is added that does not flow.
            within: seconds, from here to the answer's last byte.
            again: the request may be sent twice, should a kept connection be closed before a byte came back.

        Raises:
            NodeError: there was no usable answer.
            OverloadedError: there is no room for it beside those of other requests.
        """
        connection = self._take() or await self._wait(within)
        try:
            if flow is not None:
                return await connection.send_flow(head, flow, within, flows=flows, hold=hold)
            return await connection.send(head, body, within, flows=flows, hold=hold)
        except StaleError:
            if not again or (flow is not None and not flow.rewind()):
                raise
        except asyncio.CancelledError:
            connection.abort()
            raise
        connection = await self._wait(within, fresh=True)
        try:
            if flow is not None:
                return await connection.send_flow(head, flow, within, flows=flows, hold=hold)
            return await connection.send(head, body, within, flows=flows, hold=hold)
        except asyncio.CancelledError:
            connection.abort()
            raise

    @property
    def connections(self) -> int:
        """Connections that are open or being made."""
        return self._open

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection."""
        return sum([not turn.done() for turn in self._waiting])

    def close(self) -> None:
        """Close what is idle. What is under way ends by itself."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.open:
                return connection
        return None

    async def _wait(self, within: float, *, fresh: bool = False) -> Connection:
        """A new connection, or one that comes back."""
        try:
            async with asyncio.timeout(None if within == inf else within):
                while self._open >= self._size:
                    given = await self._turn()
                    if given is not None and given.open and not fresh:
                        return given
                    if given is not None:
                        given.close()
                return await self._connect()
        except TimeoutError as error:
            raise NodeTimeoutError(f"{self._name} had no connection free within {within:.3g} s") from error

    async def _turn(self) -> Connection | None:
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            raise

    async def _connect(self) -> Connection:
        self._open += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._name, self._limit, ready=self._pass_on, gone=self._lost),
                    self._hosts.address(self._host),
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
        except BaseException as error:
            self._lost(None)
            if isinstance(error, TimeoutError):
                raise NodeTimeoutError(f"{self._name} took no connection within {_CONNECT_SECONDS:.3g} s") from error
            if isinstance(error, OSError):
                raise NodeUnreachableError(f"{self._name} cannot be reached: {error.strerror or error}") from error
            raise
        return connection

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a connection that is free (or the place of one that is gone) to who waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    def _lost(self, connection: Connection | None) -> None:
        self._open -= 1
        if connection is not None and connection in self._idle:
            self._idle.remove(connection)
        self._pass_on(None)
