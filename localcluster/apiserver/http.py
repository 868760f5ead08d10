"""HTTP/1.1 for the API: httptools over an asyncio protocol, because a framework would cost more than the work itself.

A handler gives a `Response`, an awaitable of one, or a `Stream` that goes on writing (watches, followed logs).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote

import httptools
import orjson

_LOG = logging.getLogger(__name__)

MOST_BODY_BYTES = 8 * 1024 * 1024
_MOST_HEADER_BYTES = 1024 * 1024
_MOST_UNSENT_BYTES = 64 * 1024 * 1024
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache, private\r\n\r\n"
)
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


@dataclass(slots=True, eq=False)
class Request:
    """One request. Header names are lower case; a header that comes twice keeps both values, joined by a comma."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Response:
    code: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Stream(Protocol):
    """A response that goes on. `start` gets the sink after the head; `stop` is called when the client has gone."""

    content_type: str

    def start(self, sink: "Sink") -> None: ...

    def stop(self) -> None: ...


Handler = Callable[[Request], Response | Awaitable[Response | Stream] | Stream]


class Sink:
    """Where a stream writes. Chunks are framed here; a client that reads too slowly is cut off."""

    def __init__(self, connection: "Connection", transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport

    def write(self, data: bytes) -> None:
        if not data or self._transport.is_closing():
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self._transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            self._transport.abort()

    def end(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")
        self._connection.stream_ended()


@dataclass(eq=False)
class Connections:
    """The open connections and the handler they share."""

    handler: Handler
    open: set["Connection"] = field(default_factory=set)

    def protocol(self) -> "Connection":
        return Connection(self)

    def close(self) -> None:
        for connection in list(self.open):
            connection.close()


class Connection(asyncio.Protocol):
    """One client connection: requests in order, one at a time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._keep_after_stream = True

    # ── asyncio ──────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's TLS transport is one in all but name
        self._connections.open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.open.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._stream is not None:
            self._stream.stop()
            self._stream = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "upgrades are not served here")
        except httptools.HttpParserError as error:
            self._refuse(400, f"malformed request: {error}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, code: int, message: str) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            body = orjson.dumps(
                {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
            )
            transport.write(_rendered(Response(code, body), keep=False))
            transport.close()

    # ── httptools ────────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._body = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MOST_HEADER_BYTES:
            raise httptools.HttpParserError("too many headers")
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known},{text}"

    def on_headers_complete(self) -> None:
        self._size = 0
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MOST_BODY_BYTES:
            self._refuse(413, f"the request body is larger than {MOST_BODY_BYTES} bytes")
            raise httptools.HttpParserError("body too large")
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode(),
            path=unquote(path),
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            headers=self._headers,
            body=b"".join(self._body) if len(self._body) != 1 else self._body[0],
        )
        keep = self._parser.should_keep_alive()
        if self._task is not None or self._stream is not None:
            self._waiting.append((request, keep))
        else:
            self._serve(request, keep)

    # ── answering ────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, request: Request, keep: bool) -> None:
        answer = self._connections.handler(request)
        if isinstance(answer, Response):
            self._answer(answer, keep)
        elif isinstance(answer, Coroutine):
            self._task = asyncio.get_running_loop().create_task(self._later(answer, keep))
        else:
            self._begin(answer, keep)  # type: ignore[arg-type]  # what is neither is a stream

    async def _later(self, answer: Awaitable[Response | Stream], keep: bool) -> None:
        try:
            result = await answer
        except Exception:  # noqa: BLE001 - logged, and the client is told
            _LOG.exception("a request failed")
            body = orjson.dumps(
                {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "internal error", "code": 500}
            )
            result = Response(500, body)
        self._task = None
        if isinstance(result, Response):
            self._answer(result, keep)
            self._next()
        else:
            self._begin(result, keep)

    def _answer(self, response: Response, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(_rendered(response, keep=keep))
        if not keep:
            transport.close()

    def _begin(self, stream: Stream, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            stream.stop()
            return
        self._stream = stream
        self._keep_after_stream = keep
        transport.write(_STREAM_HEAD % stream.content_type.encode())
        stream.start(Sink(self, transport))

    def stream_ended(self) -> None:
        self._stream = None
        if not self._keep_after_stream:
            self.close()
            return
        self._next()

    def _next(self) -> None:
        while self._waiting and self._task is None and self._stream is None:
            self._serve(*self._waiting.popleft())


def _rendered(response: Response, *, keep: bool) -> bytes:
    lines = [
        _STATUS_LINES[response.code],
        f"Content-Type: {response.content_type}\r\nContent-Length: {len(response.body)}\r\n".encode(),
        b"Cache-Control: no-cache, private\r\n",
    ]
    lines.extend(f"{name}: {value}\r\n".encode() for name, value in response.headers)
    if not keep:
        lines.append(b"Connection: close\r\n")
    lines.append(b"\r\n")
    lines.append(response.body)
    return b"".join(lines)
