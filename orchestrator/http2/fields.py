"""Header fields and their blocks (HPACK, RFC 7541), with a memory for blocks that come again.

What we write never enters the peer's dynamic table: static indices and literals alone. So the block of the same fields
is always the same, and can be kept. What we read is kept until the peer changes the table that it was read with.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from hpack.exceptions import HPACKDecodingError, InvalidTableIndex
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable, table_entry_size

from orchestrator.http2.faults import Code, Http2Error

Pair = tuple[bytes, bytes]


class Shape(Enum):
    """What a list of fields can be, by its pseudo-header fields (RFC 9113, 8.3)."""

    REQUEST = auto()
    RESPONSE = auto()
    TRAILERS = auto()
    MALFORMED = auto()


class Fields:
    """A list of fields in their order. `made` is for what its reader makes of it: a block that comes again is
    the same object.
    """

    __slots__ = ("length", "made", "pairs", "shape", "size", "too_long")

    def __init__(self, pairs: tuple[Pair, ...], *, size: int = 0, too_long: bool = False) -> None:
        self.pairs = pairs
        self.size = size  # as RFC 9113, 6.5.2 counts it
        self.too_long = too_long
        self.shape = shape(pairs)
        self.length = _content_length(pairs) if self.shape is not Shape.MALFORMED else None
        if self.length is not None and self.length < 0:
            self.shape = Shape.MALFORMED
        self.made: Any = None

    def get(self, name: bytes) -> bytes:
        """The first value of a name, or nothing."""
        for key, value in self.pairs:
            if key == name:
                return value
        return b""


_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"[^\0\r\n]*")
_OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_REQUEST = frozenset({b":method", b":scheme", b":path"})
_SHAPES = {
    _REQUEST: Shape.REQUEST,
    _REQUEST | {b":authority"}: Shape.REQUEST,
    frozenset({b":status"}): Shape.RESPONSE,
    frozenset(): Shape.TRAILERS,
}


def shape(pairs: Iterable[Pair]) -> Shape:
    """What these fields are; MALFORMED when they break RFC 9113, 8.2 and 8.3."""
    pseudo: set[bytes] = set()
    regular = False
    for name, value in pairs:
        if name.startswith(b":"):
            if regular or name in pseudo or (name == b":path" and not value):
                return Shape.MALFORMED
            pseudo.add(name)
        else:
            regular = True
            if not _NAME.fullmatch(name) or name in _OF_ONE_CONNECTION or (name == b"te" and value != b"trailers"):
                return Shape.MALFORMED
        if not _VALUE.fullmatch(value):
            return Shape.MALFORMED
    return _SHAPES.get(frozenset(pseudo), Shape.MALFORMED)


def _content_length(pairs: Iterable[Pair]) -> int | None:
    """What the fields say of the body's length; -1 for something that is none."""
    found = {value for name, value in pairs if name == b"content-length"}
    if not found:
        return None
    value = found.pop()
    return int(value) if not found and value.isdigit() and len(value) < 16 else -1


# ---------------------------------------------------------------- reading

_KEPT = 64  # blocks of a connection
_KEPT_BLOCK, _KEPT_SIZE = 1024, 4096  # bytes of one, packed and unpacked
_INTEGER_BYTES = 5  # more than enough for 32 bits


class Decoder:
    """Reads the blocks of one connection. `longest` bounds a list of fields, with 32 bytes more for each."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._table = HeaderTable()
        self._allowed = HeaderTable.DEFAULT_SIZE
        self._known: dict[bytes, Fields] = {}

    def decode(self, block: bytes) -> Fields:
        """The fields of a whole block. Raises Http2Error: both sides no longer have the same table."""
        found = self._known.get(block)
        if found is not None:
            return found
        try:
            found, changed = self._read(block)
        except (IndexError, HPACKDecodingError, InvalidTableIndex) as error:
            raise Http2Error(Code.COMPRESSION_ERROR, f"a header block that cannot be read: {error}") from error
        if changed or len(self._known) >= _KEPT:
            self._known.clear()
        if not changed and len(block) <= _KEPT_BLOCK and found.size <= _KEPT_SIZE:
            self._known[block] = found
        return found

    def _read(self, block: bytes) -> tuple[Fields, bool]:
        table, size, changed, at, end = self._table, 0, False, 0, len(block)
        pairs: list[Pair] = []
        started = False
        while at < end:
            first = block[at]
            if first & 0x80:
                index, at = (first & 0x7F, at + 1) if first != 0xFF else _integer(block, at, 0x7F)
                name, value = table.get_by_index(index)
            elif first & 0x60 == 0x20:
                if started:
                    raise HPACKDecodingError("a change of the table's size after a field")
                changed = True
                at = self._resized(block, at)
                continue
            else:
                name, value, at = self._literal(block, at, 0x3F if first & 0x40 else 0x0F)
                if first & 0x40:
                    changed = True
                    table.add(name, value)
            started = True
            size += table_entry_size(name, value)
            if size <= self._longest:
                pairs.append((name, value))
        return Fields(tuple(pairs), size=size, too_long=size > self._longest), changed

    def _resized(self, block: bytes, at: int) -> int:
        size, at = _integer(block, at, 0x1F)
        if size > self._allowed:
            raise HPACKDecodingError(f"a table of {size} bytes, where {self._allowed} are allowed")
        self._table.maxsize = size
        return at

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[bytes, bytes, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._table.get_by_index(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return name, value, at


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """RFC 7541, 5.1."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for turn in range(_INTEGER_BYTES):
        more = block[at + turn]
        value += (more & 0x7F) << (7 * turn)
        if more < 0x80:
            return value, at + turn + 1
    raise HPACKDecodingError("a number that is too large")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """RFC 7541, 5.2."""
    packed = block[at] & 0x80
    size, at = _integer(block, at, 0x7F)
    end = at + size
    if end > len(block):
        raise HPACKDecodingError("a string that ends after its block")
    found = block[at:end]
    if packed:
        found = _unpacked(found) if size <= _SHORT else decode_huffman(found)
    return found, end


_SHORT = 128


@lru_cache(1024)
def _unpacked(packed: bytes) -> bytes:
    return decode_huffman(packed)


# ---------------------------------------------------------------- writing

_INDEXED = {pair: index for index, pair in enumerate(HeaderTable.STATIC_TABLE, 1) if pair[1]}
_NAMES = {name: index for index, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization"})  # for no table on the way (RFC 7541, 7.1.3)


def block(pairs: Iterable[Pair]) -> bytes:
    """The block of fields."""
    return b"".join([literal(*pair) if pair not in _INDEXED else bytes((0x80 | _INDEXED[pair],)) for pair in pairs])


def literal(name: bytes, value: bytes) -> bytes:
    """One field that enters no table."""
    size = len(value)
    if size < 0x7F:
        return b"%b%c%b" % (_named(name), size, value)
    return b"%b%b%b" % (_named(name), _number(size, 0x7F, 0), value)


@lru_cache(512)
def _named(name: bytes) -> bytes:
    kind = 0x10 if name in _SECRET else 0
    index = _NAMES.get(name)
    if index is not None:
        return _number(index, 0x0F, kind)
    return bytes((kind,)) + _number(len(name), 0x7F, 0) + name


def _number(value: int, mask: int, kind: int) -> bytes:
    if value < mask:
        return bytes((kind | value,))
    found = bytearray((kind | mask,))
    value -= mask
    while value >= 0x80:
        found.append(0x80 | value & 0x7F)
        value >>= 7
    found.append(value)
    return bytes(found)
