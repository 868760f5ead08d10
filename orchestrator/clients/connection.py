"""One connection to a node: a request out, its answer in, one at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from orchestrator.countdown import Countdown
from orchestrator.errors import NodeReplyError, NodeTimeoutError, NodeUnreachableError
from orchestrator.protocols.payload import Payload

_JOIN_BELOW = 64 * 1024


class Reply:
    """A node's whole answer."""

    __slots__ = ("payload", "status")

    def __init__(self, status: int, payload: Payload) -> None:
        self.status = status
        self.payload = payload


class StaleError(NodeUnreachableError):
    """A connection that had served before was closed before it gave a byte of this answer."""


class Connection(asyncio.Protocol):
    """`ready` is called when the connection can take the next request, `gone` when it can take no more."""

    __slots__ = (
        "_body", "_chunked", "_countdown", "_framed", "_future", "_gone", "_head_done", "_keep", "_limit", "_loop",
        "_name", "_parser", "_payload", "_ready", "_size", "_started", "_timeout", "_transport", "_unseen", "used",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        ready: Callable[["Connection"], None],
        gone: Callable[["Connection"], None],
    ) -> None:
        self._name = name
        self._limit = limit
        self._ready = ready
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._countdown = Countdown(self._loop, self._expired)
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[Reply] | None = None
        self._payload = Payload(b"", b"")
        self._body: list[bytes] = []
        self._size = self._unseen = 0
        self._started = self._head_done = self._framed = self._keep = False
        self._timeout = 0.0
        self.used = False

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, timeout: float) -> "asyncio.Future[Reply]":
        """Send one request; the future has the answer within `timeout` seconds, or a NodeError."""
        transport = self._transport
        assert transport is not None
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._future = future
        self._started = False
        self._timeout = timeout
        self._countdown.start(timeout)
        if len(body) < _JOIN_BELOW:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return future

    def abort(self) -> None:
        """Close at once; the request that is under way is lost."""
        self._future = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when nothing is under way."""
        if self._transport is not None:
            self._transport.close()

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Bytes that nobody asked for end the connection."""
        if self._future is None:
            self.abort()
            return
        self._started = True
        self._unseen += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(NodeReplyError(f"{self._name} sent no HTTP/1.1 answer: {error}"))
            return
        if self._unseen > 64 * 1024:
            self._fail(NodeReplyError(f"{self._name} sent more than 64 KiB of headers"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        self._transport = None
        self._countdown.close()
        future, self._future = self._future, None
        if future is not None and not future.done():
            if self._head_done and not self._framed and exc is None:
                future.set_result(self._reply())  # HTTP/1.0: the end of the connection is the end of the body
            else:
                future.set_exception(self._lost(exc))
        self._gone(self)

    def _lost(self, exc: Exception | None) -> NodeUnreachableError | NodeReplyError:
        why = f": {exc}" if exc is not None else ""
        if self._started:
            return NodeReplyError(f"{self._name} closed the connection in the middle of its answer{why}")
        if self.used:
            return StaleError(f"{self._name} closed the connection before it answered{why}")
        return NodeUnreachableError(f"{self._name} closed the connection before it answered{why}")

    def _expired(self) -> None:
        self._fail(NodeTimeoutError(f"{self._name} did not answer within {self._timeout:.3g} s"))

    def _fail(self, error: NodeReplyError | NodeTimeoutError) -> None:
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(error)
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ the parser's side

    def on_message_begin(self) -> None:
        """An answer's first byte."""
        self._payload = Payload(b"", b"")
        self._head_done = self._framed = False
        self._body = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; we need few of them."""
        if self._head_done:
            return
        name = name.lower()
        if name == b"content-type":
            self._payload.content_type = value
        elif name == b"content-length":
            self._framed = True
            if int(value) > self._limit:
                self._fail(NodeReplyError(f"{self._name} answers with {int(value)} bytes; {self._limit} are allowed"))
        elif name == b"transfer-encoding":
            self._framed = True
        elif name == b"content-encoding":
            self._payload.encoding = value

    def on_headers_complete(self) -> None:
        """All but the body is here."""
        self._head_done = True
        self._unseen = 0

    def on_chunk_header(self) -> None:
        """The parser has done with a chunk's size and extensions."""
        self._unseen = 0

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._unseen = 0
        self._size += len(piece)
        if self._size > self._limit:
            self._fail(NodeReplyError(f"{self._name} answers with more than the {self._limit} bytes that are allowed"))
        elif self._future is not None:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """A whole answer; an interim one (1xx) is not it."""
        self._unseen = 0
        future = self._future
        transport = self._transport
        if future is None or transport is None or self._parser.get_status_code() < 200:
            return
        self._future = None
        self._countdown.stop()
        reply = self._reply()
        # A node that answered before it had read its request still has bytes of it to come.
        keep = self._parser.should_keep_alive() and transport.get_write_buffer_size() == 0
        self.used = True
        if not future.done():
            future.set_result(reply)
        if keep:
            self._ready(self)
        else:
            transport.close()

    def _reply(self) -> Reply:
        payload, body = self._payload, self._body
        if body:
            payload.body = body[0] if len(body) == 1 else b"".join(body)
            self._body = []
        return Reply(self._parser.get_status_code(), payload)
