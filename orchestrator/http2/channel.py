"""The way to one server: connected when it is first needed, and anew when the connection is gone."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from orchestrator.http2 import fields, messages
from orchestrator.http2.calling import Calling, UntouchedError
from orchestrator.http2.status import Metadata, RpcError, Status

_CONNECT_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two tries to connect
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Who is called.

    `address` gives the address of `host` whenever a connection is made. With `tls` the server must be `host`.
    """

    host: str
    port: int
    address: Callable[[], str]
    tls: ssl.SSLContext | None = None


class Channel:
    """Calls one server over one connection."""

    def __init__(self, target: Target, limit: int) -> None:
        self._target = target
        self._limit = limit
        self._current: Calling | None = None
        self._open: set[Calling] = set()
        self._at = ""  # the address of the last try to connect
        self._connecting: asyncio.Task[Calling | RpcError] | None = None
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0
        self._failure = RpcError(Status.UNAVAILABLE, "not connected")
        self._heads: dict[str, bytes] = {}

    async def call(self, method: str, body: bytes, metadata: Metadata = (), within: float = inf) -> bytes:
        """Call a method with a message and give its answer.

        Args:
            method: the full name, such as `/seldon.protos.Model/Predict`.
            body: the message.
            metadata: what goes along.
            within: seconds for all of it.

        Raises:
            RpcError: the call ended with another status than OK.
        """
        if len(body) > self._limit:
            raise messages.too_long(len(body), self._limit)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        said = fields.block(messages.fields(metadata))
        why = ""
        for _ in range(_TRIES):
            connection = self._current
            if connection is None or connection.full:
                connection = await self._ready(connection, loop, deadline)
            block = self._heads.get(method) or self._head(method)
            if within != inf:
                block += fields.literal(b"grpc-timeout", messages.said_timeout(deadline - loop.time()))
            pending = connection.begin(block + said, body, deadline)
            try:
                return await pending.future
            except UntouchedError as error:
                why = str(error)
            except asyncio.CancelledError:
                connection.leave(pending)
                raise
        raise RpcError(Status.UNAVAILABLE, why)

    def _head(self, method: str) -> bytes:
        """The fields that all calls of a method have."""
        target = self._target
        host = f"[{target.host}]" if ":" in target.host else target.host
        found = self._heads[method] = fields.block(
            [
                (b":method", b"POST"),
                (b":scheme", b"http" if target.tls is None else b"https"),
                (b":path", method.encode()),
                (b":authority", f"{host}:{target.port}".encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                (b"user-agent", b"seldon-rollouts"),
                (b"grpc-accept-encoding", messages.ENCODINGS),
            ]
        )
        return found

    async def _ready(self, connection: Calling | None, loop: asyncio.AbstractEventLoop, deadline: float) -> Calling:
        """A connection with room for a call. Raises RpcError."""
        try:
            async with asyncio.timeout_at(None if deadline == inf else deadline):
                while connection is None or connection.leaving or connection.full:
                    if connection is not None and not connection.leaving:
                        await connection.turn()
                        connection = self._current
                        continue
                    if self._connecting is None:
                        if loop.time() < self._not_before:
                            raise RpcError(self._failure.status, self._failure.details)
                        self._connecting = loop.create_task(self._connect(loop))
                    found = await asyncio.shield(self._connecting)
                    if isinstance(found, RpcError):
                        raise RpcError(found.status, found.details)
                    connection = found
        except TimeoutError as error:
            raise RpcError(Status.DEADLINE_EXCEEDED, "no connection within the call's time") from error
        return connection

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Calling | RpcError:
        target = self._target
        self._at = target.address()
        connection = Calling(loop, self._limit, self._left)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                transport, _ = await loop.create_connection(
                    lambda: connection,
                    self._at,
                    target.port,
                    ssl=target.tls,
                    server_hostname=target.host if target.tls is not None else None,
                )
                encrypted = transport.get_extra_info("ssl_object")
                if encrypted is not None and encrypted.selected_alpn_protocol() != "h2":
                    raise OSError("it does not offer HTTP/2 (ALPN: h2)")
                await connection.ready
                if connection.leaving:
                    raise ConnectionResetError("it goes away at once")
        except (OSError, TimeoutError) as error:
            connection.abort()
            why = f"no answer within {_CONNECT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
            self._not_before = loop.time() + self._pause
            self._pause = min(self._pause * 2.0, _LONGEST_PAUSE)
            self._failure = RpcError(Status.UNAVAILABLE, f"cannot connect to {target.host}:{target.port}: {why}")
            return self._failure
        finally:
            self._connecting = None
            if connection.ready.done() and not connection.ready.cancelled():
                connection.ready.exception()  # it was looked at
        self._pause = _FIRST_PAUSE
        self._current = connection
        self._open.add(connection)
        return connection

    def _left(self, connection: Calling) -> None:
        """No further calls can be made over a connection."""
        self._open.discard(connection)
        if self._current is connection:
            self._current = None

    async def look_again(self) -> None:
        """After a call that did not get through: leave an address that the host no longer has."""
        if self._at and self._target.address() != self._at:
            self._not_before, self._pause = 0.0, _FIRST_PAUSE
            if self._current is not None:
                self._current.retire()

    async def close(self) -> None:
        """Close at once."""
        if self._connecting is not None:
            self._connecting.cancel()
        for connection in list(self._open):
            connection.abort()
