"""The connections to one node: bounded, given on, and never lost."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tempers import OK, answering, hanging, whole_request

from orchestrator.clients.hosts import Hosts
from orchestrator.clients.pool import Pool
from orchestrator.errors import NodeError


async def test_more_requests_than_connections_wait_their_turn(raw_node):
    port = await raw_node(answering(OK, close=False))
    pool = Pool("m", ("127.0.0.1", port), Hosts(), size=2, limit=1000)

    asked = [asyncio.create_task(pool.request(b"GET / HTTP/1.1\r\n\r\n", b"", within=5)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting = (pool.connections, pool.waiting)
    replies = await asyncio.gather(*asked)
    pool.close()

    assert waiting == (2, 18)
    assert pool.waiting == 0
    assert [reply.status for reply in replies] == [200] * 20
    assert len(pool._idle) == 0


async def test_a_turn_that_does_not_come_in_time_is_an_error(raw_node):
    port = await raw_node(hanging)
    pool = Pool("m", ("127.0.0.1", port), Hosts(), size=1, limit=1000)
    first = asyncio.create_task(pool.request(b"GET / HTTP/1.1\r\n\r\n", b""))
    await asyncio.sleep(0.02)

    with pytest.raises(NodeError, match="no connection free"):
        await pool.request(b"GET / HTTP/1.1\r\n\r\n", b"", within=0.05)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_cancelled_call_gives_its_place_back(raw_node):
    port = await raw_node(hanging)
    pool = Pool("m", ("127.0.0.1", port), Hosts(), size=1, limit=1000)

    for _ in range(5):
        call = asyncio.create_task(pool.request(b"GET / HTTP/1.1\r\n\r\n", b"", within=5))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await asyncio.sleep(0.01)

    assert pool._open == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.0 200 OK\r\n",
                b"Content-Length: 2\r\n",
                b"\r\n",
                b"{}",
                b"5\r\nabcde\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"0\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"Connection: close\r\n",
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n",
                b"Content-Encoding: gzip\r\n",
            ]
        )
        | st.binary(max_size=20),
        max_size=12,
    )
)
async def test_no_answer_of_a_node_breaks_the_client(data):
    """Whatever a node sends: a reply or a NodeError, never a hang or another exception, and no place is lost."""

    async def script(reader, writer):
        await whole_request(reader)
        writer.write(b"".join(data))
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    pool = Pool("m", ("127.0.0.1", server.sockets[0].getsockname()[1]), Hosts(), limit=1000)
    try:
        async with asyncio.timeout(5):
            reply = await pool.request(b"GET / HTTP/1.1\r\n\r\n", b"", within=2)
        assert 200 <= reply.status < 1000
    except NodeError as error:
        assert "node 'm'" in str(error)  # noqa: PT017 — both ends are right
    finally:
        pool.close()
        server.close()
    async with asyncio.timeout(5):
        while pool._open:  # noqa: ASYNC110 — a connection's end has no event
            await asyncio.sleep(0)
