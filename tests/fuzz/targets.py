"""What any bytes may do to the orchestrator: be refused in words, never more.

Each target takes bytes and raises when a promise does not hold; `python tests/fuzz` and hypothesis call them.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httptools

from orchestrator.clients import connection as clients
from orchestrator.errors import BadPayloadError, NodeError, OrchestratorError
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.jsontext import Escaping, escaped
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.openinference_proto import OpenInferenceProto
from orchestrator.protocols.payload import Form, Kind, Payload, Protobuf
from orchestrator.protocols.seldon import Seldon
from orchestrator.protocols.seldon_proto import SeldonProto
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.protocols.tensorflow_proto import TensorFlowProto
from orchestrator.protocols.turning import Turn, Turning
from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response

CODECS = (
    Codec(Seldon(), SeldonProto()),
    Codec(OpenInference(), OpenInferenceProto()),
    Codec(TensorFlow(), TensorFlowProto()),
)
SIZE = 4096  # of heads and bodies that are allowed


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = self.paused = False

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        """Take pieces."""
        self.written += b"".join(pieces)

    def close(self) -> None:
        """Be closed, in whichever way."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it is."""
        return self.closed

    def pause_reading(self) -> None:
        """Give no more bytes for now."""
        self.paused = True

    def resume_reading(self) -> None:
        """Give bytes again."""
        self.paused = False

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def write_eof(self) -> None:
        """Write no more."""

    def set_write_buffer_limits(self, high: int) -> None:
        """Be told how much to keep."""

    def get_write_buffer_size(self) -> int:
        """Everything is out."""
        return 0


class Heard:
    """Counts the answers in what was written."""

    def __init__(self) -> None:
        self.answers = 0

    def on_message_complete(self) -> None:
        """One more, unless it is an interim one."""
        self.answers += 1


def pieces(data: bytes) -> Iterator[bytes]:
    """The bytes behind the first one, in pieces that the first one decides on."""
    step = data[0] % 67 + 1 if data else 1
    for at in range(1, len(data), step):
        yield data[at : at + step]


def server(data: bytes) -> None:
    """Whatever a client sends: every request has one answer, and what is written is HTTP/1.1."""
    asyncio.run(_server(data))


async def _server(data: bytes) -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        assert len(request.body) <= SIZE
        return Response(200, request.body)

    house = Server(handler, Limits(head_bytes=SIZE, body_bytes=SIZE, flow_above=256), lambda _: False)
    wire, loop = Wire(), asyncio.get_running_loop()
    connection = _connection(house, loop)
    connection.connection_made(wire)
    for piece in pieces(data):
        if wire.closed:
            break
        connection.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(40):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    heard = Heard()
    if not any(request.method == b"HEAD" for request in seen):  # their answers say a length and have no body
        httptools.HttpResponseParser(heard).feed_data(bytes(wire.written))
        assert heard.answers >= len(seen), (heard.answers, len(seen))
    assert not house.connections


def _connection(house: Server, loop: asyncio.AbstractEventLoop) -> Any:
    from orchestrator.servers.connection import Connection

    return Connection(house, loop)


def client(data: bytes) -> None:
    """Whatever a node answers: the call ends, with an answer or a NodeError."""
    asyncio.run(_client(data))


async def _client(data: bytes) -> None:
    free: list[Any] = []
    connection = clients.Connection("node 'm'", SIZE, ready=free.append, gone=lambda _: None)
    wire: Any = Wire()
    connection.connection_made(wire)
    future = connection.send(b"POST / HTTP/1.1\r\n\r\n", b"{}", 5.0, flows=False)
    for piece in pieces(data):
        if not wire.closed:
            connection.data_received(piece)
    connection.connection_lost(None)
    assert future.done()
    try:
        reply = future.result()
    except NodeError:
        return
    assert len(reply.payload.body) <= SIZE
    assert reply.status >= 200


def json_paths(data: bytes) -> None:
    """Whatever body comes, in each protocol: read, changed and averaged, or refused in words."""
    split = data[0] if data else 0
    body = data[1:]
    for codec in CODECS:
        plain = Payload(body, split=split if split < 128 else 0)
        rest: tuple[Callable[[], Any], ...] = (
            lambda codec=codec, plain=plain: codec.rest.chained(plain),
            lambda codec=codec, plain=plain: codec.rest.route(plain),
            lambda codec=codec, plain=plain: codec.rest.joined([plain, plain]),
            lambda codec=codec, plain=plain: codec.rest.averaged([plain, plain]),
            lambda codec=codec, plain=plain: codec.routing_of_feedback(plain),
            lambda codec=codec, plain=plain: codec.reward_of_feedback(plain),
            lambda codec=codec, plain=plain: codec.rest.with_routing(plain, {"a": 1}),
            lambda codec=codec, plain=plain: codec.outcome(plain),
            lambda codec=codec, plain=plain: codec.grpc.from_json(plain, Kind.REQUEST),
            lambda codec=codec, plain=plain: codec.answer(codec.grpc.from_json(plain, Kind.REPLY), Form.JSON),
        )
        for path in rest:
            _refused_or_done(path)
    change = Escaping()
    assert b"".join([*map(change, pieces(data)), change.rest()]) == escaped(data[1:])
    for codec in CODECS:
        turn = codec.rest.turn
        if turn is not None and turn.said_at_first(body) == turn.answered and body.count(b"[") + body.count(b"{") < 200:
            assert _turned(turn, data) == _read(lambda codec=codec: codec.rest.chained(Payload(body)).body)


def _turned(turn: Turn, data: bytes) -> str:
    change = Turning(turn)
    return _read(lambda: b"".join([*map(change, pieces(data)), change.rest()]))


def _read(path: Callable[[], bytes]) -> str:
    """What a message says, in one way to write it; nothing for what is none."""
    try:
        return json.dumps(json.loads(path()), sort_keys=True)
    except (BadPayloadError, ValueError):
        return ""


def messages(data: bytes) -> None:
    """Whatever message comes over gRPC, in each protocol: the same."""
    for codec in CODECS:
        for kind in Kind:
            found = Protobuf(data, kind)
            rpc: tuple[Callable[[], Any], ...] = (
                lambda codec=codec: codec.grpc.model("predict", data),
                lambda codec=codec, found=found: codec.grpc.chained(found),
                lambda codec=codec, found=found, kind=kind: codec.grpc.turned(found, kind),
                lambda codec=codec, found=found: codec.grpc.joined([found, found], ["a", "b"]),
                lambda codec=codec, found=found: codec.grpc.with_routing(found, {"a": 1}),
                lambda codec=codec, found=found: codec.answer(found, Form.JSON),
                lambda codec=codec, found=found: codec.route(found),
                lambda codec=codec, found=found: codec.averaged([found, found]),
                lambda codec=codec, found=found: codec.routing_of_feedback(found),
                lambda codec=codec, found=found: codec.grpc.answer_like(found, found),
            )
            for path in rpc:
                _refused_or_done(path)


def _refused_or_done(path: Callable[[], Any]) -> None:
    with contextlib.suppress(OrchestratorError):
        path()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "server": server,
    "client": client,
    "json": json_paths,
    "messages": messages,
}
