"""How many bytes of bodies all requests together may keep whole, and what each of them keeps."""

UNCOUNTED = 64 * 1024
"""Bodies up to this are not counted: `--max_requests` bounds them, and most requests pay nothing."""
PIECE = 64
"""Bytes that a piece of a body costs beside its content: a sender may cut it into very small ones."""


class Room:
    """What is kept of bodies that have to be whole, in bytes, and how much that may be.

    A request that is alone always has room, whatever `limit` says: what it can keep is bounded by the length of a body.
    """

    __slots__ = ("held", "limit", "refused")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.refused = 0

    def fits(self, size: int, own: int = 0) -> bool:
        """Whether there is room for `size` more bytes of a request that keeps `own` already."""
        return self.held <= own or self.held + size <= self.limit


class Hold:
    """What one request keeps: its body and its nodes' answers. Once closed it keeps nothing and takes nothing more."""

    __slots__ = ("_closed", "_room", "size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._closed = False
        self.size = 0

    def announced(self, size: int) -> bool:
        """Whether `size` bytes that are to come would fit now. Nothing is kept for them: they may never come."""
        return self._said(self._room.fits(size, self.size))

    def take(self, size: int) -> bool:
        """Keep `size` more bytes, if there is room for them."""
        if self._closed or not self._said(self._room.fits(size, self.size)):
            return False
        self.size += size
        self._room.held += size
        return True

    def close(self) -> None:
        """Nothing is kept any more."""
        self._closed = True
        self._room.held -= self.size
        self.size = 0

    def _said(self, fits: bool) -> bool:
        self._room.refused += not fits
        return fits
