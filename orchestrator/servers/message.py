"""A request as it came in, and what is answered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from orchestrator.flow import Flow
from orchestrator.room import Hold

_REASONS: Mapping[int, bytes] = MappingProxyType(
    {
        200: b"OK",
        204: b"No Content",
        304: b"Not Modified",
        400: b"Bad Request",
        404: b"Not Found",
        405: b"Method Not Allowed",
        408: b"Request Timeout",
        413: b"Content Too Large",
        415: b"Unsupported Media Type",
        429: b"Too Many Requests",
        431: b"Request Header Fields Too Large",
        500: b"Internal Server Error",
        501: b"Not Implemented",
        502: b"Bad Gateway",
        503: b"Service Unavailable",
        504: b"Gateway Timeout",
    }
)

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class Request:
    """One whole request, or one whose body is a `flow`. Header names are lower case, in the order they came, and may
    repeat.
    """

    __slots__ = (
        "_index", "asks_keep_alive", "body", "flow", "headers", "hold", "hop", "keep_alive", "method", "path", "query",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._index: dict[bytes, bytes] | None = None
        self.body = b""
        self.flow: Flow | None = None
        self.hold: Hold | None = None  # what is kept until it is answered, of a body that is not a small one
        self.hop: tuple[bytes, ...] = ()  # headers that are for this connection alone, as it says itself
        self.keep_alive = True
        self.asks_keep_alive = False  # an HTTP/1.0 client that asks for it must be told

    def header(self, name: bytes) -> bytes:
        """The last value of a header by its lower-case name, or nothing. Ask only when all headers are here."""
        if self._index is None:
            self._index = dict(self.headers)
        return self._index.get(name, b"")

    @property
    def target(self) -> bytes:
        """The path with its query."""
        return self.path + (b"?" + self.query if self.query else b"")

    def head_size(self) -> int:
        """About the bytes of the request line and the headers."""
        return len(self.path) + sum([len(name) + len(value) + 4 for name, value in self.headers])


class Response:
    """What is answered. `headers` are whole lines, each with its line end.

    With a `flow` the body comes from there. `sent` is told at the end what it ended with: nothing when all went out.
    """

    __slots__ = ("body", "close", "content_type", "flow", "headers", "sent", "status")

    def __init__(
        self, status: int, body: bytes = b"", content_type: bytes = JSON, *, headers: bytes = b"", close: bool = False
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.close = close
        self.flow: Flow | None = None
        self.sent: Callable[[BaseException | None], None] | None = None


BODILESS = frozenset({204, 304})
"""Statuses whose answers end with their head, whatever it says (RFC 9112, 6.3)."""
_heads: dict[tuple[int, bytes], bytes] = {}
_CONNECTION = {True: b"Connection: keep-alive\r\n\r\n", False: b"Connection: close\r\n\r\n"}
_HEADS_KEPT = 1024  # content types come from models: a model that invents them must not fill our memory
_HEAD_KEPT = 512  # bytes


def head(response: Response, *, keep_alive: bool, said: bool = False) -> bytes:
    """The status line and headers of a response, up to and with the empty line.

    `said`: the client asked to keep the connection in so many words, as HTTP/1.0 has it, and waits for the same words.
    """
    key = (response.status, response.content_type)
    start = _heads.get(key)
    if start is None:
        start = b"HTTP/1.1 %d %b\r\nX-Content-Type-Options: nosniff\r\n" % (
            response.status,
            _REASONS.get(response.status, b"Unknown"),
        )
        if response.content_type:
            start += b"Content-Type: %b\r\n" % response.content_type
        if len(_heads) < _HEADS_KEPT and len(start) < _HEAD_KEPT:
            _heads[key] = start
    end = b"\r\n" if keep_alive and not said else _CONNECTION[keep_alive]
    if response.flow is not None:
        return b"%b%b%b%b" % (start, framing(response), response.headers, end)
    if response.status in BODILESS:
        return b"%b%b%b" % (start, response.headers, end)
    return b"%bContent-Length: %d\r\n%b%b" % (start, len(response.body), response.headers, end)


def framing(response: Response) -> bytes:
    """How the client will know the end of a body that flows: by its length, if that is known."""
    flow = response.flow
    if flow is None or flow.length is None:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % flow.length
