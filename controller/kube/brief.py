"""The transport of a command, which asks a few things and ends: importing aiohttp would take longer than all of them.

HTTP/1.1 over asyncio's connections, parsed by httptools. What goes on (a watch), and what goes by a proxy, is left
to the lasting transport, which is loaded then.
"""

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from urllib.parse import urlsplit

import httptools
from aiohappyeyeballs import start_connection

from controller.kube.connection import Connection
from controller.kube.requests import Request
from controller.kube.transport import CONNECT_TIMEOUT, LostError, Reply, Transport

_GZIP = 31
"""zlib's number for a body with gzip's own head."""


class Brief:
    """Connections of one command."""

    def __init__(self) -> None:
        self._idle: list[_Talk] = []
        self._other: Transport | None = None

    async def exchange(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, limit: timedelta
    ) -> Reply:
        """Send a request and return the whole answer."""
        if to.proxy:
            return await self._lasting().exchange(to, request, headers, limit=limit)
        talk: _Talk | None = None
        try:
            async with asyncio.timeout(limit.total_seconds()):
                talk = await self._talk(to)
                reply = await talk.ask(_rendered(to, request, headers))
        except TimeoutError as error:
            raise LostError("Timeout", f"no answer from {to.url} in time") from error
        finally:
            if talk is not None:
                self._put_back(talk)
        return reply

    def stream(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, quiet: timedelta
    ) -> AbstractAsyncContextManager[tuple[Reply, AsyncIterator[bytes]]]:
        """Send a request and give the head of its answer and its chunks."""
        return self._lasting().stream(to, request, headers, quiet=quiet)

    async def close(self) -> None:
        """Close all connections."""
        for talk in self._idle:
            talk.abort()
        self._idle.clear()
        if self._other is not None:
            await self._other.close()

    def _lasting(self) -> Transport:
        if self._other is None:
            from controller.kube.lasting import Lasting

            self._other = Lasting()
        return self._other

    async def _talk(self, to: Connection) -> "_Talk":
        while self._idle:
            if (talk := self._idle.pop()).open:
                return talk
        return await _opened(to)

    def _put_back(self, talk: "_Talk") -> None:
        if talk.resting:
            self._idle.append(talk)
        else:
            talk.abort()


async def _opened(to: Connection) -> "_Talk":
    parts = urlsplit(to.url)
    host = parts.hostname or ""
    tls, port = (to.tls or ssl.create_default_context(), 443) if parts.scheme == "https" else (None, 80)
    loop, talk = asyncio.get_running_loop(), _Talk()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            found = await loop.getaddrinfo(host, parts.port or port, type=socket.SOCK_STREAM)
            # asyncio's own race of addresses forgets the winner's socket when it is cancelled at its end.
            sock = await start_connection(found, happy_eyeballs_delay=0.25)
            name = (to.server_name or host) if tls else None
            await loop.create_connection(lambda: talk, sock=sock, ssl=tls, server_hostname=name)
    except asyncio.CancelledError:
        talk.abort()  # the handshake may be over: asyncio would wait for the server's farewell
        raise
    except TimeoutError:
        raise LostError("Timeout", f"cannot connect to {to.url}: no answer in time") from None
    except OSError as error:  # theirs, of TLS, are such
        reason = "ConnectionLost" if isinstance(error, ConnectionError) else "NoAnswer"
        raise LostError(reason, f"cannot connect to {to.url}: {_said(error)}") from error
    return talk


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error.strerror or error)


def _rendered(to: Connection, request: Request, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(to.url)
    lines = [f"{request.method} {parts.path}{request.target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Accept-Encoding: gzip", f"Content-Length: {len(request.body or b'')}"]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (request.body or b"")


class _Talk(asyncio.Protocol):
    """One connection: a request, its answer, and perhaps the next."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._asked: asyncio.Future[Reply] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._keeps = True

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def resting(self) -> bool:
        """Whether the answer came whole, and another request may follow."""
        return self.open and self._keeps and self._asked is None

    def abort(self) -> None:
        """End at once: whoever asked has what was wanted."""
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, data: bytes) -> Reply:
        """Send a request and wait for its answer. Raises LostError."""
        if self._transport is None or not self.open:
            raise LostError("ConnectionLost", "the server closed the connection")
        self._begin()
        self._asked = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._asked

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, zlib.error) as error:
            self._lose(LostError("NoAnswer", f"the answer is no HTTP/1.1: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        said = f": {error}" if error is not None else ""
        self._lose(LostError("ConnectionLost", f"the server closed the connection{said}"))

    def _lose(self, error: LostError) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_exception(error)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._asked is None or self._parser.get_status_code() < 200:  # nobody asked, or it only announces
            self._headers, self._body = [], []
            return
        self._keeps = self._parser.should_keep_alive()
        head = dict(self._headers)
        body = b"".join(self._body)
        if head.get("content-encoding") == "gzip":
            body = zlib.decompress(body, _GZIP)
        asked, self._asked = self._asked, None
        if not asked.done():
            asked.set_result(
                Reply(
                    status=self._parser.get_status_code(),
                    retry_after=head.get("retry-after", ""),
                    warnings=tuple(value for name, value in self._headers if name == "warning"),
                    body=body,
                )
            )
