"""One connection to a node: a request out, its answer in, one at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

from orchestrator.clients.reading import NOTHING, Reading, Reply
from orchestrator.countdown import Countdown
from orchestrator.errors import NodeReplyError, NodeTimeoutError, NodeUnreachableError
from orchestrator.flow import LAST_CHUNK, Flow, chunk
from orchestrator.room import Hold

_JOIN_BELOW = 64 * 1024


class StaleError(NodeUnreachableError):
    """A connection that had served before was closed before it gave a byte of this answer."""


class Connection(Reading):
    """`ready` is called when the connection can take the next request, `gone` when it can take no more."""

    __slots__ = ("_gone", "_ready", "_sending", "_timeout", "_writable", "used")

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        ready: Callable[["Connection"], None],
        gone: Callable[["Connection"], None],
    ) -> None:
        super().__init__(name, limit)
        self._ready = ready
        self._gone = gone
        self._countdown = Countdown(self._loop, self._expired)
        self._sending: asyncio.Task[None] | None = None  # what sends the rest of the request
        self._writable: asyncio.Future[None] | None = None
        self._timeout = 0.0
        self.used = False

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(
        self, head: bytes, body: bytes, timeout: float, *, flows: bool = False, hold: Hold | None = None
    ) -> "asyncio.Future[Reply]":
        """Send one request; the future has the answer within `timeout` seconds, or a NodeError.

        With `flows` a long answer's body may still be on its way then.
        """
        transport = self._transport
        assert transport is not None
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._future = future
        self._hold = hold
        self._started = False
        self._flows = flows
        self._timeout = timeout
        self._countdown.start(timeout)
        if len(body) < _JOIN_BELOW:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return future

    def send_flow(
        self, head: bytes, flow: Flow, timeout: float, *, flows: bool = False, hold: Hold | None = None
    ) -> "asyncio.Future[Reply]":
        """Send one request whose body comes in pieces. The time that its sender takes is not the node's.

        The future is done as `send`'s, or has what the body's sender failed with.
        """
        future = self.send(head, b"", timeout, flows=flows, hold=hold)
        self._sending = self._loop.create_task(self._pump(flow))
        return future

    async def _pump(self, flow: Flow) -> None:
        """Send the request's body until it is all out, or the whole answer is here."""
        try:
            while not flow.done:
                pieces = await self._patiently(flow)
                transport = self._transport
                if transport is None:
                    return
                if pieces:
                    transport.writelines(chunk(pieces) if flow.length is None else pieces)
                if self._writable is not None:
                    await self._writable
            if flow.length is None and self._transport is not None:
                self._transport.write(LAST_CHUNK)
            self._sending = None
        except Exception as error:  # noqa: BLE001 — whatever the sender failed with is its request's end
            self._sending = None
            self._fail(error)

    async def _patiently(self, flow: Flow) -> list[bytes]:
        if not flow.waits or self._flow is not None:
            return await flow.take()
        left = self._countdown.pause()
        pieces = await flow.take()
        if self._future is not None:
            self._countdown.start(left)
        return pieces

    def pause_writing(self) -> None:
        """The node reads slowly."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The node reads again."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def abort(self) -> None:
        """Close at once; the request that is under way is lost."""
        self._future = self._flow = None
        self._stop_sending()
        if self._transport is not None:
            self._transport.abort()

    def _stop_sending(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()

    def close(self) -> None:
        """Close when nothing is under way."""
        if self._transport is not None:
            self._transport.close()

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        self._transport = None
        self._countdown.close()
        self._stop_sending()
        future, self._future = self._future, None
        flow, self._flow = self._flow, None
        if flow is not None:
            if self._framed or exc is not None:
                flow.fail(self._lost(exc))
            else:
                flow.end()
        if future is not None and not future.done():
            # An interim answer (1xx) was none, though its node left after it.
            if self._head_done and not self._framed and exc is None and self._parser.get_status_code() >= 200:
                future.set_result(self._reply())  # HTTP/1.0: the end of the connection is the end of the body
            else:
                future.set_exception(self._lost(exc))
        self._body, self._payload = [], NOTHING  # the parser and we know each other: what is left of us has no body
        self._gone(self)

    def _lost(self, exc: Exception | None) -> NodeUnreachableError | NodeReplyError:
        why = f": {exc}" if exc is not None else ""
        if self._started:
            return NodeReplyError(f"{self._name} closed the connection in the middle of its answer{why}")
        if self.used:
            return StaleError(f"{self._name} closed the connection before it answered{why}")
        return NodeUnreachableError(f"{self._name} closed the connection before it answered{why}")

    def _expired(self) -> None:
        self._fail(NodeTimeoutError(f"{self._name} did not answer within {self._timeout:.3g} s"))

    def _fail(self, error: Exception) -> None:
        self._stop_sending()
        future, self._future = self._future, None
        flow, self._flow = self._flow, None
        if future is not None and not future.done():
            future.set_exception(error)
        if flow is not None:
            flow.fail(error)
        if self._transport is not None:
            self._transport.abort()

    def _part(self, transport: asyncio.Transport, *, keep: bool) -> None:
        self.used = True
        if self._sending is not None:
            self._stop_sending()
            transport.abort()
        elif keep and transport.get_write_buffer_size() == 0:
            self._ready(self)
        else:  # also when the node answered before it had read its request: bytes of that are still to come
            transport.close()
