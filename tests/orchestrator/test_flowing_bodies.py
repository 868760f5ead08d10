"""Long bodies that nobody looks at are handed on piece by piece, both ways, as fast as the slower side reads."""

import asyncio
import hashlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longbodies import LONG, MIB, OK, PATH, SIZE, chunked, forever, head, node_head, unchunked

from orchestrator.flow import WINDOW, Flow
from orchestrator.protocols.jsontext import Escaping, escaped
from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Response


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_long_request_comes_as_it_was_and_the_connection_serves_the_next(node, orchestrate, make_unit, framing):
    seen = await node(lambda request: Response(200, hashlib.sha256(request.body).hexdigest().encode()))
    running = await orchestrate(make_unit("m", seen.port))
    reader, writer = await running.wire.connect()
    digest = hashlib.sha256(LONG).hexdigest().encode()

    for _ in range(3):
        if framing == "length":
            writer.write(head(b"Content-Length: %d" % len(LONG)) + LONG)
        else:
            writer.write(head(b"Transfer-Encoding: chunked") + chunked(LONG, 70_000))
        writer.write(head(b"Content-Length: 5") + b"small")
        assert (await reader.readuntil(digest)).startswith(b"HTTP/1.1 200 OK")
        await reader.readuntil(hashlib.sha256(b"small").hexdigest().encode())

    assert len(seen.requests) == 6


async def test_the_node_reads_a_request_before_the_client_has_sent_it_all(raw_node, orchestrate, make_unit):
    begun = asyncio.Event()

    async def script(reader, writer):
        await node_head(reader)
        await reader.readexactly(MIB)
        begun.set()
        await reader.readexactly(2 * MIB)
        writer.write(OK)

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: %d" % len(LONG)) + LONG[:MIB])
    await asyncio.wait_for(begun.wait(), 5)
    writer.write(LONG[MIB:])

    assert (await asyncio.wait_for(reader.readuntil(b"{}"), 5)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
async def test_the_client_reads_an_answer_before_the_node_has_sent_it_all(raw_node, orchestrate, make_unit, framing):
    release = asyncio.Event()
    lines = {"length": b"Content-Length: %d\r\n" % len(LONG), "chunks": b"Transfer-Encoding: chunked\r\n", "end": b""}

    async def script(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n%b\r\n" % lines[framing])
        for part in (LONG[:MIB], LONG[MIB:]):
            writer.write(chunked(part, 100_000)[:-5] if framing == "chunks" else part)
            await release.wait()
        writer.write(b"0\r\n\r\n" if framing == "chunks" else b"")

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: 0"))
    start = await reader.readuntil(b"\r\n\r\n")
    if framing == "length":
        assert b"Content-Length: %d\r\n" % len(LONG) in start
        assert await asyncio.wait_for(reader.readexactly(MIB // 2), 5) == LONG[: MIB // 2]
        release.set()
        body = LONG[: MIB // 2] + await reader.readexactly(len(LONG) - MIB // 2)
    else:
        size = int(await reader.readline(), 16)
        body = (await reader.readexactly(size + 2))[:-2]
        assert not release.is_set()
        release.set()
        body += await unchunked(reader)

    assert body == LONG
    writer.write(head(b"Content-Length: 0"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


async def test_an_http_1_0_client_gets_a_long_answer_up_to_the_end_of_the_connection(node, orchestrate, make_unit):
    page = b'{"strData":"%b"}' % (b"<p>" * MIB)
    running = await orchestrate(make_unit("m", (await node(lambda _: Response(200, page))).port))
    reader, writer = await running.wire.connect()

    writer.write(b"POST %b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n" % PATH)
    answer = await asyncio.wait_for(reader.read(), 10)

    start, _, body = answer.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in start
    assert json.loads(body) == json.loads(page)
    assert b"<" not in body


@given(st.text(alphabet="a<>&\u2028\u2029€", max_size=60), st.data())
def test_escaping_piece_by_piece_is_escaping(text, data):
    body, change, found = text.encode(), Escaping(), b""
    while body:
        at = data.draw(st.integers(1, len(body)))
        found += change(body[:at])
        body = body[at:]

    assert found + change.rest() == escaped(text.encode())


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, WINDOW)), max_size=12), st.integers(0, 12), st.integers(0, 2**32)
)
async def test_a_flow_keeps_order_pauses_above_its_window_and_rewinds_within_it(acts, again, seed):
    paused: list[bool] = []
    flow = Flow(None, pause=lambda: paused.append(True), resume=lambda: paused.append(False))
    sent, taken = b"", b""
    for at, (feed, size) in enumerate(acts):
        if feed:
            piece = random.Random(seed + at).randbytes(size)
            sent += piece
            flow.feed(piece)
        elif not flow.waits:
            taken += b"".join(await flow.take())
        assert (bool(paused) and paused[-1]) is (len(sent) - len(taken) > WINDOW)
        if at == again:
            could = flow.rewind()
            assert could is (len(taken) <= WINDOW)
            taken = b"" if could else taken
            if could and len(sent) > WINDOW:
                return  # what was paused for is back
    flow.end()
    while pieces := await flow.take():
        taken += b"".join(pieces)

    assert taken == sent


def test_a_flow_that_has_ended_holds_nobody_up_though_nobody_reads_it():
    told: list[str] = []
    flow = Flow(None, pause=lambda: told.append("pause"), resume=lambda: told.append("resume"))

    flow.feed(bytes(WINDOW + 1))
    flow.end()
    flow.drop()

    assert told == ["pause", "resume"]


async def test_a_node_that_does_not_read_holds_the_client_up(raw_node, orchestrate, make_unit, until):
    running = await orchestrate(make_unit("m", await raw_node(forever)))
    _, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: %d" % SIZE))
    sent, still = 0, 0

    while still < 40 and sent < SIZE:  # until nothing goes out any more
        if writer.transport.get_write_buffer_size() < MIB:
            writer.write(bytes(MIB))
            sent, still = sent + MIB, 0
        still += 1
        await asyncio.sleep(0.005)

    assert sent < SIZE * 3 // 4  # the rest is what four sockets hold
    (connection,) = running.application.server.connections
    assert connection._flow._held <= WINDOW + 256_000


async def test_a_client_that_does_not_read_holds_the_node_up(raw_node, orchestrate, make_unit):
    sent = 0

    async def script(reader, writer):
        nonlocal sent
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while sent < SIZE:
            writer.write(bytes(MIB))
            sent += MIB
            await writer.drain()

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    reader._transport.pause_reading()
    writer.write(head(b"Content-Length: 0"))
    before, still = -1, 0
    while still < 40:
        still = still + 1 if sent == before else 0
        before = sent
        await asyncio.sleep(0.005)

    assert 0 < sent < SIZE * 3 // 4
    assert running.application.load.in_flight == 1


async def test_long_bodies_that_have_to_be_looked_at_are_whole(node, orchestrate, make_unit):
    big = {"data": {"ndarray": [[1.0] * 200_000]}}
    models = [make_unit(name, (await node()).port) for name in "ab"]
    running = await orchestrate({"name": "c", "implementation": "AVERAGE_COMBINER", "children": models})

    answer = await running.wire.predict(big)

    assert answer.json()["data"]["ndarray"] == big["data"]["ndarray"]


async def test_a_long_body_goes_through_a_chain(node, orchestrate, make_unit):
    last = await node()
    first = await node()
    running = await orchestrate(make_unit("a", first.port, children=[make_unit("b", last.port)]))
    body = json.dumps({"strData": "x" * MIB}).encode()
    reader, writer = await running.wire.connect()

    writer.write(head(b"Content-Length: %d" % len(body), b"Content-Type: application/json") + body)
    await reader.readuntil(b"\r\n\r\n")

    assert await unchunked(reader) == body
    assert [len(one.requests[0].body) for one in (first, last)] == [len(body)] * 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=90)), min_size=1, max_size=6),
    st.integers(1, 120),
    st.integers(1, 40),
)
async def test_bodies_are_the_same_however_they_are_cut(bodies, cut, chunk):
    """Requests with short and long bodies, framed either way, over one connection, in pieces of any size."""
    found: list[bytes] = []

    async def take(request):
        body = request.body
        if request.flow is not None:
            while pieces := await request.flow.take():
                body += b"".join(pieces)
        found.append(body)
        return Response(200, b"!")

    server = Server(take, Limits(flow_above=16), lambda request: True)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.listen("127.0.0.1", 0))
    try:
        for whole, body in bodies:
            if whole:
                data = head(b"Content-Length: %d" % len(body)) + body
            else:
                data = head(b"Transfer-Encoding: chunked") + chunked(body, chunk)
            for at in range(0, len(data), cut):
                writer.write(data[at : at + cut])
                await asyncio.sleep(0)
            await asyncio.wait_for(reader.readuntil(b"!"), 10)
    finally:
        writer.transport.abort()
        await server.close(0.0)

    assert found == [body for _, body in bodies]
