"""What comes in over the wire, byte by byte: the server that the orchestrator and the nodes stand behind."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import exchange, read_all, servers

from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request, Response


@pytest.fixture
async def serve(wire):
    """Start a server; gives a client of it and the server."""
    async with servers(wire) as start:
        yield start


async def test_a_request_comes_whole_to_the_handler(serve):
    client, _ = await serve()

    answer = await client.send(b"POST /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz")

    assert answer.body == b"POST|/a/b|c=d&e|xyz"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_request_in_single_bytes_is_the_same_request(serve):
    client, _ = await serve()
    reader, writer = await client.connect()

    for at in b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz":
        writer.write(bytes([at]))
        await writer.drain()

    assert (await reader.readuntil(b"|xyz")).endswith(b"POST|/a||xyz")


async def test_a_chunked_body_is_put_together(serve):
    client, _ = await serve()
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = await client.send(head + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")

    assert answer.body == b"POST|/a||abcde"


async def test_a_connection_is_kept_for_the_next_request(serve):
    client, _ = await serve()
    reader, writer = await client.connect()

    for at in range(3):
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % at)
        assert (await reader.readuntil(b"GET|/%d||" % at)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
async def test_the_connection_ends_or_stays_as_the_client_asks(serve, head, kept):
    client, _ = await serve(limits=Limits())
    reader, writer = await client.connect()

    writer.write(head)
    answer = await reader.readuntil(b"GET|/||")

    assert (b"Connection: close" in answer) is not kept
    if kept:
        writer.write(head)
        await reader.readuntil(b"GET|/||")
        assert b"HTTP/1.0" not in head or b"Connection: keep-alive" in answer
    else:
        assert await read_all(reader) == b""


async def test_requests_sent_ahead_are_answered_in_their_order(serve):
    started = []

    async def slow_first(request: Request) -> Response:
        started.append(request.path)
        await asyncio.sleep(0.05 if request.path == b"/0" else 0)
        return Response(200, request.path)

    client, _ = await serve(slow_first, Limits(pipelined=4))
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % at for at in range(20))

    answers = await exchange(client, data + b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    bodies = [part.split(b"HTTP/1.1")[0] for part in answers.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"/%d" % at for at in range(20)] + [b"/end"]
    assert started == [b"/%d" % at for at in range(20)] + [b"/end"]


async def test_a_connection_with_enough_sent_ahead_is_not_read_until_there_is_room(serve, until):
    gate = asyncio.Event()

    async def waits(request: Request) -> Response:
        await gate.wait()
        return Response(200, request.path)

    client, server = await serve(waits, Limits(pipelined=4))
    reader, writer = await client.connect()
    for at in range(5):
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % at)
        await writer.drain()
    await until(lambda: server.connections and not next(iter(server.connections))._reading)
    (connection,) = server.connections
    waiting = len(connection._queue)
    for at in range(5, 50):
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % at)
    await writer.drain()

    gate.set()
    writer.write(b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answers = await read_all(reader)

    assert waiting == 4
    bodies = [part.split(b"HTTP/1.1")[0] for part in answers.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"/%d" % at for at in range(50)] + [b"/end"]


async def test_more_than_may_be_sent_ahead_at_once_is_refused_when_the_rest_is_answered(serve, until):
    gate, started = asyncio.Event(), []

    async def waits(request: Request) -> Response:
        started.append(request.path)
        await gate.wait()
        return Response(200, request.path)

    client, server = await serve(waits, Limits(pipelined=2, ahead=4))
    reader, writer = await client.connect()
    writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % at for at in range(9)))
    await until(lambda: server.connections and next(iter(server.connections))._refused)
    gate.set()
    answers = (await read_all(reader)).split(b"HTTP/1.1 ")[1:]

    assert started == [b"/%d" % at for at in range(5)]
    assert [answer[:3] for answer in answers] == [b"200"] * 5 + [b"503"]
    assert b"Retry-After: 1\r\n" in answers[-1]
    assert b"Connection: close\r\n" in answers[-1]
    assert b"more than 4 requests were sent ahead of their answers" in answers[-1]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\nb\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999999999\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_request_gets_400_and_the_connection_ends(serve, data):
    client, _ = await serve()

    answer = await exchange(client, data)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer


async def test_a_good_request_before_a_broken_one_is_answered_first(serve):
    client, _ = await serve()

    answer = await exchange(client, b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n\x00broken\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"GET|/good||HTTP/1.1 400 " in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 1000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n"
            + b"a" * 4096
            + b"\r\n1\r\nb\r\n",
            413,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"e" * 20000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: a\r\n" * 4000, 431),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ],
    ids=["target", "one header", "many headers", "length", "chunks", "chunk extension", "trailers", "connect"],
)
async def test_what_is_too_long_is_refused_before_it_is_all_here(serve, data, status):
    client, _ = await serve()

    answer = await exchange(client, data)

    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    ],
    ids=["in the head", "in the body"],
)
async def test_a_request_that_stops_half_way_is_given_up(serve, data):
    client, _ = await serve()

    assert (await exchange(client, data)).startswith(b"HTTP/1.1 408 ")


async def test_bytes_that_trickle_in_buy_no_time_for_the_head(serve):
    client, _ = await serve()
    reader, writer = await client.connect()

    async def trickle() -> None:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.02)

    task = asyncio.create_task(trickle())
    answer = await read_all(reader)
    task.cancel()

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_without_a_word(serve):
    client, _ = await serve()

    assert await exchange(client, b"") == b""


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_an_upgrade_to_http_2_is_passed_over_with_the_body_kept(serve, framing):
    client, _ = await serve()
    head = b"POST /a?b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"

    answers = await exchange(client, head + framing + b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert b"POST|/a|b|hello" in answers
    assert answers.endswith(b"GET|/next||")


async def test_many_upgrades_at_once_do_not_exhaust_the_stack(serve):
    client, _ = await serve(limits=Limits())
    one = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    answers = await exchange(client, one * 3000 + b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answers.count(b"GET|/a||") == 3000


async def test_an_answer_to_head_has_no_body(serve):
    client, _ = await serve()

    answer = await exchange(client, b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert b"Content-Length: 9" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_the_work_for_a_client_that_left_is_cancelled(serve, until):
    seen = []

    async def wait(request: Request) -> Response:
        seen.append("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return Response(200)

    client, server = await serve(wait)
    _, writer = await client.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: seen == ["started"])
    writer.close()

    await until(lambda: seen == ["started", "cancelled"] and not server.connections)


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_handler_that_fails_is_a_500_without_its_words(serve, asynchronous):
    def fail(request: Request) -> Response:
        raise RuntimeError("secret")

    async def fail_later(request: Request) -> Response:
        raise RuntimeError("secret")

    client, _ = await serve(fail_later if asynchronous else fail)

    answer = await client.get("/")

    assert answer.status == 500
    assert b"secret" not in answer.body


async def test_a_client_that_does_not_read_is_given_up(serve, until):
    big = b"x" * (8 << 20)
    client, server = await serve(lambda request: Response(200, big), Limits(write_seconds=0.2))
    reader, writer = await client.connect()
    reader._transport.pause_reading()

    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)

    await until(lambda: len(server.connections) == 1)
    await until(lambda: not server.connections)


async def test_a_slow_reader_gets_all_answers_when_it_reads(serve):
    big = b"x" * (1 << 20)
    client, _ = await serve(lambda request: Response(200, big), Limits())
    reader, writer = await client.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(0.05)

    answers = await read_all(reader)

    assert answers.count(b"HTTP/1.1 200 OK") == 6
    assert answers.count(b"x" * 100) >= 6 * ((1 << 20) // 100)


pieces = st.lists(
    st.sampled_from(
        [
            b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Content-Length: 5\r\n", b"hello",
            b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close\r\n", b"\n", b"\r",
            b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"X: \xff\xfe\r\n", b" folded\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n",
        ]
    )
    | st.binary(max_size=40),
    max_size=24,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=pieces, split=st.integers(1, 64))
async def test_no_bytes_break_the_server(pieces, split):
    """Whatever comes, in whatever pieces: the handler gets whole requests, and the server serves the next client."""
    whole: list[Request] = []

    def handler(request: Request) -> Response:
        whole.append(request)
        return Response(200, b"ok")

    server = Server(handler, Limits(head_bytes=4096, body_bytes=4096, linger_seconds=0.01))
    port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"".join(pieces)
    try:
        for at in range(0, len(data), split):
            writer.write(data[at : at + split])
        with contextlib.suppress(ConnectionError, OSError):
            await writer.drain()
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
        sane_reader, sane_writer = await asyncio.open_connection("127.0.0.1", port)
        sane_writer.write(b"GET /sane HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(sane_reader.read(), 5)).endswith(b"ok")
        sane_writer.close()
        await sane_writer.wait_closed()
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await server.close(0.0)
    assert whole[-1].path == b"/sane"
    assert all(request.method.isalpha() or b"-" in request.method for request in whole)
