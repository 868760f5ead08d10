"""Bodies that are kept whole have room together; what has none is refused, and nobody else is hurt."""

import asyncio

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from longbodies import MIB, OK, dead_end, head, node_head
from messages import SELDON, Message

from orchestrator.container import memory_limit
from orchestrator.room import Hold, Room

LIMIT = 4 * MIB
BODY = b'{"strData":"' + b"x" * (2 * MIB - 14) + b'"}'


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(0, 4), st.sampled_from("tac"), st.integers(0, 60))))
def test_what_is_kept_is_never_negative_and_is_nothing_in_the_end(limit, steps):
    room = Room(limit)
    holds = [Hold(room) for _ in range(5)]

    for at, what, size in steps:
        alone = room.held == holds[at].size
        if what == "c":
            holds[at].close()
        elif what == "a":
            assert holds[at].announced(size) == (alone or room.held + size <= limit)
        elif holds[at].take(size):
            assert alone or room.held <= limit
        assert room.held == sum(hold.size for hold in holds) >= 0
    for hold in holds:
        hold.close()

    assert room.held == 0


@given(st.integers(1, 100), st.lists(st.integers(0, 1000)))
def test_a_request_that_is_alone_is_never_refused(limit, sizes):
    room = Room(limit)
    hold = Hold(room)

    assert all(hold.announced(size) and hold.take(size) for size in sizes)
    assert room.refused == 0


@pytest.mark.parametrize(
    ("name", "text", "bytes_"),
    [
        ("memory.max", "536870912\n", 512 * MIB),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "1048576\n", MIB),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("memory.max", "\xff", None),
        ("other", "1", None),
    ],
)
def test_the_containers_limit_is_read_in_both_forms(tmp_path, name, text, bytes_):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode("latin-1"))

    assert memory_limit(tmp_path) == bytes_


async def told(condition):
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 — what is waited for is a count, which tells nobody
            await asyncio.sleep(0.001)


def routed(unit, port):
    """A graph that has bodies whole, as answers with routing are too."""
    return unit("r", 0, "ROUTER", [unit("m", port)], implementation="SIMPLE_ROUTER")


class Slow:
    """A node that answers when it may."""

    def __init__(self, answer=OK):
        self.answer = answer
        self.asked = 0
        self.go = asyncio.Event()

    async def __call__(self, reader, writer):
        while True:
            length = (await node_head(reader)).lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length or b"0"))
            self.asked += 1
            await self.go.wait()
            writer.write(self.answer)
            await writer.drain()


async def sent(running, body=BODY):
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: %d" % len(body)) + body)
    return reader, writer


async def status(reader):
    found = await reader.readuntil(b"\r\n\r\n")
    length = int(found.partition(b"Content-Length: ")[2].partition(b"\r")[0])
    return int(found.split()[1]), found, await reader.readexactly(length)


async def test_of_five_long_bodies_those_that_fit_are_served_and_then_all_is_again(raw_node, orchestrate, make_unit):
    slow = Slow()
    running = await orchestrate(routed(make_unit, await raw_node(slow)), max_bodies=LIMIT + MIB // 2)
    room = running.application.room

    first = [await sent(running) for _ in range(2)]
    await told(lambda: slow.asked == 2)
    further = [await sent(running) for _ in range(3)]
    refused = [await asyncio.wait_for(status(reader), 10) for reader, _ in further]
    held = room.held
    slow.go.set()
    served = [await asyncio.wait_for(status(reader), 10) for reader, _ in first]

    assert [code for code, _, _ in refused] == [503] * 3
    assert all(b"\r\nRetry-After: 1\r\n" in found and b"Connection: close" in found for _, found, _ in refused)
    assert 2 * len(BODY) <= held <= LIMIT + MIB // 2
    assert [code for code, _, _ in served] == [200, 200]
    assert room.held == 0
    assert (await running.wire.predict(BODY)).status == 200
    assert (await running.wire.metrics())["seldon_api_executor_bodies_refused_total"] == 3


async def test_small_bodies_are_served_while_there_is_no_room(raw_node, orchestrate, make_unit):
    slow = Slow()
    running = await orchestrate(routed(make_unit, await raw_node(slow)), max_bodies=MIB)

    long, _ = await sent(running)  # alone, so that it may be longer than all together
    await told(lambda: slow.asked == 1)
    small, _ = await sent(running, b"{}")
    await told(lambda: slow.asked == 2)
    slow.go.set()

    assert (await status(long))[0] == (await status(small))[0] == 200


async def test_who_announces_much_and_sends_little_keeps_nobody_out(node, orchestrate, make_unit):
    running = await orchestrate(routed(make_unit, (await node()).port), max_bodies=2 * LIMIT)
    room = running.application.room

    hostile = []
    for _ in range(8):
        _, writer = await running.wire.connect()
        writer.write(head(b"Content-Length: %d" % (100 * MIB)) + b"x" * 100_000)
        hostile.append(writer)
        await told(lambda: room.held > 90_000 * len(hostile) or room.refused)
        if room.refused:
            break
    answer = await running.wire.predict(BODY)
    for writer in hostile:
        writer.transport.abort()
    await told(lambda: not room.held)

    assert answer.status == 200


async def test_bodies_without_a_length_are_refused_where_the_room_ends(raw_node, orchestrate, make_unit):
    slow = Slow()
    running = await orchestrate(routed(make_unit, await raw_node(slow)), max_bodies=LIMIT)

    await sent(running)
    await told(lambda: slow.asked == 1)
    reader, writer = await running.wire.connect()
    writer.write(head(b"Transfer-Encoding: chunked"))
    for _ in range(3):
        writer.write(b"%x\r\n%b\r\n" % (MIB, b"y" * MIB))
    found = await dead_end(reader)
    held = running.application.room.held

    assert found.startswith(b"HTTP/1.1 503 ")
    assert len(BODY) <= held < LIMIT


@pytest.mark.parametrize("at", ["in its body", "before its answer", "in the queue"])
async def test_of_a_client_that_leaves_nothing_is_kept(raw_node, orchestrate, make_unit, at):
    slow = Slow()
    running = await orchestrate(routed(make_unit, await raw_node(slow)), max_bodies=LIMIT)
    room = running.application.room

    if at == "in its body":
        _, writer = await running.wire.connect()
        writer.write(head(b"Content-Length: %d" % len(BODY)) + BODY[:MIB])
        await told(lambda: room.held > MIB // 2)
    else:
        _, writer = await sent(running, b"{}" if at == "in the queue" else BODY)
        await told(lambda: slow.asked == 1)
        if at == "in the queue":
            writer.write(head(b"Content-Length: %d" % len(BODY)) + BODY)
            await told(lambda: room.held > len(BODY))
    writer.transport.abort()
    await told(lambda: not room.held)

    assert room.refused == 0


async def test_an_answer_stays_counted_until_its_client_has_read_it(raw_node, orchestrate, make_unit):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (16 * MIB) + b'{"a":"' + b"x" * (16 * MIB - 8) + b'"}'
    slow = Slow(answer)
    slow.go.set()
    running = await orchestrate(routed(make_unit, await raw_node(slow)), max_bodies=LIMIT)
    room = running.application.room

    reader, writer = await running.wire.connect()
    writer.transport.pause_reading()
    writer.write(head(b"Content-Length: 2") + b"{}")
    await told(lambda: room.held > 16 * MIB and not running.application.load.in_flight)
    other = await running.wire.predict(b"{}")
    writer.transport.resume_reading()
    code, _, body = await asyncio.wait_for(status(reader), 10)

    assert (other.status, other.headers["retry-after"], other.json()["status"]["reason"]) == (503, "1", "OVERLOADED")
    assert (code, len(body) > 16 * MIB) == (200, True)
    await told(lambda: not room.held)
    assert (await running.wire.predict(b"{}")).status == 200


async def test_over_grpc_what_does_not_fit_is_unavailable(rpc_node, orchestrate, remote, rpc):
    go = asyncio.Event()

    async def slow(method, body, context):
        await go.wait()
        return body

    asked = await rpc_node(slow, limit=16 * MIB)
    running = await orchestrate(remote("m", asked.port), max_bodies=LIMIT)
    room = running.application.room
    message = Message(strData="x" * (3 * MIB))

    def call():
        return rpc(running, SELDON + "Predict", message, Message, limit=16 * MIB)

    first = asyncio.ensure_future(call())
    await told(lambda: asked.calls)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call()
    go.set()
    served = await first
    await told(lambda: not room.held)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(served.strData) == 3 * MIB
    assert len((await call()).strData) == 3 * MIB
