"""One client's connection: calls to their handlers, answers out together, one write for each turn of the loop."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.http2 import fields, messages
from orchestrator.http2.connection import Connection
from orchestrator.http2.exchange import Asked, Call, Exchange, Method, Streaming, Unary
from orchestrator.http2.faults import Code
from orchestrator.http2.frames import LARGEST
from orchestrator.http2.messages import PREFIX_SIZE, Assembly
from orchestrator.http2.sending import Bounds
from orchestrator.http2.status import Metadata, RpcError, Status
from orchestrator.http2.streams import Broken, Event, Ponged, Reset, Stream
from orchestrator.http2.writing import Writing
from orchestrator.room import UNCOUNTED, Hold, Room

log = logging.getLogger(__name__)

_HEAD = fields.block(
    [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-accept-encoding", messages.ENCODINGS)]
)
_OK = fields.block([(b"grpc-status", b"0")])
_UNREAD = 20_000  # frames for a client that does not read and still asks
_WAITING = 64  # messages of one call to a method of several that may wait
_FAREWELL = b"farewell"
_PAGES = {b"405": b"gRPC is asked for with POST", b"415": b"gRPC has the content-type application/grpc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What a server waits for, in seconds."""

    settings: float = 10.0
    piece: float = 30.0  # between two pieces of a message
    write: float = 60.0  # for a client to read anything
    answer: float = 300.0  # for a client to have read all of an answer that is ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a connection is served by."""

    methods: Mapping[str, Method]
    limit: int
    room: Room
    bounds: Bounds = field(default_factory=Bounds)
    patience: Patience = field(default_factory=Patience)


class Owner(Protocol):
    """Who listens."""

    terms: Terms
    connections: set["Serving"]

    def discard(self, connection: "Serving") -> None:
        """A connection is gone."""


class Serving(Writing):
    """Reads calls and answers them."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(Connection(server=True, bounds=owner.terms.bounds), loop)
        self._owner = owner
        self._terms = owner.terms
        self._made = self._heard
        self._leaving = False
        self._drained: list[asyncio.Future[None]] = []
        self.tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say our settings."""
        super().connection_made(transport)
        self._owner.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: stop what is done for it."""
        self._transport = None
        for stream in list(self._core.streams.values()):
            self._gone(stream)
        self._wake()
        self._owner.discard(self)

    def data_received(self, data: bytes) -> None:
        """Do what the bytes ask for, while the client reads what is answered."""
        super().data_received(data)
        if self._full_since is not None and len(self._core.out) > _UNREAD:
            self.abort()

    def _on_other(self, event: Event) -> None:
        if isinstance(event, Reset):
            self._gone(event.stream)
        elif isinstance(event, Ponged) and event.payload == _FAREWELL:
            self.last_word()
        elif isinstance(event, Broken):
            log.info("a client over gRPC broke the rules: %s: %s", event.code.name, event.why)
            self._flush()
            self.close()

    # ------------------------------------------------------------ requests

    def _on_head(self, stream: Stream, found: fields.Fields, ended: bool) -> None:
        exchange = stream.owner
        if exchange is not None:  # trailers of a request
            self._whole(stream, exchange)
            return
        if found.shape is not fields.Shape.REQUEST:  # trailers of one that has its answer
            return
        asked = found.made
        if asked is None:
            asked = found.made = Asked(found, self._terms.methods)
        exchange = stream.owner = Exchange(asked, self._loop.time())
        if isinstance(asked.method, Streaming) and not asked.http and asked.refusal is None:
            exchange.inbox = asyncio.Queue()
            exchange.assembly = Assembly(asked.method.limit, asked.encoding)
            self._begin(exchange, self._serve_several(stream, exchange, asked.method))
        if ended:
            self._whole(stream, exchange)

    def _on_data(self, stream: Stream, data: bytes, ended: bool) -> None:
        exchange = stream.owner
        if exchange is None:
            return
        asked = exchange.asked
        if asked.http or asked.refusal is not None:  # said once all is here: not every client reads before
            exchange.heard = self._loop.time()
            if ended:
                self._whole(stream, exchange)
            return
        size = len(data) - PREFIX_SIZE
        if (  # the whole of a short message, as nearly all come
            ended and exchange.assembly is None and 0 <= size <= UNCOUNTED and size <= self._terms.limit
            and data[0] == 0 and int.from_bytes(data[1:PREFIX_SIZE], "big") == size
        ):  # fmt: skip
            exchange.body = data[PREFIX_SIZE:]
            self._start(stream, exchange, asked.method)
            return
        exchange.heard = self._loop.time()
        try:
            self._piece(exchange, data)
        except RpcError as error:
            self._refuse(stream, exchange, error)
            return
        if ended:
            self._whole(stream, exchange)

    def _piece(self, exchange: Exchange, data: bytes) -> None:
        """Take a piece of a message. Raises RpcError."""
        assembly = exchange.assembly
        if assembly is None:
            assembly = exchange.assembly = Assembly(self._terms.limit, exchange.asked.encoding)
        found = assembly.take(data)
        if exchange.inbox is not None:
            for message in found:
                exchange.inbox.put_nowait(message)
            if exchange.inbox.qsize() > _WAITING:
                raise RpcError(Status.RESOURCE_EXHAUSTED, "too many messages that wait for their answers")
            return
        if found:
            if len(found) > 1 or exchange.body is not None:
                raise RpcError(Status.INTERNAL, "more than one message in a call of one")
            exchange.body = found[0]
        size = max(assembly.size, len(exchange.body or b""))
        if size > UNCOUNTED:
            hold = exchange.hold
            if hold is None:
                hold = exchange.hold = Hold(self._terms.room)
                if not hold.announced(size):
                    raise RpcError(Status.UNAVAILABLE, _NO_ROOM)
            if not hold.take(len(data)):
                raise RpcError(Status.UNAVAILABLE, _NO_ROOM)

    def _whole(self, stream: Stream, exchange: Exchange) -> None:
        """Nothing more will come."""
        asked = exchange.asked
        if asked.http:
            page = _PAGES[asked.http]
            head = [(b":status", asked.http), (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(page))]
            stream.owner = None
            self._core.respond(stream, fields.block(head), b"", page, b"")
            self._soon()
        elif asked.refusal is not None:
            self._refuse(stream, exchange, asked.refusal)
        elif exchange.assembly is not None and exchange.assembly.started:
            self._refuse(stream, exchange, RpcError(Status.INTERNAL, "a message that is cut short"))
        elif exchange.inbox is not None:
            exchange.inbox.put_nowait(None)
        elif exchange.body is None:
            self._refuse(stream, exchange, RpcError(Status.INTERNAL, "a call without a message"))
        else:
            self._start(stream, exchange, asked.method)

    def _refuse(self, stream: Stream, exchange: Exchange, error: RpcError) -> None:
        """Answer in place of the handler."""
        if isinstance(exchange.asked.method, Unary):
            exchange.asked.method.refused(error.status)
        self._gone(stream)
        self._fail(stream, (), error)

    # ------------------------------------------------------------ answers

    def _start(self, stream: Stream, exchange: Exchange, method: Method | None) -> None:
        if isinstance(method, Unary):
            self._begin(exchange, self._serve(stream, exchange, method))

    def _begin(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        task = exchange.task = self._loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, stream: Stream, exchange: Exchange, method: Unary) -> None:
        body, exchange.body = exchange.body, None
        exchange.assembly = None
        call = Call(exchange.asked, exchange.hold)
        try:
            answer = await method.serve(body or b"", call)
            body = None
            if len(answer) > self._terms.limit:
                raise messages.too_long(len(answer), self._terms.limit)
        except RpcError as error:
            self._ended(stream, exchange)
            self._fail(stream, call.initial, error)
        except asyncio.CancelledError:
            self._ended(stream, exchange)
            self._core.reset(stream, Code.CANCEL)
            self._soon()
        except Exception:
            log.exception("the handler of %s failed", call.method)
            self._ended(stream, exchange)
            self._fail(stream, call.initial, RpcError(Status.INTERNAL, "internal error"))
        else:
            self._ended(stream, exchange)
            self._core.respond(stream, _headed(call.initial), messages.prefix(answer), answer, _OK)
            if stream.queue:
                exchange.until = self._loop.time() + self._terms.patience.answer
                stream.owner = exchange
            self._soon()

    async def _serve_several(self, stream: Stream, exchange: Exchange, method: Streaming) -> None:
        call = Call(exchange.asked, None)
        try:
            self._core.headers(stream, _HEAD)
            self._soon()
            async for message in method.serve(exchange.incoming(), call):
                self._core.data(stream, messages.prefix(message) + message)
                self._soon()
                while stream.queue and self._transport is not None:
                    waiting = self._loop.create_future()
                    self._drained.append(waiting)
                    await waiting
            self._core.finish(stream, _OK)
        except RpcError as error:
            self._core.finish(stream, fields.block(messages.trailing(error)))
        except asyncio.CancelledError:
            self._core.finish(stream, fields.block(messages.trailing(RpcError(Status.UNAVAILABLE, "the server ends"))))
        except Exception:
            log.exception("the handler of %s failed", call.method)
            self._core.finish(stream, fields.block(messages.trailing(RpcError(Status.INTERNAL, "internal error"))))
        finally:
            self._ended(stream, exchange)
            self._soon()

    def _ended(self, stream: Stream, exchange: Exchange) -> None:
        exchange.task = None
        exchange.let_go()
        if stream.owner is exchange:
            stream.owner = None

    def _fail(self, stream: Stream, initial: Metadata, error: RpcError) -> None:
        trailers = fields.block(messages.trailing(error))
        if initial:
            self._core.respond(stream, _headed(initial), b"", b"", trailers)
        else:
            self._core.headers(stream, _HEAD + trailers, end=True)
        self._soon()

    def _gone(self, stream: Stream) -> None:
        """Stop what is done for a call."""
        exchange, stream.owner = stream.owner, None
        if exchange is not None:
            exchange.let_go()
            if exchange.task is not None:
                exchange.task.cancel()

    # ------------------------------------------------------------ writing

    def _flushed(self, transport: asyncio.Transport) -> None:
        if self._drained:
            self._wake()
        if self._leaving and not self._core.streams and not self._core.out:
            transport.close()

    def _wake(self) -> None:
        drained, self._drained = self._drained, []
        for waiting in drained:
            if not waiting.done():
                waiting.set_result(None)

    # ------------------------------------------------------------ patience and parting

    def sweep(self, now: float) -> None:
        """Leave what has taken too long."""
        patience = self._terms.patience
        stuck = self._full_since is not None and now - self._full_since > patience.write
        if stuck or (not self._core.settled and now - self._made > patience.settings):
            self.abort()
        else:
            for stream in list(self._core.streams.values()):
                exchange = stream.owner
                if exchange is not None and exchange.task is None and self._is_late(exchange, now):
                    self._gone(stream)
                    self._core.reset(stream, Code.CANCEL)
                    self._soon()

    def _is_late(self, exchange: Exchange, now: float) -> bool:
        if exchange.until is not None:
            return now > exchange.until
        return now - exchange.heard > self._terms.patience.piece

    def leave(self) -> None:
        """Ask the client to go elsewhere with further calls; those that are on their way are still taken."""
        self._core.go_away(last=LARGEST)
        self._core.ping(_FAREWELL)
        for stream in list(self._core.streams.values()):
            if stream.owner is not None and stream.owner.inbox is not None and stream.owner.task is not None:
                stream.owner.task.cancel()
        self._soon()

    def last_word(self) -> None:
        """Take no more calls; the connection ends with the last one that is under way."""
        if not self._leaving:
            self._leaving = True
            self._core.close()
            self._soon()


_NO_ROOM = "too many bytes of other requests' messages are kept here"


def _headed(initial: Metadata) -> bytes:
    """The block of an answer's first fields."""
    return _HEAD + fields.block(messages.fields(initial)) if initial else _HEAD
