"""Long bodies that do not come to their end: whoever leaves, dies or goes wrong, the others are told and left well."""

import asyncio
import dataclasses
import gc
import tracemalloc

import pytest
from longbodies import LONG, MIB, OK, SIZE, chunked, count, dead_end, head, node_head

from orchestrator.clients.hosts import Hosts
from orchestrator.clients.pool import Pool
from orchestrator.flow import Flow


async def test_a_client_that_leaves_in_the_middle_of_its_body_ends_the_call(raw_node, orchestrate, make_unit, until):
    seen = []

    async def script(reader, writer):
        await node_head(reader)
        seen.append("begun")
        await dead_end(reader)
        seen.append("ended")

    running = await orchestrate(make_unit("m", await raw_node(script)))
    _, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: %d" % SIZE) + LONG)
    await until(lambda: seen == ["begun"])
    writer.close()

    await until(lambda: seen == ["begun", "ended"] and running.application.load.in_flight == 0)
    assert (await running.wire.metrics())[count(499)] == 1


async def test_a_client_that_leaves_in_the_middle_of_the_answer_ends_the_call(raw_node, orchestrate, make_unit, until):
    ended = asyncio.Event()

    async def script(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + LONG)
        await dead_end(reader)
        ended.set()

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: 0"))
    await reader.readexactly(MIB)
    writer.close()

    await asyncio.wait_for(ended.wait(), 5)
    await until(lambda: running.application.load.in_flight == 0)
    assert (await running.wire.metrics())[count(499)] == 1


async def test_an_answer_that_ends_too_early_is_cut_off_and_counted_as_an_error(raw_node, orchestrate, make_unit):
    async def script(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + LONG)
        await writer.drain()

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: 0"))

    answer = await dead_end(reader)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n0\r\n\r\n" not in answer[-16:]  # no end of the chunks: the client can tell
    metrics = await running.wire.metrics()
    assert metrics[count(500)] == 1
    calls = [value for name, value in metrics.items() if "client_requests_seconds_count" in name and 'code="0"' in name]
    assert calls == [1]


async def test_a_node_that_dies_in_the_middle_of_a_request_is_a_500_and_the_next_one_works(
    raw_node, orchestrate, make_unit
):
    seen = []

    async def script(reader, writer):
        await node_head(reader)
        seen.append(1)
        if len(seen) == 1:
            await reader.readexactly(MIB)
            writer.transport.abort()
        else:
            await reader.readexactly(len(LONG))
            writer.write(OK)

    running = await orchestrate(make_unit("m", await raw_node(script)))
    request = head(b"Content-Length: %d" % len(LONG)) + LONG

    first = await running.wire.send(request)
    second = await running.wire.send(request)

    assert (first.status, first.json()["status"]["reason"]) == (500, "NODE_UNREACHABLE")
    assert second.status == 200


async def test_a_node_may_refuse_a_request_before_it_has_read_it(raw_node, orchestrate, make_unit):
    async def script(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmine")
        await writer.drain()
        await dead_end(reader)

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: %d" % SIZE) + LONG)

    answer = await dead_end(reader)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert answer.endswith(b"\r\n\r\nmine")
    assert running.application.load.in_flight == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(b"Transfer-Encoding: chunked") + chunked(LONG, MIB), 413),
        (head(b"Content-Length: %d" % len(LONG)), 413),
        (head(b"Transfer-Encoding: chunked") + b"80000\r\n" + LONG[:0x80000] + b"\r\nno size\r\n", 400),
        (head(b"Transfer-Encoding: chunked") + b"80000\r\n" + LONG[:0x80000], 408),
        (head(b"Content-Length: %d" % MIB) + LONG[:0x80000], 408),
    ],
    ids=["too long in chunks", "too long", "broken chunk", "stops in chunks", "stops"],
)
async def test_a_body_that_goes_wrong_on_its_way_is_refused_and_the_node_left(
    raw_node, orchestrate, make_unit, data, status, until
):
    calls, ends = [], []

    async def script(reader, writer):
        await node_head(reader)
        calls.append(1)
        await dead_end(reader)
        ends.append(1)

    running = await orchestrate(make_unit("m", await raw_node(script)), max_body=2 * MIB)
    server = running.application.server
    server.limits = dataclasses.replace(server.limits, body_seconds=0.1)

    answer = await running.wire.send(data)

    assert answer.status == status
    assert answer.headers["connection"] == "close"
    await until(lambda: calls == ends and not running.application.load.in_flight)


async def test_an_answer_that_flows_and_gets_too_long_is_cut_off(raw_node, orchestrate, make_unit, until):
    async def script(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(LONG, MIB))
        await dead_end(reader)

    running = await orchestrate(make_unit("m", await raw_node(script)), max_body=2 * MIB)
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: 0"))

    answer = await dead_end(reader)

    assert not answer.endswith(b"0\r\n\r\n")
    assert (await running.wire.metrics())[count(500)] == 1


async def test_a_kept_connection_that_is_closed_is_made_anew_for_a_body_that_flows(raw_node):
    bodies = []

    async def script(reader, writer):
        await node_head(reader)
        bodies.append(len(await reader.readexactly(len(LONG))))
        writer.write(OK)
        await node_head(reader)  # and goes away

    pool = Pool("m", ("127.0.0.1", await raw_node(script)), Hosts(), limit=MIB)
    start = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(LONG)

    async def ask():
        flow = Flow(len(LONG))
        asking = asyncio.create_task(pool.request(start, b"", within=5, again=True, flow=flow))
        flow.feed(LONG[:1000])
        for at in range(1000, len(LONG), 50_000):
            await asyncio.sleep(0.0005)
            flow.feed(LONG[at : at + 50_000])
        flow.end()
        return await asking

    replies = [await ask() for _ in range(3)]
    pool.close()

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert bodies == [len(LONG)] * 3


async def test_nothing_of_a_body_is_kept_for_a_client_that_left(raw_node, orchestrate, make_unit, until):
    """Without a collection of cycles, which may be long in coming."""

    async def script(reader, writer):
        await node_head(reader)
        while await reader.read(1 << 16):
            pass

    running = await orchestrate(make_unit("m", await raw_node(script)))

    async def leave():
        _, writer = await running.wire.connect()
        writer.transport.set_write_buffer_limits(0)
        writer.write(head(b"Content-Length: %d" % SIZE) + LONG[:MIB])
        await writer.drain()  # the client keeps nothing of it
        await until(lambda: running.application.load.in_flight == 1)
        writer.transport.abort()
        await until(lambda: not running.application.load.in_flight and not running.application.server.connections)

    await leave()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(10):
            await leave()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()

    assert kept < MIB  # of ten times what came of the body
