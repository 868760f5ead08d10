"""One connection to a server: many calls at a time, each from bytes to bytes."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf

from orchestrator.http2 import messages
from orchestrator.http2.connection import Connection
from orchestrator.http2.faults import Code
from orchestrator.http2.fields import Fields
from orchestrator.http2.messages import PREFIX_SIZE, Assembly
from orchestrator.http2.status import RpcError, Status, of_http, of_reset
from orchestrator.http2.streams import Broken, Event, GoneAway, Reset, Settled, Stream
from orchestrator.http2.writing import Writing

_SIGN_OF_LIFE = 5.0  # seconds for a server that says nothing to answer a PING


class UntouchedError(Exception):
    """The server has not looked at the call, which may be made again elsewhere."""


class _Answered:
    """What the first fields of an answer mean; the same for each answer with the same fields."""

    __slots__ = ("encoding", "failure")

    def __init__(self, fields: Fields) -> None:
        status, kind = fields.get(b":status"), fields.get(b"content-type")
        self.encoding = fields.get(b"grpc-encoding")
        self.failure: tuple[Status, str] | None = None
        if status != b"200":
            self.failure = of_http(status), f"the answer has the HTTP status {status.decode('latin-1')}"
        elif not kind.startswith(b"application/grpc"):
            self.failure = Status.UNKNOWN, f"the answer has the content-type {kind.decode('latin-1')!r}"


class Pending:
    """A call that waits for its answer."""

    __slots__ = ("answered", "assembly", "begun", "body", "deadline", "future", "stream")

    def __init__(self, stream: Stream, future: asyncio.Future[bytes], begun: float, deadline: float) -> None:
        self.stream = stream
        self.future = future
        self.begun = begun
        self.deadline = deadline
        self.answered: _Answered | None = None
        self.assembly: Assembly | None = None
        self.body: bytes | None = None


class Calling(Writing):
    """Sends calls and gives their answers.

    Args:
        loop: to run on.
        limit: bytes of an answer.
        gone: is told when no further calls can be made.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, gone: Callable[["Calling"], None]) -> None:
        super().__init__(Connection(server=False), loop)
        self._limit = limit
        self._gone = gone
        self.ready: asyncio.Future[None] = loop.create_future()
        self.leaving = False
        self._turns: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._fires = inf
        self._probing = False

    # ------------------------------------------------------------ calls

    @property
    def full(self) -> bool:
        """Whether a further call has to wait: the server takes so many at a time."""
        return len(self._core.streams) >= self._core.most

    async def turn(self) -> None:
        """Wait until there is room for a call."""
        while self.full and not self.leaving:
            turn = self._loop.create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next_turn()  # of somebody else
                raise

    def begin(self, block: bytes, body: bytes, deadline: float) -> Pending:
        """Send a call."""
        now = self._loop.time()
        stream = self._core.open(block, messages.prefix(body), body)
        pending = stream.owner = Pending(stream, self._loop.create_future(), now, deadline)
        if deadline < self._fires:
            self._arm(deadline)
        if self._core.exhausted:
            self.retire()
        self._soon()
        return pending

    def leave(self, pending: Pending) -> None:
        """Nobody waits for this call any more."""
        self._core.reset(pending.stream, Code.CANCEL)
        self._over(pending)
        self._soon()

    def retire(self) -> None:
        """Make no further calls; those under way go on, and the connection ends with the last of them."""
        if not self.leaving:
            self.leaving = True
            self._gone(self)
            self._next_turn()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.leaving and not self._core.streams and not self._core.out and self._transport is not None:
            self._transport.close()

    def _over(self, pending: Pending) -> None:
        pending.stream.owner = None
        pending.assembly = None
        if self._turns:
            self._next_turn()
        if self.leaving:
            self._close_if_done()

    def _next_turn(self, *, everyone: bool = False) -> None:
        while self._turns and (self.leaving or not self.full):
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                if not (self.leaving or everyone):
                    break

    # ------------------------------------------------------------ what comes

    def _on_other(self, event: Event) -> None:
        if isinstance(event, Reset):
            untouched = event.by_peer and event.code is Code.REFUSED_STREAM
            self._fail(event.stream, _reset(event), untouched=untouched)
        elif isinstance(event, Settled):
            if not self.ready.done():
                self.ready.set_result(None)
            self._next_turn(everyone=True)
        elif isinstance(event, GoneAway):
            self._on_goaway(event)
        elif isinstance(event, Broken):
            self._flush()
            self._lost(f"the server broke the rules of HTTP/2: {event.why}")
            self.close()

    def _on_head(self, stream: Stream, found: Fields, ended: bool) -> None:
        pending = stream.owner
        if pending is None:
            return
        if pending.answered is None:
            answered = found.made
            if answered is None:
                answered = found.made = _Answered(found)
            pending.answered = answered
            if answered.failure is not None and not (ended and found.get(b"grpc-status")):
                self._fail(stream, RpcError(*answered.failure))
                return
            if not ended:
                return
        self._on_trailers(stream, pending, found)

    def _on_trailers(self, stream: Stream, pending: Pending, fields: Fields) -> None:
        if fields.made is not True:
            outcome = messages.outcome(fields.pairs)
            if outcome.status is not Status.OK:
                self._fail(stream, outcome)
                return
            if pending.answered is not None and not isinstance(fields.made, _Answered):
                fields.made = True  # this block means OK
        if pending.body is None or (pending.assembly is not None and pending.assembly.started):
            self._fail(stream, RpcError(Status.INTERNAL, "the answer has no whole message"))
            return
        self._finish(stream)
        if not pending.future.done():
            pending.future.set_result(pending.body)
        self._over(pending)

    def _on_data(self, stream: Stream, data: bytes, ended: bool) -> None:
        pending = stream.owner
        if pending is None:
            return
        size = len(data) - PREFIX_SIZE
        if (  # the whole of a short message, as nearly all come
            pending.assembly is None and pending.body is None and 0 <= size <= self._limit
            and data[0] == 0 and int.from_bytes(data[1:PREFIX_SIZE], "big") == size
        ):  # fmt: skip
            pending.body = data[PREFIX_SIZE:]
        else:
            try:
                self._piece(pending, data)
            except RpcError as error:
                self._fail(stream, error)
                return
        if ended:
            self._fail(stream, RpcError(Status.UNKNOWN, "the answer ended without its status"))

    def _piece(self, pending: Pending, data: bytes) -> None:
        """Take a piece of an answer. Raises RpcError."""
        assembly = pending.assembly
        if assembly is None:
            encoding = b"" if pending.answered is None else pending.answered.encoding
            assembly = pending.assembly = Assembly(self._limit, encoding)
        for message in assembly.take(data):
            if pending.body is not None:
                raise RpcError(Status.INTERNAL, "the answer has more than one message")
            pending.body = message

    # ------------------------------------------------------------ ends

    def _finish(self, stream: Stream) -> None:
        """The answer is whole; what of the request is not out is of no use."""
        if stream.id in self._core.streams:
            self._core.reset(stream, Code.NO_ERROR)
            self._soon()

    def _fail(self, stream: Stream, error: RpcError, *, untouched: bool = False) -> None:
        pending = stream.owner
        if stream.id in self._core.streams:
            self._core.reset(stream, Code.CANCEL)
            self._soon()
        if pending is not None:
            if not pending.future.done():
                pending.future.set_exception(UntouchedError(str(error)) if untouched else error)
            self._over(pending)

    def _on_goaway(self, event: GoneAway) -> None:
        why = f"the server goes away: {event.code.name} {event.why[:200].decode('utf-8', 'replace')}".strip()
        for stream in [one for number, one in self._core.streams.items() if number > event.last]:
            self._fail(stream, RpcError(Status.UNAVAILABLE, why), untouched=True)
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError(why))
        self.retire()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server left."""
        self._transport = None
        self._lost(f"the connection was lost{f': {exc}' if exc else ''}")

    def _lost(self, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError(why))
        self.retire()
        for stream in list(self._core.streams.values()):
            self._fail(stream, RpcError(Status.UNAVAILABLE, why))

    def _flushed(self, transport: asyncio.Transport) -> None:
        if self.leaving:
            self._close_if_done()

    # ------------------------------------------------------------ deadlines

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """One timer for all calls: it looks at them all when the first one may be late."""
        self._timer, self._fires = None, inf
        now = self._loop.time()
        earliest, silent = inf, False
        for stream in list(self._core.streams.values()):
            pending = stream.owner
            if pending is None:
                continue
            if pending.deadline <= now:
                silent = silent or self._heard <= pending.begun
                self._fail(stream, RpcError(Status.DEADLINE_EXCEEDED, "no answer within the call's time"))
            else:
                earliest = min(earliest, pending.deadline)
        if earliest < inf and self._transport is not None:
            self._arm(earliest)
        if silent and not self._probing and self._transport is not None:
            self._probing = True
            self._core.ping(b"are you?")
            self._soon()
            self._loop.call_later(_SIGN_OF_LIFE, self._judge, self._heard)

    def _judge(self, heard: float) -> None:
        """A server that answers no PING is gone, whatever the network says of it."""
        self._probing = False
        if self._heard == heard:
            self._lost("the server is silent")  # before the transport is: no further call goes this way
            self.abort()


def _reset(event: Reset) -> RpcError:
    whom = "the server" if event.by_peer else "an answer against the rules of HTTP/2"
    return RpcError(of_reset(event.code), f"{whom} ended the call with {event.code.name}")
