"""One client's connection: bytes in, requests to the handler, answers out in their order."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

import httptools
import orjson

from orchestrator.countdown import Countdown
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response, head

log = logging.getLogger(__name__)

Handler = Callable[[Request], Response | Coroutine[Any, Any, Response]]

_JOIN_BELOW = 64 * 1024  # smaller bodies are copied behind their head: one write is cheaper than two
_WATERMARK = 256 * 1024  # bytes that we keep for a client that reads slowly before we stop working for it
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_NOTABLE = frozenset({b"content-length", b"connection", b"expect"})


class Owner(Protocol):
    """What a connection asks of its server."""

    handler: Handler
    limits: Limits
    draining: bool
    connections: set["Connection"]

    def discard(self, connection: "Connection") -> None:
        """Forget a connection that is gone."""


def refusal(status: int, info: str) -> Response:
    """An answer to what is no request: the connection ends with it."""
    body = orjson.dumps({"status": {"code": status, "info": info, "status": "FAILURE"}})
    return Response(status, body, close=True)


class Connection(asyncio.Protocol):
    """Reads requests one after the other; what is sent ahead waits, bounded, until its turn."""

    __slots__ = (
        "_begun", "_body", "_body_size", "_countdown", "_downgraded", "_full", "_head_done", "_lingering", "_loop",
        "_owner", "_parser", "_queue", "_reading", "_refused", "_request", "_task", "_transport", "_unseen", "_working",
    )  # fmt: skip

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._countdown = Countdown(loop, self._expired)
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._body: list[bytes] = []
        self._body_size = 0
        self._unseen = 0  # bytes that the parser has taken since it last reported something
        self._begun = False  # a request's first byte was seen
        self._head_done = False  # and its headers
        self._downgraded = False  # the head was read by an earlier parser, which left for an upgrade
        self._refused = False  # nothing more is read
        self._lingering = False  # nothing more is written
        self._working = False  # a request is with the handler
        self._full = False  # the client does not read its answers
        self._reading = True
        self._queue: deque[Request | Response] = deque()
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_WATERMARK)
        self._owner.connections.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: stop what is done for it."""
        self._transport = None
        self._queue.clear()
        self._countdown.close()
        if self._task is not None:
            self._task.cancel()
        self._owner.discard(self)

    def pause_writing(self) -> None:
        """The client's window is full."""
        self._full = True
        self._countdown.start(self._owner.limits.write_seconds)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        if not self._lingering:
            self._wait()
            self._next()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse what it cannot read and what is too long."""
        if self._refused:
            return
        begun = self._begun
        self._unseen += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(400, f"not an HTTP/1.1 request: {error}")
            return
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
            if int(value) > self._owner.limits.body_bytes:
                self._refuse_body()
        elif name == b"connection":
            self._request.asks_keep_alive = value.lower() == b"keep-alive"
        elif value.lower() == b"100-continue" and not self._refused and not self._working and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        if b"?" in request.path:
            request.path, _, request.query = request.path.partition(b"?")

    def on_chunk_header(self) -> None:
        """The parser has done with a chunk's size and extensions."""
        self._unseen = 0

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._unseen = 0
        if self._refused:
            return
        self._body_size += len(piece)
        if self._body_size > self._owner.limits.body_bytes:
            self._refuse_body()
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """A whole request: its turn, or wait for it."""
        self._unseen = 0
        if self._refused or (not self._downgraded and self._parser.should_upgrade()):
            return
        request, body = self._request, self._body
        if body:
            request.body = body[0] if len(body) == 1 else b"".join(body)
            self._body, self._body_size = [], 0
        self._request = Request()
        self._begun = self._head_done = self._downgraded = False
        if self._working or self._full or self._queue:
            self._enqueue(request)
        else:
            self._start(request)

    # ------------------------------------------------------------ refusing

    def _refuse_head(self) -> None:
        self._refuse(431, f"more than {self._owner.limits.head_bytes} bytes of request line, headers or framing")

    def _refuse_body(self) -> None:
        self._refuse(413, f"a body of more than {self._owner.limits.body_bytes} bytes")

    def _refuse(self, status: int, info: str) -> None:
        """Read nothing more; say why when the requests before it are answered."""
        if self._refused:
            return
        self._refused = True
        self._body.clear()
        self._enqueue(refusal(status, info))
        self._next()

    def _enqueue(self, item: Request | Response) -> None:
        self._queue.append(item)
        if self._reading and len(self._queue) >= self._owner.limits.pipelined and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    # ------------------------------------------------------------ the handler's side

    def _next(self) -> None:
        if self._working or self._full or self._transport is None:
            return
        if self._queue:
            item = self._queue.popleft()
            if isinstance(item, Request):
                self._start(item)
            else:
                self._answer(self._request, item)
        if not self._reading and not self._queue and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _start(self, request: Request) -> None:
        self._working = True
        self._countdown.stop()
        try:
            response = self._owner.handler(request)
        except Exception:
            log.exception("the handler of %r failed", request.path)
            response = refusal(500, "internal error")
        if isinstance(response, Response):
            self._answer(request, response)
        else:
            self._task = self._loop.create_task(self._finish(request, response))

    async def _finish(self, request: Request, response: Coroutine[Any, Any, Response]) -> None:
        try:
            answer = await response
        except asyncio.CancelledError:
            self.abort()
            return
        except Exception:
            log.exception("the handler of %r failed", request.path)
            answer = refusal(500, "internal error")
        self._task = None
        self._answer(request, answer)

    def _answer(self, request: Request, response: Response) -> None:
        self._working = False
        transport = self._transport
        if transport is None:
            return
        keep_alive = request.keep_alive and not response.close and not self._owner.draining
        start = head(response, keep_alive=keep_alive, said=request.asks_keep_alive)
        body = response.body if request.method != b"HEAD" else b""
        if len(body) < _JOIN_BELOW:
            transport.write(start + body)
        else:
            transport.writelines((start, body))
        if not keep_alive:
            self._leave(transport)
        elif not self._full:
            self._wait()
            if self._queue:
                self._loop.call_soon(self._next)

    # ------------------------------------------------------------ patience and parting

    def _wait(self) -> None:
        """Count down what the client owes us now."""
        limits = self._owner.limits
        if self._working or self._full:
            return
        if not self._begun:
            self._countdown.start(limits.idle_seconds)
        else:
            self._countdown.start(limits.body_seconds if self._head_done else limits.head_seconds)

    def _expired(self) -> None:
        if self._transport is None:
            return
        if self._full or self._lingering:
            self._transport.abort()
        elif self._begun:
            self._refuse(408, "the request did not arrive in time")
        else:
            self._transport.close()

    def _leave(self, transport: asyncio.Transport) -> None:
        """End the connection. What it still sends is read and dropped for a while, else it may lose the answer."""
        self._queue.clear()
        self._refused = self._lingering = True
        if not self._begun or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._countdown.start(self._owner.limits.linger_seconds)
        if not self._reading:
            transport.resume_reading()

    def close_if_idle(self) -> None:
        """Close unless a request is here or on its way."""
        if self._transport is not None and not (self._working or self._begun or self._queue or self._lingering):
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
