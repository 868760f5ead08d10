"""Servers and clients of our HTTP/2, and peers of it that do as they are told."""

import asyncio
import contextlib
import sys

import grpc.aio
import pytest

from orchestrator.http2 import fields, frames, messages
from orchestrator.http2.channel import Channel, Target
from orchestrator.http2.connection import Connection
from orchestrator.http2.exchange import Unary
from orchestrator.http2.server import Server
from orchestrator.http2.serving import Terms
from orchestrator.http2.streams import Data, Head
from orchestrator.room import Room

ECHO = "/x.Y/Echo"


class Peer:
    """One side of a connection that is under the test's control."""

    def __init__(self, core, reader, writer):
        self.core, self.reader, self.writer = core, reader, writer
        self.events = []

    def write(self, data=b""):
        self.writer.write(self.core.take() + data)

    async def until(self, wanted):
        """Read until an event is `wanted`, and give it; raises ConnectionError at the end of the connection."""
        while True:
            for at, event in enumerate(self.events):
                if wanted(event):
                    del self.events[: at + 1]
                    return event
            data = await asyncio.wait_for(self.reader.read(65_536), 10)
            if not data:
                raise ConnectionResetError
            self.events += self.core.receive(data, 0.0)
            self.core.pump(1 << 20)
            self.write()

    async def kind(self, kind):
        return await self.until(lambda event: isinstance(event, kind))

    def ask(self, method=ECHO, body=b"hello", *, more=(), prefix=None, ends=True):
        """Call a method; a short body may be said not to end."""
        pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method.encode())]
        pairs += [(b":authority", b"who"), (b"content-type", b"application/grpc"), *more]
        stream = self.core.open(fields.block(pairs), messages.prefix(body) if prefix is None else prefix, body)
        self.core.pump(1 << 20)
        data = bytearray(self.core.take())
        if not ends:
            data[len(data) - len(prefix) - len(body) - 5] = 0
        self.write(bytes(data))
        return stream

    async def outcome(self, stream):
        """The status, the details and the body of the answer to a call."""
        body, last = b"", None
        while last is None:
            event = await self.until(lambda one: getattr(one, "stream", None) is stream)
            if isinstance(event, Data):
                body += event.data
            elif isinstance(event, Head):
                last = event if event.ended else None
            else:
                return event.code.name, "", body
        said = messages.outcome(last.fields.pairs)
        return said.status.name, said.details, body[5:]

    def answer(self, stream, body=b"", trailers=((b"grpc-status", b"0"),), *, status=b"200", kind=b"application/grpc"):
        """Answer a call."""
        head = fields.block([(b":status", status), (b"content-type", kind)])
        self.core.respond(stream, head, messages.prefix(body), body, fields.block(trailers))
        self.core.pump(1 << 20)
        self.write()


@pytest.fixture
async def serve():
    """Start a server of methods (beside `ECHO`), with its terms as keywords; gives it, and a way to connect to it."""
    servers, writers, channels = [], [], []

    async def start(methods=None, *, limit=4 << 20, room=None, **terms):
        async def echo(body, call):
            return body

        server = Server(
            Terms(
                methods={ECHO: Unary(echo), **{name: Unary(one) for name, one in (methods or {}).items()}},
                limit=limit,
                room=room or Room(sys.maxsize),
                **terms,
            )
        )
        server.port = await server.listen("127.0.0.1", 0)
        servers.append(server)

        async def connect(bounds=None, **settings):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(writer)
            peer = Peer(Connection(server=False, bounds=bounds), reader, writer)
            peer.write(frames.settings(settings.pop("saying")) if "saying" in settings else b"")
            return peer

        def channel(**options):
            made = grpc.aio.insecure_channel(
                f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1), *options.items()]
            )
            channels.append(made)
            return made

        server.connect, server.channel = connect, channel
        return server

    yield start
    for channel in channels:
        await channel.close()
    for writer in writers:
        writer.transport.abort()
    for server in servers:
        await server.close(0.0)


@pytest.fixture
async def peers():
    """Start a server that runs a script for each connection; gives its port."""
    servers, writers = [], []

    async def start(script):
        async def run(reader, writer):
            writers.append(writer)
            peer = Peer(Connection(server=True), reader, writer)
            peer.write()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await script(peer)

        server = await asyncio.start_server(run, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def call():
    """A channel to a port."""
    channels = []

    def make(port, *, limit=4 << 20, address=lambda: "127.0.0.1"):
        channels.append(Channel(Target("localhost", port, address), limit))
        return channels[-1]

    yield make
    for channel in channels:
        await channel.close()
