"""What comes in over one client's connection: bytes to requests, one after the other, or a refusal."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import httptools
import orjson

from orchestrator.countdown import Countdown
from orchestrator.errors import CutShortError
from orchestrator.flow import Flow
from orchestrator.room import PIECE, UNCOUNTED, Hold, Room
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response

Handler = Callable[[Request], Response | Coroutine[Any, Any, Response]]

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_NOTABLE = frozenset({b"content-length", b"connection", b"expect"})
_OPTIONS = frozenset({b"close", b"keep-alive"})  # of a connection; all else there are headers' names
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Owner(Protocol):
    """What a connection asks of its server."""

    handler: Handler
    limits: Limits
    room: Room
    streams: Callable[[Request], bool]  # whether the handler takes this request before its body is whole
    draining: bool
    connections: set[Any]

    def discard(self, connection: Any) -> None:
        """Forget a connection that is gone."""


def refusal(status: int, info: str) -> Response:
    """An answer to what is no request: the connection ends with it."""
    body = orjson.dumps({"status": {"code": status, "info": info, "status": "FAILURE"}})
    return Response(status, body, headers=b"Retry-After: 1\r\n" if status == 503 else b"", close=True)


def _origin(target: bytes) -> bytes:
    """The path in a target that names the server too, as clients of proxies write it (RFC 9112, 3.2.2)."""
    _, scheme, rest = target.partition(b"://")
    _, slash, path = rest.partition(b"/")
    return slash + path or b"/" if scheme else target


class Reading(asyncio.Protocol):
    """Reads requests one after the other; what is sent ahead waits, bounded, until its turn."""

    __slots__ = (
        "_begun", "_body", "_body_size", "_countdown", "_downgraded", "_expects", "_flow", "_full", "_head_done",
        "_hold", "_length", "_light", "_lingering", "_loop", "_outright", "_owner", "_parser", "_queue", "_reading",
        "_refused", "_request", "_transport", "_unseen", "_working",
    )  # fmt: skip

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._countdown: Countdown
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._body: list[bytes] = []
        self._body_size = 0
        self._length = 0  # of the body, where its head says it
        self._light = min(UNCOUNTED, owner.limits.body_bytes)  # up to this many bytes of a body nobody has to count
        self._hold: Hold | None = None  # what is kept of a longer one
        self._flow: Flow | None = None  # the body that comes in while its request is with the handler
        self._outright = 0  # bytes of the flow that are still to come and need no parser
        self._unseen = 0  # bytes that the parser has taken since it last reported something
        self._begun = False  # a request's first byte was seen
        self._head_done = False  # and its headers
        self._expects = False  # the client waits to be asked for the body
        self._downgraded = False  # the head was read by an earlier parser, which left for an upgrade
        self._refused = False  # nothing more is read
        self._lingering = False  # nothing more is written
        self._working = False  # a request is with the handler
        self._full = False  # the client does not read its answers
        self._reading = True
        self._queue: deque[Request | Response] = deque()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse what it cannot read and what is too long."""
        if self._refused:
            return
        if self._outright:
            data = self._pass(data)
            if not data:
                return
        begun = self._begun
        self._unseen += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(400, f"not an HTTP/1.1 request: {error}")
            return
        if self._flow is not None and self._length:
            self._outright = self._length - self._body_size
        if self._unseen > self._owner.limits.head_bytes:
            self._refuse_head()
        elif not self._working and self._begun and (self._head_done or not begun):
            self._wait()  # in the middle of a head, further bytes buy no further time

    def _feed(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = memoryview(data)[upgrade.args[0] :]
                self._downgrade()
            else:
                return

    def _downgrade(self) -> None:
        """Stay with HTTP/1.1, as RFC 9110 (7.8) lets us; the parser gave the body up, so that a fresh one reads it."""
        if self._parser.get_method() == b"CONNECT":
            self._refuse(405, "this is no proxy: CONNECT is not served")
            return
        self._downgraded = True
        self._parser = httptools.HttpRequestParser(self)
        framing = b"".join([b"%b: %b\r\n" % item for item in self._request.headers if item[0] in _FRAMING])
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)

    # ------------------------------------------------------------ the parser's side

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        if not self._downgraded:
            self._request.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header. Trailers are dropped."""
        if self._head_done:
            return
        name = name.lower()
        self._request.headers.append((name, value))
        if name in _NOTABLE:
            self._note(name, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = int(value)
            if self._length > self._owner.limits.body_bytes:
                self._refuse_body()
        elif name == b"connection":
            value = value.lower()
            self._request.asks_keep_alive = value == b"keep-alive"
            if b"," in value or value not in _OPTIONS:
                self._request.hop += tuple([name.strip() for name in value.split(b",")])
        else:
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """All but the body is here."""
        long = self._unseen > self._owner.limits.head_bytes  # the head, or what came with it
        self._unseen = 0
        if self._head_done:
            return
        self._head_done = True
        request = self._request
        if long and request.head_size() > self._owner.limits.head_bytes:
            self._refuse_head()
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        if not request.path.startswith(b"/"):
            request.path = _origin(request.path)
        if b"?" in request.path:
            request.path, _, request.query = request.path.partition(b"?")
        if self._length > self._owner.limits.flow_above:
            self._open_flow(self._length)
        if self._length > self._light and self._flow is None and not self._refused:
            self._hold = Hold(self._owner.room)
            if not self._hold.announced(self._length):
                self._refuse_for_now()
        if self._expects:
            self._expects = self._parser.get_http_version() == "1.1"
            if self._flow is None:
                self._ask_for_body()
            else:
                self._loop.call_soon(self._ask_for_body)  # a handler that refuses at once has done so by then

    def _ask_for_body(self) -> None:
        """Tell a client that waits for this to send the body (RFC 9110, 10.1.1), once all before it is answered."""
        if not self._expects or not self._head_done or self._refused or self._transport is None:
            return
        if self._flow is not None or not (self._working or self._full or self._queue):
            self._expects = False
            self._transport.write(_CONTINUE)

    def on_chunk_header(self) -> None:
        """The parser has done with a chunk's size and extensions."""
        self._unseen = 0

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._unseen = 0
        if self._refused:
            return
        self._expects = False
        self._body_size += len(piece)
        if self._body_size > self._light and not self._weighed(len(piece)):
            return
        if self._flow is not None:
            self._flow.feed(piece)
            if self._reading:
                self._countdown.start(self._owner.limits.body_seconds)
            return
        self._body.append(piece)
        if not self._length and self._body_size > self._owner.limits.flow_above:
            self._open_flow(None)

    def _weighed(self, size: int) -> bool:
        """Whether a body that is not small may have a further piece."""
        if self._body_size > self._owner.limits.body_bytes:
            self._refuse_body()
            return False
        if self._flow is not None:
            return True
        if self._hold is None:
            self._hold = Hold(self._owner.room)
        if self._hold.take(self._body_size + PIECE * len(self._body) - self._hold.size):
            return True
        self._refuse_for_now()
        return False

    def on_message_complete(self) -> None:
        """A whole request: its turn, or wait for it."""
        self._unseen = 0
        if self._refused or (not self._downgraded and self._parser.should_upgrade()):
            return
        request, body, flow = self._request, self._body, self._flow
        if body:
            request.body = body[0] if len(body) == 1 else b"".join(body)
            self._body, self._body_size = [], 0
            request.hold, self._hold = self._hold, None
        self._request = Request()
        self._length = 0
        self._begun = self._head_done = self._downgraded = self._expects = False
        if flow is not None:
            self._flow = None
            self._body_size = 0
            self._countdown.stop()
            flow.end()
        elif self._working or self._full or self._queue:
            if len(self._queue) >= self._owner.limits.ahead:
                self._refuse(503, f"more than {self._owner.limits.ahead} requests were sent ahead of their answers")
            else:
                self._enqueue(request)
        else:
            self._start(request)

    # ------------------------------------------------------------ a body that is handed on as it comes

    def _open_flow(self, length: int | None) -> None:
        """Hand the request over now, if its handler takes it so. One that waits for others is read whole."""
        request = self._request
        if self._refused or self._working or self._full or self._queue or self._parser.should_upgrade():
            return
        if self._parser.get_http_version() != "1.1" or not self._owner.streams(request):
            return
        flow = self._flow = request.flow = Flow(length, pause=self._pause_flow, resume=self._resume_flow)
        for piece in self._body:
            flow.feed(piece)
        self._body = []
        self._let_go()
        self._start(request)
        self._countdown.start(self._owner.limits.body_seconds)

    def _pass(self, data: bytes) -> bytes:
        """Bytes of the body, whose number is known, go by the parser; what is behind them is given back."""
        flow, piece, rest = self._flow, data, b""
        if len(data) > self._outright:
            piece, rest = data[: self._outright], data[self._outright :]
        self._outright -= len(piece)
        if flow is not None:
            flow.feed(piece)
        if self._outright:
            if self._reading:
                self._countdown.start(self._owner.limits.body_seconds)
        else:
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        return rest

    def _pause_flow(self) -> None:
        self._countdown.stop()
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def _resume_flow(self) -> None:
        if not self._reading and self._transport is not None and len(self._queue) < self._owner.limits.pipelined:
            self._reading = True
            self._transport.resume_reading()
            if self._flow is not None:
                self._countdown.start(self._owner.limits.body_seconds)

    # ------------------------------------------------------------ refusing

    def _refuse_head(self) -> None:
        self._refuse(431, f"more than {self._owner.limits.head_bytes} bytes of request line, headers or framing")

    def _refuse_body(self) -> None:
        self._refuse(413, f"a body of more than {self._owner.limits.body_bytes} bytes")

    def _refuse_for_now(self) -> None:
        self._refuse(503, "too many bytes of other requests' bodies are kept here; try again in a moment")

    def _let_go(self) -> None:
        """Of the body that comes in nothing is kept any more."""
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()

    def _refuse(self, status: int, info: str) -> None:
        """Read nothing more; say why when the requests before it are answered."""
        if self._refused:
            return
        self._refused = True
        self._body.clear()
        self._let_go()
        if self._flow is not None:
            self._flow.fail(CutShortError(status, info))  # the handler has the request, and answers it
            return
        self._enqueue(refusal(status, info))
        self._next()

    def _enqueue(self, item: Request | Response) -> None:
        self._queue.append(item)
        if self._reading and len(self._queue) >= self._owner.limits.pipelined and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    # ------------------------------------------------------------ what is done with them

    def _start(self, request: Request) -> None:
        """A request's turn has come."""
        raise NotImplementedError

    def _next(self) -> None:
        """Look whether something in the queue has its turn."""
        raise NotImplementedError

    def _wait(self) -> None:
        """Count down what the client owes us now."""
        raise NotImplementedError
