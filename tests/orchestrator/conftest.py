"""Nodes of every temper, and orchestrators in front of them, on real sockets."""

import asyncio
import base64
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop

from orchestrator.application import Application
from orchestrator.servers.http import Server
from orchestrator.servers.message import Request, Response
from orchestrator.settings import read

HERE = str(Path(__file__).parent)  # what its tests say and read is a module beside them
if HERE not in sys.path:
    sys.path.insert(0, HERE)


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that runs in production."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def receive(reader: asyncio.StreamReader) -> Answer:
    """Read one answer. Raises IncompleteReadError when the connection ends before it."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", "0"))), 10)
    return Answer(int(lines[0].split()[1]), headers, body)


def request_bytes(
    path: str, body: bytes = b"{}", *, method: str = "POST", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body if method != "GET" else b"")


@dataclass
class Wire:
    """A client of one port that speaks in bytes."""

    port: int
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._open.append(writer)
        return reader, writer

    async def send(self, data: bytes) -> Answer:
        """Bytes over a fresh connection, and the first answer to them."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await receive(reader)
        writer.close()
        return answer

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """A POST of JSON (or of bytes)."""
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return await self.send(request_bytes(path, data, headers=headers))

    async def get(self, path: str, **headers: str) -> Answer:
        """A GET."""
        return await self.send(request_bytes(path, method="GET", headers=headers))

    async def predict(self, body: Any = None, **headers: str) -> Answer:
        """A prediction."""
        return await self.post("/api/v1.0/predictions", body, **headers)

    async def metrics(self) -> dict[str, float]:
        """All samples by their name and labels."""
        text = (await self.get("/metrics")).body.decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    async def close(self) -> None:
        """Close what is open."""
        for writer in self._open:
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # what nobody reads would never be sent
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass
class Node:
    """A node that remembers what it was asked."""

    port: int
    requests: list[Request]

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path.decode() for request in self.requests]


NodeHandler = Callable[[Request], Response | Awaitable[Response]]


@pytest.fixture
async def node() -> AsyncIterator[Callable[[Any], Awaitable[Node]]]:
    """Start a node: from a handler, or from its answers (JSON) by path; it echoes bodies where it has none."""
    servers: list[Server] = []

    async def start(behaviour: Any = None) -> Node:
        requests: list[Request] = []

        def handle(request: Request) -> Any:
            requests.append(request)
            if callable(behaviour):
                return behaviour(request)
            answers = behaviour or {}
            path = request.path.decode()
            return Response(200, json.dumps(answers[path]).encode() if path in answers else request.body)

        server = Server(handle)
        servers.append(server)
        return Node(await server.listen("127.0.0.1", 0), requests)

    yield start
    for server in servers:
        await server.close(0.0)


@pytest.fixture
async def raw_node() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Start a node that answers with bytes and then does as it was told; gives its port."""
    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def start(script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            try:
                await script(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def unit(name: str, port: int = 0, kind: str = "MODEL", children: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    """A node of a graph as it is written."""
    endpoint = {"endpoint": {"service_host": "localhost", "httpPort": port}} if port else {}
    return {"name": name, "type": kind, **endpoint, "children": list(children), **more}


@dataclass
class Running:
    """An orchestrator and a client of it."""

    application: Application
    wire: Wire


@pytest.fixture
async def orchestrate() -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Start an orchestrator for a graph, with flags as keywords and a seed for its draws."""
    running: list[Running] = []

    async def start(
        graph: Mapping[str, Any],
        *,
        environment: Mapping[str, str] | None = None,
        seed: int = 1,
        predictor: Mapping[str, Any] | None = None,
        **flags: Any,
    ) -> Running:
        whole = {"name": "main", "labels": {"version": "v1"}, "graph": graph, **(predictor or {})}
        arguments = [
            "--sdep",
            "iris",
            "--namespace",
            "ml",
            "--predictor",
            "main",
            "--http_port",
            "0",
            "--grpc_port",
            "0",
        ]
        arguments += [f"--{name}={value}" for name, value in flags.items()]
        encoded = base64.b64encode(json.dumps(whole).encode()).decode()
        settings = read(
            arguments, {"ENGINE_PREDICTOR": encoded, "SELDON_PODINFO_PATH": "/nowhere", **(environment or {})}
        )
        application = Application(settings, Random(seed))
        found = Running(application, Wire(await application.start()))
        running.append(found)
        return found

    yield start
    for one in running:
        await one.wire.close()
        await one.application.abort()


@pytest.fixture
def make_unit() -> Callable[..., dict[str, Any]]:
    """`unit(name, port, kind, children, ...)`: a node of a graph as it is written."""
    return unit


@pytest.fixture
def wire() -> type[Wire]:
    """The client that speaks in bytes."""
    return Wire


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Ports that nobody listens on."""
    from peers import free_ports

    return free_ports


@pytest.fixture
def absent_port() -> Iterator[int]:
    """A port where connections are refused as long as the test runs: it is held, and nobody listens on it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@dataclass
class RpcNode:
    """A node over gRPC that remembers what it was asked."""

    port: int
    calls: list[tuple[str, bytes, dict[str, Any]]]

    @property
    def methods(self) -> list[str]:
        """The methods that were called, without their services' packages, in order."""
        return [method.rpartition(".")[2] for method, _, _ in self.calls]


@pytest.fixture
async def rpc_node() -> AsyncIterator[Callable[[Any], Awaitable[RpcNode]]]:
    """Start a node over gRPC: from a coroutine function of method, body and context that gives the answer's bytes."""
    servers: list[Any] = []

    async def start(behaviour: Any, *, limit: int = 4 << 20) -> RpcNode:
        calls: list[tuple[str, bytes, dict[str, Any]]] = []

        class Handler(grpc.GenericRpcHandler):
            def service(self, details: Any) -> Any:
                async def serve(body: bytes, context: Any) -> bytes:
                    calls.append((details.method, body, dict(context.invocation_metadata())))
                    return bytes(await behaviour(details.method, body, context))

                return grpc.unary_unary_rpc_method_handler(serve)

        options = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", limit)]
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((Handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return RpcNode(port, calls)

    yield start
    for server in servers:
        await server.stop(None)


@pytest.fixture
async def rpc() -> AsyncIterator[Callable[..., Any]]:
    """Call a method: `rpc(running, "/seldon.protos.Seldon/Predict", message, answer's class)`."""
    channels: list[Any] = []

    def make(running: Running, limit: int = 4 << 20) -> Any:
        options = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", limit)]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{running.application.grpc_port}", options)
        channels.append(channel)
        return channel

    async def call(running: Running, method: str, message: Any, kind: Any, **options: Any) -> Any:
        channel = make(running, options.pop("limit", 4 << 20))
        sent = channel.unary_unary(method, lambda value: value.SerializeToString(), kind.FromString)
        call.last = sent(message, timeout=options.pop("timeout", 10), **options)
        return await call.last

    call.channel = make
    yield call
    for channel in channels:
        await channel.close()


@pytest.fixture
def remote() -> Callable[..., dict[str, Any]]:
    """`remote(name, port, kind, children, ...)`: a unit that is called over gRPC."""

    def make(name: str, port: int, *arguments: Any, **more: Any) -> dict[str, Any]:
        endpoint = {"service_host": "localhost", "service_port": port, "type": "GRPC", "grpcPort": port}
        return {**unit(name, 0, *arguments, **more), "endpoint": endpoint}

    return make


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The address of a broker."""
    from mockbroker import mock_broker  # beside the tests, and not for those without topics

    with mock_broker() as address:
        yield address


@pytest.fixture
async def topics(broker: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client of two topics of this test alone: what is written to the second are its `answers`."""
    from mockbroker import client_of

    async with client_of(broker, request.node.name.partition("[")[0]) as client:
        yield client
