"""What goes along with one request through the graph."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import Any

from orchestrator.room import Hold

Metadata = tuple[tuple[str, str | bytes], ...]

# Not handed on: what belongs to one connection (RFC 9110, 7.6.1), and what we write ourselves.
_OURS = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings", b"expect", b"host", b"content-length",
        b"content-type", b"content-encoding", b"seldon-puid", b"inference-header-content-length",
    }
)  # fmt: skip
PUID = "seldon-puid"
# gRPC has its own of these, or refuses them.
_NO_METADATA = frozenset({"accept", "accept-encoding", "user-agent", "te", "content-type", "authority"})
_KEY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Context:
    """The client's headers, in the form that they came in and, where a node is called otherwise, in the other.

    Args:
        headers: lines for a REST request.
        deadline: when the request's time is over, by `perf_counter`.
        routing: is filled with the way that was taken, unless it is None.
        metadata: the same as `headers` for a gRPC request; one of the two is enough.

    `model` is the model's name that the only node of a graph is called by, instead of its own. `span` is the
    request's, if it is traced. `hold` is what the request keeps, to which its nodes' long answers are added.
    """

    __slots__ = ("_headers", "_metadata", "deadline", "hold", "model", "routing", "span")

    def __init__(
        self,
        headers: bytes | None = b"",
        deadline: float = inf,
        routing: dict[str, int] | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        self._headers = headers
        self._metadata = metadata
        self.deadline = deadline
        self.routing = routing
        self.model = ""
        self.span: Any = None
        self.hold: Hold | None = None

    def saying(self, headers: Mapping[str, str], instead: Collection[str]) -> "Context":
        """The same for one call, with these headers instead of those of the lower-case names in `instead`."""
        lines = [line for line in self.headers.split(b"\r\n") if line]
        kept = [line for line in lines if line.partition(b":")[0].strip().lower().decode("latin-1") not in instead]
        said = [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
        metadata = [item for item in self.metadata if item[0] not in instead]
        own = Context(
            b"".join([line + b"\r\n" for line in kept + said]),
            self.deadline,
            self.routing,
            (*metadata, *headers.items()),
        )
        own.model, own.span, own.hold = self.model, self.span, self.hold
        return own

    def said(self, name: str) -> str:
        """What the client said under a lower-case name; nothing when it did not."""
        for key, value in self.metadata:
            if key == name and isinstance(value, str):
                return value
        return ""

    @property
    def headers(self) -> bytes:
        """Lines for a REST request, each with its end."""
        if self._headers is None:
            self._headers = as_headers(self._metadata or ())
        return self._headers

    @property
    def metadata(self) -> Metadata:
        """Metadata for a gRPC request."""
        if self._metadata is None:
            self._metadata = as_metadata(self._headers or b"")
        return self._metadata


def handed_on(headers: list[tuple[bytes, bytes]], puid: bytes) -> bytes:
    """The client's headers that nodes get too, and the request's id."""
    lines = [b"%b: %b\r\n" % item for item in headers if item[0] not in _OURS]
    lines.append(b"Seldon-Puid: %b\r\n" % puid)
    return b"".join(lines)


def passed_on(metadata: Iterable[tuple[str, str | bytes]], puid: str) -> Metadata:
    """The client's metadata that nodes get too, and the request's id."""
    kept = [(key, value) for key, value in metadata if key != PUID and _is_passed(key)]
    return (*kept, (PUID, puid))


def as_metadata(headers: bytes) -> Metadata:
    """Header lines as metadata; what has no place in them is left out."""
    found: list[tuple[str, str | bytes]] = []
    for line in headers.split(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        name, value = name.strip().lower(), value.strip()
        if name and _is_passed(name) and not name.endswith("-bin") and value.isascii() and value.isprintable():
            found.append((name, value))
    return tuple(found)


def as_headers(metadata: Sequence[tuple[str, str | bytes]]) -> bytes:
    """Metadata as header lines; bytes have no place there."""
    return b"".join(
        [
            f"{key}: {value}\r\n".encode("latin-1")
            for key, value in metadata
            if isinstance(value, str) and key.encode() not in _OURS
        ]
        + [
            f"Seldon-Puid: {value}\r\n".encode("latin-1")
            for key, value in metadata
            if key == PUID and isinstance(value, str)
        ]
    )


def _is_passed(key: str) -> bool:
    return key not in _NO_METADATA and not key.startswith(("grpc-", ":")) and _KEY.issuperset(key)
