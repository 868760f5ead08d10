"""The transport of what runs for long: aiohttp, with as many connections as are needed, streams and proxies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from weakref import WeakSet

import aiohttp
from aiohappyeyeballs import AddrInfoType
from yarl import URL

from controller.kube.connection import Connection
from controller.kube.requests import Request
from controller.kube.transport import CONNECT_TIMEOUT, LostError, Reply

TURNS = 20
"""Of the event loop, in which a transport whose other end is gone has closed its socket: some five."""


class _Response(aiohttp.ClientResponse):
    """One that ends early without TLS' farewell, since the server is in no hurry to answer that."""

    def close(self) -> None:
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


class Lasting:
    """Connections that are kept while they are used."""

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=self._made),
            read_bufsize=2**20,
            auto_decompress=True,
            response_class=_Response,
        )

    async def exchange(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, limit: timedelta
    ) -> Reply:
        """Send a request and return the whole answer."""
        limits = aiohttp.ClientTimeout(total=limit.total_seconds(), sock_connect=CONNECT_TIMEOUT.total_seconds())
        with _told():
            async with self._open(to, request, headers, limits) as response:
                return _reply(response, await response.read())

    @asynccontextmanager
    async def stream(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, quiet: timedelta
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        """Send a request and give the head of its answer and its chunks."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT.total_seconds(), sock_read=quiet.total_seconds()
        )
        with _told():
            async with self._open(to, request, headers, limits) as response:
                try:
                    yield _reply(response), response.content.iter_any()
                finally:
                    response.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        # A request that was cancelled as its handshake ended has left a connection that waits for a farewell.
        for each in self._open_sockets():
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(TURNS):
            if not self._open_sockets():
                break
            await asyncio.sleep(0)  # its transport sees the end, and closes it

    def _made(self, address: AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    def _open_sockets(self) -> list[socket.socket]:
        return [each for each in self._sockets if each.fileno() != -1]

    @asynccontextmanager
    async def _open(
        self, to: Connection, request: Request, headers: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.request(
            request.method,
            URL(to.url + request.target, encoded=True),
            data=request.body,
            headers=headers,
            timeout=limits,
            ssl=to.tls if to.tls is not None else True,
            server_hostname=to.server_name,
            proxy=to.proxy,
            allow_redirects=False,
        ) as response:
            yield response


def _reply(response: aiohttp.ClientResponse, body: bytes = b"") -> Reply:
    return Reply(
        status=response.status,
        retry_after=response.headers.get("Retry-After", ""),
        warnings=tuple(response.headers.getall("Warning", ())),
        body=body,
    )


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the library and the system raise into our own."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        broken = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError)
        reason = "Timeout" if isinstance(error, TimeoutError) else "ConnectionLost" if broken else "NoAnswer"
        raise LostError(reason, _said(error)) from error


def _said(error: Exception) -> str:
    """Return what went wrong; the library's text of a connection that was not made tells of its own objects."""
    if isinstance(error, aiohttp.ClientConnectorError):
        what = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        return f"cannot connect to {what}{error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    return f"{type(error).__name__}: {error}"
