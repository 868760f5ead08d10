"""How a server stops: what is under way is finished, nobody new is taken, and what does not end is cut off."""

import asyncio

import pytest
from served import read_all, servers

from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response


@pytest.fixture
async def serve(wire):
    """Start a server; gives a client of it and the server."""
    async with servers(wire) as start:
        yield start


async def test_a_request_under_way_is_finished_and_its_client_asked_to_leave(serve, until):
    release = asyncio.Event()

    async def wait(request: Request) -> Response:
        await release.wait()
        return Response(200, b"done")

    client, server = await serve(wait, Limits())
    reader, writer = await client.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: server.connections)
    closing = asyncio.create_task(server.close(5))
    await asyncio.sleep(0.05)
    release.set()
    answer = await read_all(reader)

    assert b"Connection: close" in answer
    assert answer.endswith(b"done")
    assert await closing is True


async def test_no_new_connection_is_taken(serve):
    client, server = await serve()

    await server.close(1)

    with pytest.raises(OSError, match=r"(?i)connect"):
        await client.connect()


async def test_a_kept_connection_is_served_once_more_and_then_closed(serve):
    client, server = await serve(limits=Limits())
    reader, writer = await client.connect()
    writer.write(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"GET|/1||")

    closing = asyncio.create_task(server.close(5))
    await asyncio.sleep(0)
    writer.write(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await read_all(reader)

    assert answer.endswith(b"GET|/2||")
    assert b"Connection: close" in answer
    assert await closing is True


async def test_what_does_not_end_in_time_is_cut_off_and_said(serve, until):
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response(200)

    client, server = await serve(never)
    reader, writer = await client.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: server.connections)

    assert await server.close(0.1) is False
    assert await read_all(reader) == b""


async def test_in_the_delay_it_is_not_ready_and_still_serves_who_connects(node, orchestrate, make_unit, until):
    running = await orchestrate(make_unit("m", (await node()).port), shutdown_delay="1h")
    stopping = asyncio.create_task(running.application.stop())
    await until(lambda: running.application.doors.draining)

    ready, answer = await running.wire.get("/ready"), await running.wire.predict({})
    stopping.cancel()

    assert (ready.status, answer.status, answer.headers["connection"]) == (503, 200, "close")
