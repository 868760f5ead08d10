"""JSON as bytes: read and written as Python models do, and escaped for browsers."""

import json
import re
from typing import Any

import orjson

from orchestrator.errors import BadPayloadError

_WIDE = re.compile(rb"[0-9]{19}")  # orjson reads integers beyond 64 bits as floats


def read(body: bytes) -> Any:
    """JSON, also with the NaN, Infinity and wide integers that Python models write.

    Raises:
        BadPayloadError: it is none.
    """
    if not _WIDE.search(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(f"the body is no JSON: {error}") from None


def write(value: Any) -> bytes:
    """JSON, with NaN as Python models write it.

    Raises:
        TypeError: it is no JSON.
        BadPayloadError: it is nested too deep.
    """
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        pass
    else:
        if b"null" not in text:  # orjson writes NaN as null
            return text
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except RecursionError as error:
        raise BadPayloadError(f"the message is nested too deep: {error}") from None


def escaped(body: bytes) -> bytes:
    """JSON that a browser cannot take for HTML, meaning the same: `<`, `>`, `&`, U+2028 and U+2029 as escapes."""
    if b"<" in body:
        body = body.replace(b"<", b"\\u003c")
    if b">" in body:
        body = body.replace(b">", b"\\u003e")
    if b"&" in body:
        body = body.replace(b"&", b"\\u0026")
    if b"\xe2\x80" in body:
        body = body.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return body


class Escaping:
    """`escaped` for a body that comes in pieces: a character may be split between two."""

    def __init__(self) -> None:
        self._split = b""

    def __call__(self, piece: bytes) -> bytes:
        """The next piece."""
        if self._split:
            piece, self._split = self._split + piece, b""
        for end in (b"\xe2", b"\xe2\x80"):
            if piece.endswith(end):
                piece, self._split = piece[: -len(end)], end
        return escaped(piece)

    def rest(self) -> bytes:
        """What was kept back, at the end."""
        rest, self._split = self._split, b""
        return rest
