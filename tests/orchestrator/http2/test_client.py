"""The client: in front of servers of grpc's own library, and of ones that behave as none does."""

import asyncio

import grpc
import grpc.aio
import pytest

from orchestrator.http2 import calling, fields, frames
from orchestrator.http2.faults import Code
from orchestrator.http2.status import RpcError, Status
from orchestrator.http2.streams import Data, Head, Reset

ECHO = "/x.Y/Echo"


async def asked(peer):
    """The next call that is whole."""
    event = await peer.until(lambda one: isinstance(one, Head | Data) and one.ended)
    return event.stream


async def outcome(made):
    """The status of a call that fails."""
    with pytest.raises(RpcError) as failed:
        await asyncio.wait_for(made, 10)
    return failed.value


# ---------------------------------------------------------------- grpc's own servers


@pytest.fixture
async def real():
    """A server of grpc's own library; gives its port."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            async def serve(body, context):
                said = dict(context.invocation_metadata())
                if details.method == "/x.Y/Fail":
                    await context.abort(grpc.StatusCode.DATA_LOSS, "gone 100%", (("why", "rain"), ("x-bin", b"\0\xff")))
                if details.method == "/x.Y/Left":
                    return b"%.1f" % context.time_remaining()
                if details.method == "/x.Y/Said":
                    return repr((said["a"], said["b-bin"])).encode()
                return body

            return None if details.method == "/x.Y/No" else grpc.unary_unary_rpc_method_handler(serve)

    servers = []

    async def start(**options):
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        server = grpc.aio.server(options=limits, **options)
        server.add_generic_rpc_handlers((Handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return port

    yield start
    for server in servers:
        await server.stop(None)


@pytest.mark.parametrize("packing", list(grpc.Compression), ids=lambda packing: packing.name)
async def test_answers_of_all_sizes_and_packings_are_read(real, call, packing):
    channel = call(await real(compression=packing))
    bodies = [b"", b"x", bytes(70_000), bytes(3 << 20)]

    assert [await channel.call(ECHO, body) for body in bodies] == bodies


async def test_what_a_server_says_is_told(real, call):
    channel = call(await real(), limit=1000)

    failed = await outcome(channel.call("/x.Y/Fail", b""))
    unknown = await outcome(channel.call("/x.Y/No", b""))
    long = await outcome(channel.call(ECHO, bytes(1001)))

    assert (failed.status, failed.details) == (Status.DATA_LOSS, "gone 100%")
    assert dict(failed.trailing) == {"why": "rain", "x-bin": b"\0\xff"}
    assert (unknown.status, long.status) == (Status.UNIMPLEMENTED, Status.RESOURCE_EXHAUSTED)
    assert await channel.call("/x.Y/Said", b"", (("a", "1"), ("b-bin", b"\0"))) == b"('1', b'\\x00')"
    assert await channel.call("/x.Y/Left", b"", within=7.0) == b"7.0"


async def test_hundreds_of_calls_share_a_connection(real, call):
    channel = call(await real())

    answers = await asyncio.gather(*[channel.call(ECHO, b"%d" % at) for at in range(500)])

    assert answers == [b"%d" % at for at in range(500)]
    assert len(channel._open) == 1


# ---------------------------------------------------------------- servers like no other

PAGE = b"<html>no healthy upstream</html>"
ANSWERS = {
    "a page of a proxy": (
        lambda peer, stream: peer.answer(stream, PAGE, [], status=b"503", kind=b"text/html"), "UNAVAILABLE"
    ),
    "a page of nobody": (lambda peer, stream: peer.answer(stream, PAGE, [], status=b"404"), "UNIMPLEMENTED"),
    "another content": (lambda peer, stream: peer.answer(stream, PAGE, kind=b"text/html"), "UNKNOWN"),
    "a status alone": (
        lambda peer, stream: peer.core.headers(
            stream,
            fields.block([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"10")]),
            end=True,
        ),
        "ABORTED",
    ),
    "no status": (lambda peer, stream: peer.answer(stream, b"x", [(b"a", b"b")]), "UNKNOWN"),
    "no message": (
        lambda peer, stream: peer.core.respond(
            stream, fields.block([(b":status", b"200"), (b"content-type", b"application/grpc")]), b"", b"",
            fields.block([(b"grpc-status", b"0")]),
        ),
        "INTERNAL",
    ),
    "two messages": (lambda peer, stream: peer.answer(stream, b"\0\0\0\0\1"), None),
    "a message too long": (lambda peer, stream: peer.answer(stream, bytes(2000)), "RESOURCE_EXHAUSTED"),
    "cancelled": (lambda peer, stream: peer.core.reset(stream, Code.CANCEL), "CANCELLED"),
    "too much": (lambda peer, stream: peer.core.reset(stream, Code.ENHANCE_YOUR_CALM), "RESOURCE_EXHAUSTED"),
    "broken": (lambda peer, stream: peer.core.reset(stream, Code.PROTOCOL_ERROR), "INTERNAL"),
    "it hangs up": (lambda peer, stream: peer.writer.close(), "UNAVAILABLE"),
    "nonsense": (lambda peer, stream: peer.core.out.append(frames.frame(frames.DATA, 0, 0)), "UNAVAILABLE"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_odd_answers_have_an_outcome(peers, call, answer, status):
    async def script(peer):
        while True:
            answer(peer, await asked(peer))
            peer.write()

    channel = call(await peers(script), limit=1000)

    if status is None:
        assert await channel.call(ECHO, b"") == b"\0\0\0\0\1"
    else:
        assert (await outcome(channel.call(ECHO, b""))).status.name == status


async def test_a_call_that_was_not_looked_at_is_made_again_and_the_others_finish(peers, call):
    seen = []

    async def script(peer):
        number = len(seen)
        seen.append([])
        if number == 0:
            first, second = await asked(peer), await asked(peer)
            seen[0] += [first.id, second.id]
            peer.core.go_away(last=first.id)
            peer.answer(first, b"from the first")
        while True:
            stream = await asked(peer)
            seen[number].append(stream.id)
            peer.answer(stream, b"from the next")

    channel = call(await peers(script))
    answers = await asyncio.gather(channel.call(ECHO, b"1"), channel.call(ECHO, b"2"))

    assert answers == [b"from the first", b"from the next"]
    assert seen == [[1, 3], [1]]


async def test_a_refused_call_is_made_again_and_not_for_ever(peers, call):
    seen = []

    async def script(peer):
        while True:
            stream = await asked(peer)
            seen.append(stream.id)
            if len(seen) in {1, 3, 4, 5, 6}:
                peer.core.reset(stream, Code.REFUSED_STREAM)
                peer.write()
            else:
                peer.answer(stream, b"now")

    channel = call(await peers(script))

    assert await channel.call(ECHO, b"") == b"now"
    assert (await outcome(channel.call(ECHO, b""))).status is Status.UNAVAILABLE
    assert len(seen) == 6


async def test_no_more_calls_at_a_time_than_the_server_takes(peers, call):
    at_a_time, most = [], []

    async def script(peer):
        peer.write(frames.settings({frames.MAX_CONCURRENT_STREAMS: 2}))
        while True:
            at_a_time.append(await asked(peer))
            most.append(len(at_a_time))
            if len(at_a_time) == 2 or len(most) == 5:
                await asyncio.sleep(0)
                for stream in at_a_time:
                    peer.answer(stream, b"done")
                at_a_time.clear()

    port = await peers(script)
    channel = call(port)
    answers = await asyncio.gather(*[channel.call(ECHO, b"", within=10.0) for _ in range(5)])

    assert answers == [b"done"] * 5
    assert max(most) == 2


async def test_who_gives_up_waiting_for_its_turn_leaves_it_to_the_next(peers, call, until):
    first = []

    async def script(peer):
        peer.write(frames.settings({frames.MAX_CONCURRENT_STREAMS: 1}))
        first.append((peer, await asked(peer)))
        while True:
            peer.answer(await asked(peer), b"done")

    channel = call(await peers(script))
    served = asyncio.ensure_future(channel.call(ECHO, b""))
    await until(lambda: first)
    leaves, stays = (asyncio.ensure_future(channel.call(ECHO, b"")) for _ in range(2))
    (connection,) = channel._open
    await until(lambda: len(connection._turns) == 2)
    over = connection._over

    def over_and_gone(pending):
        over(pending)
        leaves.cancel()  # it has its turn, and has not heard of it

    connection._over = over_and_gone

    peer, stream = first[0]
    peer.answer(stream, b"done")

    assert await asyncio.wait_for(asyncio.gather(served, stays), 10) == [b"done", b"done"]
    assert leaves.cancelled()


async def test_a_server_that_goes_away_at_once_is_not_asked_in_a_circle(peers, call):
    connections = []

    async def script(peer):
        connections.append(peer)
        peer.core.go_away(last=0)
        peer.write()
        await peer.kind(Reset)

    channel = call(await peers(script))
    failed = [await outcome(channel.call(ECHO, b"", within=5.0)) for _ in range(3)]

    assert {one.status for one in failed} == {Status.UNAVAILABLE}
    assert len(connections) <= len(failed)


@pytest.mark.parametrize("ends", ["time", "cancelled"])
async def test_a_call_that_nobody_waits_for_is_reset(peers, call, ends):
    streams, resets = asyncio.Queue(), asyncio.Queue()

    async def script(peer):
        peer.answer(await asked(peer), b"connected")
        streams.put_nowait(await asked(peer))
        resets.put_nowait(await peer.kind(Reset))

    channel = call(await peers(script))
    await channel.call(ECHO, b"")
    made = asyncio.ensure_future(channel.call(ECHO, b"", within=0.2 if ends == "time" else 30.0))
    await asyncio.wait_for(streams.get(), 10)
    if ends == "cancelled":
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made
    else:
        assert (await outcome(made)).status is Status.DEADLINE_EXCEEDED

    reset = await asyncio.wait_for(resets.get(), 10)

    assert (reset.code, reset.by_peer) == (Code.CANCEL, True)


@pytest.mark.parametrize("alive", [True, False])
async def test_a_server_that_says_nothing_at_all_is_left(peers, call, monkeypatch, until, alive):
    monkeypatch.setattr(calling, "_SIGN_OF_LIFE", 2.0 if alive else 0.1)
    connections = []

    async def script(peer):
        connections.append(peer)
        while True:
            stream = await asked(peer)
            if len(connections) == 2 or stream.id == 1 or (alive and stream.id > 3):
                peer.answer(stream, b"hello")
            elif not alive:
                await asyncio.Event().wait()

    channel = call(await peers(script))
    await channel.call(ECHO, b"")
    late = await outcome(channel.call(ECHO, b"", within=0.1))
    (connection,) = channel._open
    await until(lambda: not connection._probing)

    assert late.status is Status.DEADLINE_EXCEEDED
    assert await channel.call(ECHO, b"", within=10.0) == b"hello"
    assert len(connections) == (1 if alive else 2)


async def test_who_is_not_there_is_not_asked_all_the_time_and_found_again(peers, call, free_ports):
    (port,) = free_ports(1)
    channel = call(port)
    first = await outcome(channel.call(ECHO, b""))
    second = await outcome(channel.call(ECHO, b""))

    assert (first.status, second.status) == (Status.UNAVAILABLE, Status.UNAVAILABLE)
    assert f"cannot connect to localhost:{port}" in first.details
    assert second.details == first.details  # it was not tried again so soon


async def test_a_host_that_has_moved_is_followed_and_calls_under_way_finish(peers, call, until):
    where = ["127.0.0.1"]
    streams = []

    async def slow(peer):
        streams.append((peer, await asked(peer)))
        await peer.kind(Reset)

    channel = call(await peers(slow), address=lambda: where[0])
    made = asyncio.ensure_future(channel.call(ECHO, b""))
    await until(lambda: streams)
    where[0] = "127.0.0.2"
    await channel.look_again()
    moved = await outcome(channel.call(ECHO, b"", within=5.0))
    peer, stream = streams[0]
    peer.answer(stream, b"from before")

    assert await asyncio.wait_for(made, 10) == b"from before"
    assert moved.status is Status.UNAVAILABLE  # nobody listens there


async def test_a_server_that_does_not_speak_http2_is_unavailable(raw_node, call):
    async def speaks_http1(reader, writer):
        await reader.read(24)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    failed = await outcome(call(await raw_node(speaks_http1)).call(ECHO, b""))

    assert failed.status is Status.UNAVAILABLE
