"""A body on its way: pieces in at one end, out at the other, and never more than a window between the two."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from orchestrator.errors import OrchestratorError

WINDOW = 512 * 1024
"""Bytes that wait in a flow before its sender is paused; also how much of what was taken can be had again."""


def _nothing() -> None:
    return None


class Change(Protocol):
    """Something that is done to a body piece by piece."""

    def __call__(self, piece: bytes) -> bytes:
        """The next piece, changed."""

    def rest(self) -> bytes:
        """What was kept back, at the end."""


class Flow:
    """Pieces of one body, for one reader.

    Args:
        length: bytes in all, or None when that is only known at the end.
        pause: is called when more than a window waits.
        resume: and when the reader has caught up.
        dropped: is called when the reader wants no more.
    """

    __slots__ = (
        "_change",
        "_dropped",
        "_error",
        "_held",
        "_kept",
        "_pause",
        "_paused",
        "_pieces",
        "_resume",
        "_taken",
        "_told",
        "_waiter",
        "ended",
        "length",
    )  # fmt: skip

    def __init__(
        self,
        length: int | None,
        *,
        pause: Callable[[], None] = _nothing,
        resume: Callable[[], None] = _nothing,
        dropped: Callable[[], None] = _nothing,
    ) -> None:
        self.length = length
        self.ended = False  # all pieces are here
        self._change: Change | None = None
        self._told: list[Callable[[Exception | None], None]] = []
        self._pause = pause
        self._resume = resume
        self._dropped = dropped
        self._pieces: list[bytes] = []
        self._held = 0
        self._taken = 0
        self._kept: list[bytes] | None = []
        self._paused = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ the sender's end

    def feed(self, piece: bytes) -> None:
        """A further piece."""
        if self._change is not None:
            piece = self._changed(self._change, piece)
            if not piece:
                return
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > WINDOW and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self) -> None:
        """That was all."""
        self._go_on()  # what its sender sends next is none of ours
        if self._change is not None:
            self._add_rest(self._change)
            if self._error is not None:
                return
        self.ended = True
        self._tell(None)
        self._wake()

    def fail(self, error: Exception) -> None:
        """There will be no more, though that was not all."""
        if not self.ended and self._error is None:
            self._error = error
            self._pieces = []
            self._kept = None
            self._held = 0
            self._tell(error)
            self._wake()

    def turn(self, change: Change) -> None:
        """Change all of it on its way: what is here, of which nothing was taken, and what is to come."""
        pieces, self._pieces = self._pieces, []
        self._held, self.length, self._change = 0, None, change
        for piece in pieces:
            self.feed(piece)
        if self.ended:
            self._add_rest(change)

    def _changed(self, change: Change, piece: bytes | None) -> bytes:
        """The next piece as `change` gives it, or with None the rest. Nothing when it cannot, which ends the flow."""
        if self._error is not None:
            return b""
        try:
            return change.rest() if piece is None else change(piece)
        except OrchestratorError as error:
            sending = piece is not None and not self.ended
            self.ended = False
            self.fail(error)
            if sending:
                self._dropped()
            return b""

    def _add_rest(self, change: Change) -> None:
        rest = self._changed(change, None)
        if rest:
            self._pieces.append(rest)
            self._held += len(rest)

    def when_ended(self, told: Callable[[Exception | None], None]) -> None:
        """Tell once how the sender ends, or has ended: with an error, or well."""
        if self.ended or self._error is not None:
            told(self._error)
        else:
            self._told.append(told)

    def _tell(self, error: Exception | None) -> None:
        told, self._told = self._told, []
        for each in told:
            each(error)

    # ------------------------------------------------------------ the reader's end

    @property
    def waits(self) -> bool:
        """Whether `take` would have to wait for the sender."""
        return not self._pieces and not self.ended and self._error is None

    @property
    def done(self) -> bool:
        """Whether all pieces were here and are taken."""
        return self.ended and not self._pieces

    async def glimpse(self, size: int) -> bytes:
        """The first `size` bytes, a window at most, without taking them; fewer where there are no more."""
        while self._held < size and not self.ended and self._error is None:
            await self._fed()
        return b"".join(self._pieces)[:size]

    async def take(self) -> list[bytes]:
        """The pieces that are here, after a wait if there are none; nothing at the end.

        Raises:
            Exception: what the sender failed with.
        """
        if self.waits:
            await self._fed()
        if self._error is not None:
            error, self._error = self._error, ConnectionAbortedError("the body has failed before")
            try:
                raise error
            finally:  # an error knows the frames that it passed, and these must not know it: bodies hang on them
                del error
        pieces, self._pieces = self._pieces, []
        self._taken += self._held
        self._held = 0
        if self._kept is not None:
            if self._taken <= WINDOW:
                self._kept += pieces
            else:
                self._kept = None
        self._go_on()
        return pieces

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()

    async def _fed(self) -> None:
        """Wait for a further piece, or the end."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        """Let the reader look up from its wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def rewind(self) -> bool:
        """Start again from the first piece; says whether that could be done: no more than a window was taken."""
        if self._kept is None:
            return False
        self._pieces = self._kept + self._pieces
        self._held = sum(map(len, self._pieces))
        self._taken = 0
        self._kept = []
        return True

    def drop(self) -> None:
        """The reader wants no more."""
        self._pieces = []
        self._kept = None
        self._held = 0
        if not self.ended and self._error is None:
            self._error = ConnectionAbortedError("nobody reads it any more")
            self._tell(self._error)
            self._dropped()


def chunk(pieces: list[bytes]) -> list[bytes]:
    """Pieces as one chunk of a chunked body (RFC 9112, 7.1)."""
    return [b"%x\r\n" % sum(map(len, pieces)), *pieces, b"\r\n"]


LAST_CHUNK = b"0\r\n\r\n"
