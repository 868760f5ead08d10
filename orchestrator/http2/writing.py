"""What both ends of a connection do alike: events of what is read, and one write for each turn of the loop, none that
the peer does not take.
"""

import asyncio
from typing import cast

from orchestrator.http2.connection import Connection
from orchestrator.http2.fields import Fields
from orchestrator.http2.streams import Data, Event, Head, Stream

_BUDGET = 256 * 1024  # bytes that are written at once
_WATERMARK = 256 * 1024


class Writing(asyncio.Protocol):
    """Hands on what its `core` makes of the bytes that come, and writes what waits there."""

    def __init__(self, core: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._heard = loop.time()
        self._full_since: float | None = None
        self._flushing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say our settings."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_WATERMARK)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Do what the bytes ask for, or say."""
        core = self._core
        self._heard = now = self._loop.time()
        for event in core.receive(data, now):
            if type(event) is Data:
                self._on_data(event.stream, event.data, event.ended)
            elif type(event) is Head:
                self._on_head(event.stream, event.fields, event.ended)
            else:
                self._on_other(event)
        if core.out or core.waits:
            self._soon()

    def _on_data(self, stream: Stream, data: bytes, ended: bool) -> None:
        raise NotImplementedError

    def _on_head(self, stream: Stream, found: Fields, ended: bool) -> None:
        raise NotImplementedError

    def _on_other(self, event: Event) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._full_since = self._loop.time()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._full_since = None
        self._flush()

    def _soon(self) -> None:
        """Write at the end of this turn of the loop: what other calls have to say goes with it."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        core, transport = self._core, self._transport
        if transport is None:
            return
        while self._full_since is None:
            if core.waits:
                core.pump(_BUDGET)
            if not core.out:
                break
            transport.write(core.take())
        self._flushed(transport)

    def _flushed(self, transport: asyncio.Transport) -> None:
        """All is written that the peer takes."""

    def close(self) -> None:
        """Close once what is written is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
