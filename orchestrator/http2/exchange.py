"""One call at a server: what is asked for, by whom it is answered, and how far it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from orchestrator.http2 import messages
from orchestrator.http2.fields import Fields
from orchestrator.http2.messages import Assembly
from orchestrator.http2.status import Metadata, RpcError, Status
from orchestrator.room import Hold


class Call:
    """What a handler knows of its call.

    `left` is the time that the client gives it, in seconds from its arrival, or None. `hold` is what is kept for it, if
    its message is a long one. What the handler puts into `initial` is sent before the answer.
    """

    __slots__ = ("authority", "hold", "initial", "left", "metadata", "method")

    def __init__(self, asked: "Asked", hold: Hold | None) -> None:
        self.method = asked.path
        self.authority = asked.authority
        self.metadata = asked.metadata
        self.left = asked.left
        self.hold = hold
        self.initial: Metadata = ()


def _nobody(_: Status) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Unary:
    """A method of one message, which is answered by one. `refused` is told of calls that the handler never sees.

    The handler raises RpcError for any other outcome than OK; it is cancelled when the client leaves.
    """

    serve: Callable[[bytes, Call], Awaitable[bytes]]
    refused: Callable[[Status], None] = _nobody


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method of several messages on either side. They are short: it is for what tells about a server."""

    serve: Callable[[AsyncIterator[bytes], Call], AsyncIterator[bytes]]
    limit: int = 64 * 1024


Method = Unary | Streaming


class Asked:
    """What a request's fields ask for. The same for each call with the same fields."""

    __slots__ = ("authority", "encoding", "http", "left", "metadata", "method", "path", "refusal")

    def __init__(self, fields: Fields, methods: Mapping[str, Method]) -> None:
        found = dict(fields.pairs)
        self.path = found[b":path"].decode("latin-1")
        self.method: Method | None = methods.get(self.path)
        self.authority = (found.get(b":authority") or found.get(b"host") or b"").decode("latin-1")
        self.metadata = messages.metadata(fields.pairs)
        self.encoding = found.get(b"grpc-encoding", b"")
        said = found.get(b"grpc-timeout")
        self.left = None if said is None else messages.timeout(said)
        self.http = b""
        self.refusal: RpcError | None = None
        if found[b":method"] != b"POST":
            self.http = b"405"
        elif not found.get(b"content-type", b"").startswith(b"application/grpc"):
            self.http = b"415"
        elif self.method is None:
            self.refusal = RpcError(Status.UNIMPLEMENTED, f"{self.path} is not served")
        elif said is not None and self.left is None:
            self.refusal = RpcError(Status.INTERNAL, f"grpc-timeout: {said.decode('latin-1')!r} is no time")
        elif not messages.reads(self.encoding):
            encoding = self.encoding.decode("latin-1")
            self.refusal = RpcError(Status.UNIMPLEMENTED, f"grpc-encoding: {encoding!r} is not read")


class Exchange:
    """How far a call is."""

    __slots__ = ("asked", "assembly", "body", "heard", "hold", "inbox", "task", "until")

    def __init__(self, asked: Asked, heard: float) -> None:
        self.asked = asked
        self.heard = heard  # when something of its request came
        self.assembly: Assembly | None = None
        self.body: bytes | None = None
        self.hold: Hold | None = None
        self.task: asyncio.Task[None] | None = None
        self.inbox: asyncio.Queue[bytes | None] | None = None  # of a method of several messages; None is their end
        self.until: float | None = None  # when its answer must have been taken, which does not fit the client's window

    def let_go(self) -> None:
        """Nothing is kept for it any more."""
        if self.hold is not None:
            self.hold.close()
        self.body = self.assembly = None

    async def incoming(self) -> AsyncIterator[bytes]:
        """The messages as they come, to their end."""
        assert self.inbox is not None
        while (message := await self.inbox.get()) is not None:
            yield message
