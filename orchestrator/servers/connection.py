"""One client's connection: bytes in, requests to the handler, answers out in their order."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, cast

from orchestrator.countdown import Countdown
from orchestrator.room import Hold
from orchestrator.servers.message import BODILESS, Request, Response, head
from orchestrator.servers.pouring import poured
from orchestrator.servers.reading import Owner, Reading, refusal

log = logging.getLogger(__name__)

_JOIN_BELOW = 64 * 1024  # smaller bodies are copied behind their head: one write is cheaper than two
_WATERMARK = 256 * 1024  # bytes that we keep for a client that reads slowly before we stop working for it


class Connection(Reading):
    """Hands requests to the handler, one at a time, and answers them in their order."""

    __slots__ = ("_served", "_task", "_writable")

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(owner, loop)
        self._countdown = Countdown(loop, self._expired)
        self._task: asyncio.Task[None] | None = None
        self._served: Hold | None = None  # of the request that is with the handler, or whose answer is on its way
        self._writable: asyncio.Future[None] | None = None  # what waits for the client to read

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_WATERMARK)
        self._owner.connections.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: stop what is done for it."""
        self._transport = None
        self._drop_queue()
        self._let_go()
        self._served_out()
        self._countdown.close()
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.fail(ConnectionResetError("the client left in the middle of its request"))
        self._body = []  # the parser and we know each other, so that we live until the next collection: without bodies
        self._request = Request()
        if self._task is not None:
            self._task.cancel()
        self._owner.discard(self)

    def pause_writing(self) -> None:
        """The client's window is full."""
        self._full = True
        self._countdown.start(self._owner.limits.write_seconds)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        if self._writable is not None:
            self._countdown.stop()
            if not self._writable.done():
                self._writable.set_result(None)
        else:
            self._served_out()
            if not self._lingering:
                self._wait()
                self._ask_for_body()
                self._next()

    # ------------------------------------------------------------ the handler's side

    def _next(self) -> None:
        if self._working or self._full or self._transport is None:
            return
        if self._queue:
            item = self._queue.popleft()
            if isinstance(item, Request):
                self._start(item)
            else:
                self._answer(self._request, item)
        if not self._reading and not self._queue and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _start(self, request: Request) -> None:
        self._working = True
        self._served = request.hold
        self._countdown.stop()
        try:
            response = self._owner.handler(request)
        except Exception:
            log.exception("the handler of %r failed", request.path)
            response = refusal(500, "internal error")
        if isinstance(response, Response):
            self._answer(request, response)
        else:
            self._task = self._loop.create_task(self._finish(request, response))

    async def _finish(self, request: Request, response: Coroutine[Any, Any, Response]) -> None:
        try:
            answer = await response
        except asyncio.CancelledError:
            self.abort()
            self._served = request.hold
            self._served_out()
            return
        except Exception:
            log.exception("the handler of %r failed", request.path)
            answer = refusal(500, "internal error")
        self._served = request.hold
        if answer.flow is not None:
            await self._pour(request, answer)
            return
        self._task = None
        self._answer(request, answer)

    async def _pour(self, request: Request, response: Response) -> None:
        """Send a body that flows. One that ends too early ends the connection, so that its client can tell."""
        transport = self._transport
        if transport is None:
            self._served_out()
            raise asyncio.CancelledError
        old = self._parser.get_http_version() == "1.0"
        # The node may answer before it has read all of the request, which then goes on beside the answer.
        whole = self._flow is None
        keep_alive = whole and not old and self._keeps(request, response)
        if await poured(transport, response, self._drained, keep_alive=keep_alive, old=old):
            self._task = None
            self._working = False
            self._served_out()
            self._after(transport, keep_alive=self._keeps(request, response) and keep_alive)
        else:
            transport.abort()

    async def _drained(self) -> None:
        """Wait for a client that reads slowly."""
        while self._full:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None

    def _keeps(self, request: Request, response: Response) -> bool:
        if self._flow is not None:  # answered before its body was here: what still comes is no request
            flow, self._flow, self._outright = self._flow, None, 0
            self._refused = True
            flow.drop()
            return False
        return request.keep_alive and not response.close and not self._owner.draining

    def _answer(self, request: Request, response: Response) -> None:
        self._working = False
        transport = self._transport
        if transport is None:
            self._served_out()
            return
        keep_alive = self._keeps(request, response)
        start = head(response, keep_alive=keep_alive, said=request.asks_keep_alive)
        body = b"" if request.method == b"HEAD" or response.status in BODILESS else response.body
        if len(body) < _JOIN_BELOW:
            transport.write(start + body)
        else:
            transport.writelines((start, body))
        if not self._full:  # else its client has to read it first
            self._served_out()
        self._after(transport, keep_alive=keep_alive)

    def _served_out(self) -> None:
        """Nothing is kept any more for the request that was served."""
        served, self._served = self._served, None
        if served is not None:
            served.close()

    def _drop_queue(self) -> None:
        for item in self._queue:
            if isinstance(item, Request) and item.hold is not None:
                item.hold.close()
        self._queue.clear()

    def _after(self, transport: asyncio.Transport, *, keep_alive: bool) -> None:
        if not keep_alive:
            self._leave(transport)
        elif not self._full:
            self._wait()
            self._ask_for_body()
            if self._queue:
                self._loop.call_soon(self._next)

    # ------------------------------------------------------------ patience and parting

    def _wait(self) -> None:
        """Count down what the client owes us now."""
        limits = self._owner.limits
        if self._working or self._full:
            return
        if not self._begun:
            self._countdown.start(limits.idle_seconds)
        else:
            self._countdown.start(limits.body_seconds if self._head_done else limits.head_seconds)

    def _expired(self) -> None:
        if self._transport is None:
            return
        if self._full or self._lingering:
            self._transport.abort()
        elif self._begun:
            self._refuse(408, "the request did not arrive in time")
        else:
            self._transport.close()

    def _leave(self, transport: asyncio.Transport) -> None:
        """End the connection. What it still sends is read and dropped for a while, else it may lose the answer."""
        self._drop_queue()
        self._let_go()
        self._refused = self._lingering = True
        if not self._begun or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._countdown.start(self._owner.limits.linger_seconds)
        if not self._reading:
            transport.resume_reading()

    def close_if_idle(self) -> None:
        """Close unless a request is here or on its way."""
        if self._transport is not None and not (self._working or self._begun or self._queue or self._lingering):
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
