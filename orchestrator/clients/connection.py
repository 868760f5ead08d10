"""One connection to a node: a request out, its answer in, one at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from orchestrator.countdown import Countdown
from orchestrator.errors import BadPayloadError, NodeReplyError, NodeTimeoutError, NodeUnreachableError, OverloadedError
from orchestrator.flow import LAST_CHUNK, Flow, chunk
from orchestrator.protocols.payload import SPLIT, Payload, split_length
from orchestrator.room import PIECE, UNCOUNTED, Hold

_JOIN_BELOW = 64 * 1024
_FLOW_ABOVE = 256 * 1024  # longer answers are handed on piece by piece, where that was asked for


_NOTHING = Payload(b"", b"")


class Reply:
    """A node's answer: whole, or with a body that flows."""

    __slots__ = ("payload", "status")

    def __init__(self, status: int, payload: Payload) -> None:
        self.status = status
        self.payload = payload


class StaleError(NodeUnreachableError):
    """A connection that had served before was closed before it gave a byte of this answer."""


class Connection(asyncio.Protocol):
    """`ready` is called when the connection can take the next request, `gone` when it can take no more."""

    __slots__ = (
        "_body", "_countdown", "_flow", "_flows", "_framed", "_future", "_gone", "_head_done", "_held", "_hold",
        "_left", "_length", "_limit", "_loop", "_name", "_outright", "_parser", "_payload", "_ready", "_sending",
        "_size", "_started", "_timeout", "_transport", "_unseen", "_writable", "used",
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
        self._payload = _NOTHING
        self._body: list[bytes] = []
        self._size = self._unseen = 0
        self._length = 0  # of the answer's body, where its head says it
        self._started = self._head_done = self._framed = False
        self._hold: Hold | None = None  # of the request, which a long answer is added to
        self._held = 0  # bytes that were added
        self._flows = False  # a long answer may flow
        self._flow: Flow | None = None  # the answer that does
        self._outright = 0  # bytes of it that are still to come and need no parser
        self._left = 0.0  # seconds of a call whose answer waits to be read
        self._sending: asyncio.Task[None] | None = None  # what sends the rest of the request
        self._writable: asyncio.Future[None] | None = None
        self._timeout = 0.0
        self.used = False

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(
        self, head: bytes, body: bytes, timeout: float, *, flows: bool = False, hold: Hold | None = None
    ) -> "asyncio.Future[Reply]":
        """Send one request; the future has the answer within `timeout` seconds, or a NodeError.

        With `flows` a long answer's body may still be on its way then.
        """
        transport = self._transport
        assert transport is not None
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._future = future
        self._hold = hold
        self._started = False
        self._flows = flows
        self._timeout = timeout
        self._countdown.start(timeout)
        if len(body) < _JOIN_BELOW:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return future

    def send_flow(
        self, head: bytes, flow: Flow, timeout: float, *, flows: bool = False, hold: Hold | None = None
    ) -> "asyncio.Future[Reply]":
        """Send one request whose body comes in pieces. The time that its sender takes is not the node's.

        The future is done as `send`'s, or has what the body's sender failed with.
        """
        future = self.send(head, b"", timeout, flows=flows, hold=hold)
        self._sending = self._loop.create_task(self._pump(flow))
        return future

    async def _pump(self, flow: Flow) -> None:
        """Send the request's body until it is all out, or the whole answer is here."""
        try:
            while not flow.done:
                pieces = await self._patiently(flow)
                transport = self._transport
                if transport is None:
                    return
                if pieces:
                    transport.writelines(chunk(pieces) if flow.length is None else pieces)
                if self._writable is not None:
                    await self._writable
            if flow.length is None and self._transport is not None:
                self._transport.write(LAST_CHUNK)
            self._sending = None
        except Exception as error:  # noqa: BLE001 — whatever the sender failed with is its request's end
            self._sending = None
            self._fail(error)

    async def _patiently(self, flow: Flow) -> list[bytes]:
        if not flow.waits or self._flow is not None:
            return await flow.take()
        left = self._countdown.pause()
        pieces = await flow.take()
        if self._future is not None:
            self._countdown.start(left)
        return pieces

    def pause_writing(self) -> None:
        """The node reads slowly."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The node reads again."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def abort(self) -> None:
        """Close at once; the request that is under way is lost."""
        self._future = self._flow = None
        self._stop_sending()
        if self._transport is not None:
            self._transport.abort()

    def _stop_sending(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()

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
        if self._future is None and self._flow is None:
            self.abort()
            return
        if self._outright:
            data = self._pass(data)
            if not data:
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
        if self._flow is not None and self._length:
            self._outright = self._length - self._size

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        self._transport = None
        self._countdown.close()
        self._stop_sending()
        future, self._future = self._future, None
        flow, self._flow = self._flow, None
        if flow is not None:
            if self._framed or exc is not None:
                flow.fail(self._lost(exc))
            else:
                flow.end()
        if future is not None and not future.done():
            # An interim answer (1xx) was none, though its node left after it.
            if self._head_done and not self._framed and exc is None and self._parser.get_status_code() >= 200:
                future.set_result(self._reply())  # HTTP/1.0: the end of the connection is the end of the body
            else:
                future.set_exception(self._lost(exc))
        self._body, self._payload = [], _NOTHING  # the parser and we know each other: what is left of us has no body
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

    def _fail(self, error: Exception) -> None:
        self._stop_sending()
        future, self._future = self._future, None
        flow, self._flow = self._flow, None
        if future is not None and not future.done():
            future.set_exception(error)
        if flow is not None:
            flow.fail(error)
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ the parser's side

    def on_message_begin(self) -> None:
        """An answer's first byte."""
        self._payload = Payload(b"", b"")
        self._payload.longest = self._limit
        self._head_done = self._framed = False
        self._body = []
        self._size = self._length = self._held = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; we need few of them."""
        if self._head_done:
            return
        name = name.lower()
        if name == b"content-type":
            self._payload.content_type = value
        elif name == b"content-length":
            self._framed = True
            self._length = int(value)
            if self._length > self._limit:
                self._fail(NodeReplyError(f"{self._name} answers with {self._length} bytes; {self._limit} are allowed"))
        elif name == b"transfer-encoding":
            self._framed = True
        elif name == b"content-encoding":
            self._payload.encoding = value
        elif name == SPLIT:
            try:
                self._payload.split = split_length(value)
            except BadPayloadError as error:
                self._fail(NodeReplyError(f"{self._name}: {error}"))

    def on_headers_complete(self) -> None:
        """All but the body is here."""
        self._head_done = True
        self._unseen = 0
        if self._length > _FLOW_ABOVE:
            self._open_flow(self._length)
        if self._length > UNCOUNTED and self._flow is None and self._future is not None and self._hold is not None:
            self._room(self._hold.announced(self._length))

    def on_chunk_header(self) -> None:
        """The parser has done with a chunk's size and extensions."""
        self._unseen = 0

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._unseen = 0
        self._size += len(piece)
        if self._size > self._limit:
            self._fail(NodeReplyError(f"{self._name} answers with more than the {self._limit} bytes that are allowed"))
        elif self._flow is not None:
            self._flow.feed(piece)
        elif self._future is not None:
            self._body.append(piece)
            if self._size > _FLOW_ABOVE and not self._length:
                self._open_flow(None)
            if self._size > UNCOUNTED:
                self._weigh()

    def _weigh(self) -> None:
        """Count an answer that is not small, unless it flows."""
        if self._flow is None and self._hold is not None:
            more = self._size + PIECE * len(self._body) - self._held
            self._held += more
            self._room(self._hold.take(more))

    def _room(self, fits: bool) -> None:
        if not fits:
            self._fail(OverloadedError(f"{self._name}: no room for its answer beside those of other requests"))

    def on_message_complete(self) -> None:
        """A whole answer; an interim one (1xx) is not it."""
        self._unseen = 0
        if self._flow is not None:
            self._end(self._parser.should_keep_alive())
            return
        future = self._future
        transport = self._transport
        if future is None or transport is None or self._parser.get_status_code() < 200:
            return
        self._future = None
        self._countdown.stop()
        reply = self._reply()
        if not future.done():
            future.set_result(reply)
        self._part(transport, keep=self._parser.should_keep_alive())

    def _part(self, transport: asyncio.Transport, *, keep: bool) -> None:
        self.used = True
        if self._sending is not None:
            self._stop_sending()
            transport.abort()
        elif keep and transport.get_write_buffer_size() == 0:
            self._ready(self)
        else:  # also when the node answered before it had read its request: bytes of that are still to come
            transport.close()

    # ------------------------------------------------------------ an answer that is handed on as it comes

    def _open_flow(self, length: int | None) -> None:
        future = self._future
        if future is None or future.done() or not self._flows or self._parser.get_status_code() != 200:
            return
        self._future = None
        flow = self._flow = Flow(length, pause=self._pause, resume=self._resume, dropped=self.abort)
        for piece in self._body:
            flow.feed(piece)
        self._body = []
        self._payload.flow = flow
        future.set_result(Reply(200, self._payload))

    def _pass(self, data: bytes) -> bytes:
        """Bytes of the body, whose number is known, go by the parser; what is behind them is given back."""
        piece, rest = data, b""
        if len(data) > self._outright:
            piece, rest = data[: self._outright], data[self._outright :]
        self._outright -= len(piece)
        if self._flow is not None:
            self._flow.feed(piece)
        if not self._outright:
            keep = self._parser.should_keep_alive()
            self._parser = httptools.HttpResponseParser(self)
            self._end(keep)
        return rest

    def _end(self, keep: bool) -> None:
        flow, self._flow = self._flow, None
        self._payload = _NOTHING
        transport = self._transport
        if flow is not None:
            flow.end()
        self._countdown.stop()
        if transport is not None:
            self._part(transport, keep=keep)

    def _pause(self) -> None:
        """The client reads slowly; that is not the node's time."""
        self._left = self._countdown.pause()
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
            if self._flow is not None:
                self._countdown.start(self._left)

    def _reply(self) -> Reply:
        payload, body = self._payload, self._body
        if body:
            payload.body = body[0] if len(body) == 1 else b"".join(body)
            self._body = []
        self._payload, self._hold = _NOTHING, None  # a connection that waits for its next request keeps no answer
        return Reply(self._parser.get_status_code(), payload)
