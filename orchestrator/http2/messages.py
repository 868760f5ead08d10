"""gRPC within HTTP/2: messages with their prefix, time-outs, metadata, and what is said of a failure."""

import binascii
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache
from math import ceil
from struct import Struct
from urllib.parse import quote, unquote_to_bytes

from orchestrator.http2.fields import Pair
from orchestrator.http2.status import Metadata, RpcError, Status, of_number

_PREFIX = Struct(">BL")
PREFIX_SIZE = _PREFIX.size
ENCODINGS = b"identity,deflate,gzip"
"""Of messages that we read; we write them as they are."""
_WINDOW_BITS = {b"gzip": 31, b"deflate": 15}  # zlib's: with gzip's head, with its own


def prefix(body: bytes) -> bytes:
    """What stands before a message that is not packed."""
    return _PREFIX.pack(0, len(body))


class Assembly:
    """The messages of one direction of one call, out of the pieces that they come in.

    Args:
        limit: bytes of a message, as it comes and unpacked.
        encoding: how the other side says that it packs messages; empty when it does not.
    """

    __slots__ = ("_encoding", "_got", "_head", "_limit", "_packed", "_pieces", "size")

    def __init__(self, limit: int, encoding: bytes = b"") -> None:
        self._limit = limit
        self._encoding = encoding
        self._head = b""
        self._packed = False
        self._pieces: list[bytes] = []
        self._got = 0
        self.size = -1  # of the message that is under way; -1 before its prefix is here

    def take(self, data: bytes) -> list[bytes]:
        """The messages that this piece completes.

        Raises:
            RpcError: a message that is too long, or cannot be unpacked.
        """
        found: list[bytes] = []
        while data:
            if self.size < 0:
                head = self._head + data if self._head else data
                if len(head) < PREFIX_SIZE:
                    self._head = head
                    break
                self._head = b""
                self._begin(*_PREFIX.unpack_from(head))
                data = head[PREFIX_SIZE:]
            wanted = self.size - self._got
            piece = data[:wanted] if len(data) > wanted else data
            self._pieces.append(piece)
            self._got += len(piece)
            data = data[wanted:]
            if self._got == self.size:
                found.append(self._whole())
        return found

    @property
    def started(self) -> bool:
        """Whether a message has begun that is not whole."""
        return self.size >= 0 or bool(self._head)

    def _begin(self, flag: int, size: int) -> None:
        if flag > 1:
            raise RpcError(Status.INTERNAL, f"a message whose first byte is {flag}")
        if size > self._limit:
            raise too_long(size, self._limit)
        self._packed = flag == 1
        self.size = size

    def _whole(self) -> bytes:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._got, self.size = [], 0, -1
        return unpacked(body, self._encoding, self._limit) if self._packed else body


def too_long(size: int, limit: int) -> RpcError:
    """For a message that is longer than it may be."""
    return RpcError(Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes is longer than the limit of {limit}")


def unpacked(body: bytes, encoding: bytes, limit: int) -> bytes:
    """A packed message. Raises RpcError."""
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        said = encoding.decode("latin-1") or "nothing"
        raise RpcError(Status.INTERNAL, f"a packed message, where grpc-encoding says {said}")
    reader = zlib.decompressobj(bits)
    try:
        found = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise RpcError(Status.INTERNAL, f"a message that cannot be unpacked: {error}") from error
    if len(found) > limit:
        raise RpcError(Status.RESOURCE_EXHAUSTED, f"a message is longer, unpacked, than the limit of {limit} bytes")
    if not reader.eof:
        raise RpcError(Status.INTERNAL, "a message whose packed form is cut short")
    return found


def reads(encoding: bytes) -> bool:
    """Whether messages may come in this encoding."""
    return encoding in _WINDOW_BITS or encoding in {b"", b"identity"}


# ---------------------------------------------------------------- time-outs

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_LONGEST = 99_999_999


def timeout(said: bytes) -> float | None:
    """Seconds of a `grpc-timeout`; None for one that cannot be read."""
    found = _TIMEOUT.fullmatch(said)
    return float(found[1]) * _UNITS[found[2]] if found else None


def said_timeout(seconds: float) -> bytes:
    """A time as `grpc-timeout`, rounded up to milliseconds (or, from 27 hours on, to seconds)."""
    number = max(1, ceil(seconds * 1000.0))
    return b"%dm" % number if number <= _LONGEST else b"%dS" % min(_LONGEST, ceil(seconds))


# ---------------------------------------------------------------- metadata

_KEY = re.compile(r"[0-9a-z_.\-]+")
_HTTPS = frozenset({b"te", b"content-type", b"content-length"})
_OURS = frozenset({"te", "content-type", "user-agent"})


def metadata(pairs: Iterable[Pair]) -> Metadata:
    """Fields as metadata: without those of HTTP and of gRPC itself; binary ones as bytes."""
    found: list[tuple[str, str | bytes]] = []
    for name, value in pairs:
        if name[:1] == b":" or name[:5] == b"grpc-" or name in _HTTPS:
            continue
        if name[-4:] == b"-bin":
            found += [(name.decode("latin-1"), one) for one in _binaries(value)]
        else:
            found.append((name.decode("latin-1"), value.decode("latin-1")))
    return tuple(found)


def _binaries(value: bytes) -> Iterable[bytes]:
    for part in value.split(b","):
        try:
            yield b64decode(part.strip() + b"=" * (-len(part.strip()) % 4))
        except (binascii.Error, ValueError):
            continue


def fields(metadata: Metadata) -> list[Pair]:
    """Metadata as fields; what has no place in them is left out."""
    found: list[Pair] = []
    for key, value in metadata:
        name = _name(key)
        if not name:
            continue
        if isinstance(value, bytes):
            if key.endswith("-bin"):
                found.append((name, b64encode(value).rstrip(b"=")))
        elif value.isascii() and value.isprintable() and not key.endswith("-bin"):
            found.append((name, value.strip(" ").encode()))
    return found


@lru_cache(512)
def _name(key: str) -> bytes:
    """A key as a field's name; nothing for one that has no place there."""
    return b"" if not _KEY.fullmatch(key) or key in _OURS or key.startswith("grpc-") else key.encode()


_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def trailing(error: RpcError) -> list[Pair]:
    """The trailers that say a failure."""
    pairs = [(b"grpc-status", b"%d" % error.status)]
    if error.details:
        pairs.append((b"grpc-message", quote(error.details, safe=_PLAIN, errors="replace").encode()))
    details = [value for key, value in error.trailing if key == "grpc-status-details-bin" and isinstance(value, bytes)]
    pairs += [(b"grpc-status-details-bin", b64encode(value).rstrip(b"=")) for value in details]
    return pairs + fields(error.trailing)


_UNSAID = "the answer has no grpc-status"


def outcome(pairs: Iterable[Pair]) -> RpcError:
    """What trailers say, also when that is OK."""
    status, details = Status.UNKNOWN, _UNSAID
    more: list[tuple[str, str | bytes]] = []
    for name, value in pairs:
        if name == b"grpc-status":
            status = of_number(value)
            details = "" if details is _UNSAID else details
        elif name == b"grpc-message":
            details = unquote_to_bytes(value).decode("utf-8", "replace")
        elif name == b"grpc-status-details-bin":
            more += [("grpc-status-details-bin", one) for one in _binaries(value)]
    return RpcError(status, details, (*more, *metadata(pairs)))
