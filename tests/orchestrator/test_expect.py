"""A client that waits to be asked for its body is asked, in its turn, or is refused before it has sent it."""

import asyncio

import pytest
from longbodies import LONG, OK, forever, head, node_head
from served import echo, read_all, servers

from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Response

GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = b"Expect: 100-continue"


@pytest.fixture
async def serve(wire):
    """Start a server; gives a client of it and the server."""
    async with servers(wire) as start:
        yield start


def post(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST /a HTTP/%b" % version, b"Host: x", *lines, b"", b""])


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ((EXPECT, b"Content-Length: 2"), b"ab"),
        ((b"Content-Length: 2", b"expect: 100-Continue"), b"ab"),
        ((EXPECT, b"Transfer-Encoding: chunked"), b"2\r\nab\r\n0\r\n\r\n"),
        ((EXPECT, b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2"), b"ab"),
    ],
)
async def test_it_is_asked_for_its_body_again_and_again(serve, lines, body):
    client, _ = await serve(limits=Limits())
    reader, writer = await client.connect()

    for _ in range(2):
        writer.write(post(*lines))
        assert await reader.readuntil(b"\r\n\r\n") == GO_ON
        writer.write(body)
        assert (await reader.readuntil(b"|ab")).startswith(b"HTTP/1.1 200 OK")
    writer.write(b"GET /end HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (await reader.readuntil(b"|/end||")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (post(EXPECT, b"Content-Length: 5000"), b"413"),
        (post(b"Content-Length: 5000", EXPECT), b"413"),
        (post(EXPECT, b"Content-Length: 2", b"Content-Length: 3"), b"400"),
        (post(EXPECT, b"Content-Length: 2", *[b"X: %b" % (b"x" * 900)] * 3), b"431"),
        (post(b"Connection: close", EXPECT, b"Content-Length: 2", version=b"1.0") + b"ab", b"200"),
        (post(b"Connection: close", b"Expect: something", b"Content-Length: 2") + b"ab", b"200"),
    ],
)
async def test_who_is_refused_or_does_not_wait_is_not_asked(serve, asked, status):
    client, _ = await serve()
    reader, writer = await client.connect()

    writer.write(asked)

    assert (await read_all(reader)).startswith(b"HTTP/1.1 %b " % status)


async def test_a_request_sent_ahead_is_asked_for_its_body_in_its_turn(serve):
    first, begun = asyncio.Event(), asyncio.Event()

    async def slow(request):
        begun.set()
        if request.path == b"/first":
            await first.wait()
        return echo(request)

    client, _ = await serve(slow, Limits())
    reader, writer = await client.connect()
    ahead = b"".join([b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % name for name in (b"first", b"second")])
    writer.write(ahead + post(EXPECT, b"Content-Length: 2"))
    await asyncio.wait_for(begun.wait(), 5)
    first.set()

    assert GO_ON not in await reader.readuntil(b"|/first||")
    assert GO_ON not in await reader.readuntil(b"|/second||")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == GO_ON
    writer.write(b"ab")
    assert (await reader.readuntil(b"|ab")).startswith(b"HTTP/1.1 200 OK")


async def test_who_sent_the_body_ahead_too_is_not_asked(serve):
    async def later(request):
        await asyncio.sleep(0)
        return echo(request)

    client, _ = await serve(later)
    reader, writer = await client.connect()
    ahead = post(EXPECT, b"Content-Length: 2", b"Connection: close") + b"ab"
    writer.write(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + ahead)

    answers = await read_all(reader)
    assert answers.endswith(b"|ab")
    assert GO_ON not in answers


async def test_a_long_body_that_is_handed_on_is_asked_for_and_the_connection_stays(node, orchestrate, make_unit):
    counts = await node(lambda request: Response(200, b'"%d"' % len(request.body)))
    running = await orchestrate(make_unit("m", counts.port))
    reader, writer = await running.wire.connect()

    for _ in range(2):
        writer.write(head(EXPECT, b"Content-Length: %d" % len(LONG)))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == GO_ON
        writer.write(LONG)
        assert (await reader.readuntil(b'"%d"' % len(LONG))).startswith(b"HTTP/1.1 200 OK")


async def test_a_node_is_not_told_to_wait(raw_node, orchestrate, make_unit):
    heads = []

    async def script(reader, writer):
        heads.append(await node_head(reader))
        await reader.readexactly(len(LONG))
        writer.write(OK)

    running = await orchestrate(make_unit("m", await raw_node(script)))
    reader, writer = await running.wire.connect()
    writer.write(head(EXPECT, b"Content-Length: %d" % len(LONG)) + LONG)

    await reader.readuntil(b"\r\n\r\n{}")
    assert b"expect" not in heads[0].lower()


@pytest.mark.parametrize("length", [2, len(LONG)])
async def test_who_comes_when_too_much_is_under_way_need_not_send_a_long_body(
    raw_node, orchestrate, make_unit, until, length
):
    running = await orchestrate(make_unit("m", await raw_node(forever)), max_requests=1)
    _, busy = await running.wire.connect()
    busy.write(head(b"Content-Length: 2") + b"{}")
    await until(lambda: running.application.load.in_flight == 1)
    reader, writer = await running.wire.connect()
    writer.write(head(EXPECT, b"Content-Length: %d" % length))

    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    if length == 2:  # a short one is read whatever is under way
        assert answer == GO_ON
        writer.write(b"{}")
        answer = await reader.readuntil(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 503 ")
