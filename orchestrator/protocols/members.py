"""The members of a JSON object that comes in pieces: where each begins and ends, without reading what is in them.

Valid JSON is taken apart rightly, however it is cut. Of what is not valid the texts still are what came, one after the
other, so that who reads them finds what is wrong.
"""

import re
from collections.abc import Iterator
from enum import Enum

from orchestrator.errors import BadPayloadError
from orchestrator.protocols import jsontext

LONGEST = 4096
"""Bytes that a member's name, with the blanks around it, may have."""
MOST = 1000
"""Members that an object may have."""
_BLANK = rb"[ \t\n\r]*+"
_NEXT = re.compile(rb'%b[{,]%b("(?:[^"\\]++|\\.)*+")%b:%b(?=[^ \t\n\r])' % ((_BLANK,) * 4), re.DOTALL)
_CLOSING = re.compile(rb"%b\}" % _BLANK)
_END_OF_WORD = re.compile(rb"[,} \t\n\r]")
_STRIDE = 64 * 1024  # bytes that are looked at together: one more in which a value does not end costs little
_FIRST_STRIDE = 32  # most values are short, and there may be many
_DEEPEST = 1024
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


class Text(Enum):
    """What a text is."""

    NAME = "what stands before a value: the name, with all around it"
    VALUE = "a value, or a part of it"
    END = "the closing bracket, and what is behind it"


class Members:
    """Takes an object apart. `name` is of the member that is being read."""

    def __init__(self) -> None:
        self.name = ""
        self.left = b""  # what came and is no whole text yet
        self._value: _Value | None = None
        self._closed = False
        self._count = 0

    def texts(self, piece: bytes) -> Iterator[tuple[Text, bytes]]:
        """The texts that end in the next piece, and the part of a value that goes on in the one after it.

        Raises:
            BadPayloadError: a name is too long, there are too many, or what is nested is nested too deep.
        """
        data, at = self.left + piece if self.left else piece, 0
        self.left = b""
        while at < len(data):
            if self._value is not None:
                end = self._value.end(data, at)
                stop = len(data) if end < 0 else end
                if end >= 0:
                    self._value = None
                yield Text.VALUE, data[at:stop]
                at = stop
            elif self._closed or _CLOSING.match(data, at):
                self._closed = True
                yield Text.END, data[at:]
                return
            elif (found := _NEXT.match(data, at)) is not None:
                self._count += 1
                if self._count > MOST:
                    raise BadPayloadError(f"the body has more than {MOST} members")
                self.name = _read(found[1])
                yield Text.NAME, found[0]
                at = found.end()
                self._value = _Value(data[at])
            else:
                if len(data) - at > LONGEST:
                    raise BadPayloadError(f"the body is no JSON, or has a name of more than {LONGEST} bytes")
                self.left = data[at:]
                return


def _read(name: bytes) -> str:
    try:
        return str(jsontext.read(name))
    except BadPayloadError:
        return ""  # it is no name of ours, and who reads the whole will say what is wrong with it


class _Value:
    """Where a value ends: behind its brackets, its quotes, or as a word."""

    def __init__(self, first: int) -> None:
        self._word = first not in b'"[{'
        self._first = not self._word  # it is still to come
        self._quoted = first == ord('"')
        self._depth = int(not self._word and not self._quoted)
        self._escaped = False  # the next byte is, by a backslash
        self._stride = _FIRST_STRIDE  # twice as many each time that it goes on

    def end(self, data: bytes, at: int) -> int:
        """Where it ends in the next piece, from `at` on; -1 when it goes on."""
        if self._word:
            found = _END_OF_WORD.search(data, at)
            return found.start() if found else -1
        if self._first:
            self._first = False
            at += 1
        stride, narrowing = self._stride, False
        while at < len(data):
            window = data[at : at + stride]
            if self._goes_on(window):
                at += len(window)
                if not narrowing:
                    stride = self._stride = min(2 * stride, _STRIDE)
            elif len(window) == 1:
                return at + 1
            else:
                stride, narrowing = len(window) // 2, True  # so it is found in a few steps
        return -1

    def _goes_on(self, window: bytes) -> bool:
        """Whether the value does not end in a piece of it; then all of the piece is behind us."""
        text, escaped = window[1:] if self._escaped else window, False
        if b"\\" in text:
            text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
            escaped = text.endswith(b"\\")
        parts = text.split(b'"') if b'"' in text else [text]  # to look is much cheaper than to split
        if self._depth == 0 and len(parts) > 1:
            return False
        brackets = b"".join(parts[self._quoted :: 2])
        if not any(map(brackets.__contains__, _BRACKETS)):
            brackets = b""
        brackets = brackets.translate(_ONE_KIND, _NO_BRACKETS)
        for _ in range(_DEEPEST):
            shorter = brackets.replace(b"[]", b"")
            if len(shorter) == len(brackets):
                break
            brackets = shorter
        closing = brackets.count(b"]")  # what is left is the deepest dip, and the way up from there
        if self._depth and closing >= self._depth:
            return False
        self._depth += len(brackets) - 2 * closing
        if self._depth > _DEEPEST:
            raise BadPayloadError(f"the body is nested deeper than {_DEEPEST} levels")
        self._quoted ^= len(parts) % 2 == 0
        self._escaped = escaped
        return True
