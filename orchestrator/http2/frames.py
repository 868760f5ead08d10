"""Frames of HTTP/2 (RFC 9113, 4 and 6) as bytes."""

from collections.abc import Mapping
from struct import Struct

from orchestrator.http2.faults import Code, Http2Error

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says first (RFC 9113, 3.4)."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
LARGEST = 2**31 - 1
"""Of a window, a stream's number and an increment."""

HEAD = Struct(">HBBBL")
"""A frame's head: 24 bits of length in two parts, kind, flags, stream."""
HEAD_SIZE = HEAD.size
_LONG = Struct(">L")
_SETTING = Struct(">HL")
_PAIR = Struct(">LL")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def headers(stream: int, block: bytes, flags: int, most: int) -> bytes:
    """A HEADERS frame, and CONTINUATION frames for what of the block is beyond `most` bytes."""
    size = len(block)
    if size <= most:
        return HEAD.pack(size >> 8, size & 0xFF, HEADERS, flags | END_HEADERS, stream) + block
    parts = [frame(HEADERS, flags, stream, block[:most])]
    for at in range(most, size, most):
        last = END_HEADERS if at + most >= size else 0
        parts.append(frame(CONTINUATION, last, stream, block[at : at + most]))
    return b"".join(parts)


def settings(values: Mapping[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*item) for item in values.items()]))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """What a SETTINGS frame says, in its order. Raises Http2Error."""
    if len(payload) % _SETTING.size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "a SETTINGS frame of an odd size")
    return list(_SETTING.iter_unpack(payload))


def reset(stream: int, code: Code) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _LONG.pack(code))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _LONG.pack(more))


def goaway(last: int, code: Code, why: bytes = b"") -> bytes:
    """A GOAWAY frame: streams above `last` were not and will not be looked at."""
    return frame(GOAWAY, 0, 0, _PAIR.pack(last, code) + why)


def read_goaway(payload: bytes) -> tuple[int, Code, bytes]:
    """The last stream, the code and what is said beside it. Raises Http2Error."""
    if len(payload) < _PAIR.size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "a GOAWAY frame that is too short")
    last, code = _PAIR.unpack_from(payload)
    return last & LARGEST, Code.of(code), payload[_PAIR.size :]


def number(payload: bytes, kind: str) -> int:
    """The 32 bits that a frame consists of. Raises Http2Error."""
    if len(payload) != _LONG.size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, f"a {kind} frame of {len(payload)} bytes")
    return int(_LONG.unpack(payload)[0])


def unpadded(payload: bytes, flags: int) -> bytes:
    """A payload without its padding. Raises Http2Error when that is longer than the frame."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "a padded frame without a length of its padding")
    end = len(payload) - payload[0]
    if end < 1:
        raise Http2Error(Code.PROTOCOL_ERROR, "padding that is longer than its frame")
    return payload[1:end]
