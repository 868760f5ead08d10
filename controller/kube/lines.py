"""Cuts a stream of bytes into lines, and gives up on a line that is too long instead of on the stream."""

MAX_LINE = 4 * 1024 * 1024


class Lines:
    """Lines of a watch.

    Args:
        limit: the longest line in bytes; a longer one is dropped and counted.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self.limit = limit
        self.dropped = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more bytes and return the lines that they complete, without line ends and without empty ones."""
        first, *rest = chunk.split(b"\n")
        if not rest:
            self._keep(first)
            return []
        lines = []
        for piece in rest:
            self._keep(first)
            line = self._take()
            if line:
                lines.append(line)
            first = piece
        self._keep(first)
        return lines

    def _keep(self, piece: bytes) -> None:
        if self._skipping or not piece:
            return
        self._size += len(piece)
        if self._size > self.limit:
            self._skipping = True
            self._parts.clear()
            self.dropped += 1
        else:
            self._parts.append(piece)

    def _take(self) -> bytes:
        line = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._skipping = False
        return line
