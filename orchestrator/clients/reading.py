"""What comes back over one connection to a node: bytes to answers, one after the other."""

import asyncio

import httptools

from orchestrator.countdown import Countdown
from orchestrator.errors import BadPayloadError, NodeReplyError, OverloadedError
from orchestrator.flow import Flow
from orchestrator.protocols.payload import SPLIT, Payload, split_length
from orchestrator.room import PIECE, UNCOUNTED, Hold

_FLOW_ABOVE = 256 * 1024  # longer answers are handed on piece by piece, where that was asked for
NOTHING = Payload(b"", b"")


class Reply:
    """A node's answer: whole, or with a body that flows."""

    __slots__ = ("payload", "status")

    def __init__(self, status: int, payload: Payload) -> None:
        self.status = status
        self.payload = payload


class Reading(asyncio.Protocol):
    """Reads the answer to the request that was sent."""

    __slots__ = (
        "_body", "_countdown", "_flow", "_flows", "_framed", "_future", "_head_done", "_held", "_hold", "_left",
        "_length", "_limit", "_loop", "_name", "_outright", "_parser", "_payload", "_size", "_started", "_transport",
        "_unseen",
    )  # fmt: skip

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._countdown: Countdown
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[Reply] | None = None
        self._payload = NOTHING
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
        self._payload = NOTHING
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
        self._payload, self._hold = NOTHING, None  # a connection that waits for its next request keeps no answer
        return Reply(self._parser.get_status_code(), payload)

    # ------------------------------------------------------------ what is done then

    def abort(self) -> None:
        """Close at once; the request that is under way is lost."""
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        """There will be no answer, or not all of it."""
        raise NotImplementedError

    def _part(self, transport: asyncio.Transport, *, keep: bool) -> None:
        """The whole answer is here; `keep` says whether its node keeps the connection."""
        raise NotImplementedError
