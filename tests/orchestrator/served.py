"""Servers to send bytes to."""

import asyncio
import contextlib

from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response

SMALL = Limits(
    head_bytes=2048, body_bytes=4096, head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, linger_seconds=0.2
)


def echo(request: Request) -> Response:
    return Response(200, b"|".join([request.method, request.path, request.query, request.body]))


@contextlib.asynccontextmanager
async def servers(wire):
    """Gives what starts a server; that gives a client of it and the server."""
    started = []

    async def start(handler=echo, limits=SMALL):
        server = Server(handler, limits)
        client = wire(await server.listen("127.0.0.1", 0))
        started.append((client, server))
        return client, server

    yield start
    for client, server in started:
        await client.close()
        await server.close(0.0)


async def read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""


async def exchange(client, data: bytes) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await client.connect()
    with contextlib.suppress(ConnectionError):
        for at in range(0, len(data), 4000):
            writer.write(data[at : at + 4000])
            await writer.drain()
            await asyncio.sleep(0)
    return await read_all(reader)
