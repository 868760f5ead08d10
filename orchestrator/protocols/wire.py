"""Protobuf's wire format, as far as a message can be changed without decoding it.

Two facts do most of the work: of a field that may be there once the last one wins, and of a message in a message both
are merged. So a name is replaced, or a map added to, by bytes that are put at the end
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from collections.abc import Iterator, Mapping

from orchestrator.errors import BadPayloadError

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def text(number: int, value: bytes) -> bytes:
    """A field of text, bytes or a message."""
    return varint(number << 3 | _LENGTH) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A whole number, seven bits in each byte; negative ones as 64 bits."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(body: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Number, start, start of the content, and end of each field at the top.

    Raises:
        BadPayloadError: the bytes are no message.
    """
    at = 0
    while at < len(body):
        tag, inner = _read(body, at)
        kind = tag & 7
        if kind == _LENGTH:
            length, inner = _read(body, inner)
            end = inner + length
        elif kind == _VARINT:
            _, end = _read(body, inner)
        elif kind in {_FIXED64, _FIXED32}:
            end = inner + (8 if kind == _FIXED64 else 4)
        else:
            raise BadPayloadError(f"the bytes are no protobuf message: wire type {kind} at {at}")
        if end > len(body) or tag < 8:
            raise BadPayloadError(f"the bytes are no protobuf message: the field at {at} does not end")
        yield tag >> 3, at, inner, end
        at = end


def first(body: bytes, number: int) -> bytes:
    """The content of the last field of that number, as it wins; nothing when there is none."""
    found = b""
    for each, _, inner, end in fields(body):
        if each == number:
            found = body[inner:end]
    return found


def renumbered(body: bytes, numbers: Mapping[int, int]) -> bytes:
    """The message with other numbers for its fields (all text, bytes or messages); fields without one are left out.

    Raises:
        BadPayloadError: the bytes are no message.
    """
    parts = []
    for number, start, inner, end in fields(body):
        wanted = numbers.get(number)
        if wanted == number:
            parts.append(body[start:end])
        elif wanted is not None:
            parts.append(varint(wanted << 3 | _LENGTH) + varint(end - inner) + body[inner:end])
    return b"".join(parts)


def _read(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(body) or shift > 63:
            raise BadPayloadError("the bytes are no protobuf message: a number does not end")
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
