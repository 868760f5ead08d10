"""The server: clients of grpc's own library, and ones that behave as none does."""

import asyncio
import random

import grpc
import grpc.aio
import pytest

from orchestrator.http2 import fields, frames
from orchestrator.http2.faults import Code
from orchestrator.http2.sending import Bounds
from orchestrator.http2.serving import Patience
from orchestrator.http2.status import RpcError, Status
from orchestrator.http2.streams import GoneAway, Head, Reset
from orchestrator.room import Room

ECHO = "/x.Y/Echo"
MIB = 1 << 20


@pytest.fixture
def hanging():
    """A method that never answers, and what is known of its calls."""

    class Hanging:
        begun = ended = 0

        async def __call__(self, body, call):
            self.begun += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.ended += 1

    return Hanging()


# ---------------------------------------------------------------- grpc's own clients


@pytest.mark.parametrize("packing", list(grpc.Compression), ids=lambda packing: packing.name)
async def test_messages_of_all_sizes_and_packings_are_answered(serve, packing):
    server = await serve(limit=8 * MIB)
    channel = server.channel(**{"grpc.max_receive_message_length": 8 * MIB})
    bodies = [b"", b"x", b"y" * 70_000, random.Random(1).randbytes(3 * MIB)]

    answers = [await channel.unary_unary(ECHO)(body, compression=packing) for body in bodies]

    assert answers == bodies


async def test_a_thousand_calls_at_a_time_over_one_connection(serve, until):
    waiting, go = [], asyncio.Event()

    async def slow(body, call):
        waiting.append(body)
        await go.wait()
        return body

    server = await serve({"/x.Y/Slow": slow})
    channel = server.channel()
    calls = [asyncio.ensure_future(channel.unary_unary("/x.Y/Slow")(b"%d" % at)) for at in range(1000)]
    await until(lambda: len(waiting) == 1000)

    go.set()

    assert await asyncio.gather(*calls) == [b"%d" % at for at in range(1000)]
    assert len(server.connections) == 1


async def test_a_handler_knows_its_call_and_says_more_than_its_answer(serve):
    seen = {}

    async def tells(body, call):
        seen.update(metadata=dict(call.metadata), left=call.left, authority=call.authority, method=call.method)
        call.initial = (("first", "1"), ("first-bin", b"\0\1"))
        raise RpcError(Status.ABORTED, "näh\n100%", (("last", "2"), ("last-bin", b"\xff")))

    server = await serve({"/x.Y/Tells": tells})
    call = server.channel().unary_unary("/x.Y/Tells")(b"", timeout=5, metadata=(("a", "b"), ("c-bin", b"\0\xff")))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call

    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.ABORTED, "näh\n100%")
    assert dict(failed.value.initial_metadata()) == {"first": "1", "first-bin": b"\0\1"}
    assert dict(failed.value.trailing_metadata()) == {"last": "2", "last-bin": b"\xff"}
    assert (seen["metadata"]["a"], seen["metadata"]["c-bin"]) == ("b", b"\0\xff")
    assert 0 < seen["left"] < 6  # the client rounds up
    assert (seen["authority"], seen["method"]) == (f"127.0.0.1:{server.port}", "/x.Y/Tells")


async def test_what_fails_is_said_to_its_own_call_alone(serve, caplog):
    async def breaks(body, call):
        raise KeyError("secret")

    server = await serve({"/x.Y/Breaks": breaks}, limit=1000)
    channel = server.channel()
    found = {}
    for method, body in (("/x.Y/Breaks", b""), ("/x.Y/No", b""), (ECHO, bytes(2000))):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary(method)(body)
        found[method] = failed.value.code().name, failed.value.details()

    assert found == {
        "/x.Y/Breaks": ("INTERNAL", "internal error"),
        "/x.Y/No": ("UNIMPLEMENTED", "/x.Y/No is not served"),
        ECHO: ("RESOURCE_EXHAUSTED", "a message of 2000 bytes is longer than the limit of 1000"),
    }
    assert await channel.unary_unary(ECHO)(b"still here") == b"still here"


async def test_a_storm_of_cancellations_leaves_nothing_behind(serve, until):
    chance = random.Random(7)
    under_way = set()

    async def works(body, call):
        me = object()
        under_way.add(me)
        try:
            await asyncio.sleep(chance.random() / 50)
            return body
        finally:
            under_way.discard(me)

    server = await serve({"/x.Y/Works": works})
    channel = server.channel(**{"grpc.max_receive_message_length": MIB})
    calls = [
        asyncio.ensure_future(channel.unary_unary("/x.Y/Works")(bytes(chance.choice((10, 10, 100_000)))))
        for _ in range(400)
    ]
    for one in chance.sample(calls, 250):
        await asyncio.sleep(0)
        one.cancel()
    await asyncio.wait(calls)

    await until(lambda: not under_way and not any(connection.tasks for connection in server.connections))
    (connection,) = server.connections
    assert not connection._core.streams
    assert await channel.unary_unary(ECHO)(b"after") == b"after"


# ---------------------------------------------------------------- clients like no other

ODD = {
    "no message": ({"body": b"", "prefix": b""}, ("INTERNAL", "a call without a message")),
    "a message that is cut short": ({"prefix": b"\0\0\0\0\x09"}, ("INTERNAL", "a message that is cut short")),
    "two messages": (
        {"prefix": b"\0\0\0\0\1x\0\0\0\0\5"}, ("INTERNAL", "more than one message in a call of one")
    ),
    "a flag that there is not": ({"prefix": b"\7\0\0\0\5"}, ("INTERNAL", "a message whose first byte is 7")),
    "packed by nobody": (
        {"prefix": b"\1\0\0\0\5"}, ("INTERNAL", "a packed message, where grpc-encoding says nothing")
    ),
    "packed in an unknown way": (
        {"more": [(b"grpc-encoding", b"snappy")]}, ("UNIMPLEMENTED", "grpc-encoding: 'snappy' is not read")
    ),
    "no time": ({"more": [(b"grpc-timeout", b"soon")]}, ("INTERNAL", "grpc-timeout: 'soon' is no time")),
    "an unknown method": ({"method": "/a.B/C"}, ("UNIMPLEMENTED", "/a.B/C is not served")),
    "none of these": ({}, ("OK", "")),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "said"), ODD.values(), ids=ODD)
async def test_odd_calls_have_an_outcome(serve, asked, said):
    peer = await (await serve()).connect()

    outcome = await peer.outcome(peer.ask(**asked))

    assert outcome[:2] == said


@pytest.mark.parametrize(
    ("kind", "method", "status"), [("text/html", "POST", b"415"), ("application/grpc", "GET", b"405")]
)
async def test_what_is_no_grpc_has_the_answer_of_http(serve, kind, method, status):
    peer = await (await serve()).connect()
    pairs = [(b":method", method.encode()), (b":scheme", b"http"), (b":path", b"/"), (b"content-type", kind.encode())]
    peer.core.open(fields.block(pairs), b"", b"x")
    peer.write()

    answer = await peer.kind(Head)

    assert answer.fields.get(b":status") == status


async def test_a_client_that_resets_or_leaves_ends_its_calls(serve, hanging, until):
    server = await serve({"/x.Y/Hang": hanging})
    first, second = await server.connect(), await server.connect()
    one, _ = first.ask("/x.Y/Hang"), first.ask("/x.Y/Hang")
    second.ask("/x.Y/Hang")
    await until(lambda: hanging.begun == 3)

    first.core.reset(one, Code.CANCEL)
    first.write()
    await until(lambda: hanging.ended == 1)
    second.writer.close()
    await until(lambda: hanging.ended == 2)

    assert (await first.outcome(first.ask()))[0] == "OK"


async def test_calls_beyond_the_bound_are_refused_and_none_of_the_others(serve, hanging, until):
    server = await serve({"/x.Y/Hang": hanging}, bounds=Bounds(streams=3))
    peer = await server.connect()
    for _ in range(3):
        peer.ask("/x.Y/Hang")

    refused = await peer.outcome(peer.ask())

    assert refused[0] == "REFUSED_STREAM"
    await until(lambda: hanging.begun == 3)
    assert hanging.ended == 0


async def test_a_window_that_never_opens_keeps_an_answer_for_a_while_only(serve):
    server = await serve(patience=Patience(answer=0.1))
    peer = await server.connect()
    peer.write(frames.settings({frames.INITIAL_WINDOW_SIZE: 10}))
    stream = peer.ask(body=bytes(1000))

    reset = await peer.until(lambda event: isinstance(event, Reset) and event.stream is stream)

    assert reset.code is Code.CANCEL
    assert not any(connection._core.waits for connection in server.connections)


async def test_a_message_that_does_not_go_on_is_given_up_and_keeps_no_room(serve):
    room = Room(1 << 40)
    server = await serve(patience=Patience(piece=0.1), room=room)
    peer = await server.connect()
    stream = peer.ask(prefix=b"\0\0\4\0\0", body=bytes(10_000), ends=False)  # of 256 KiB

    outcome = await peer.outcome(stream)

    assert (outcome[0], room.held) == ("CANCEL", 0)


async def test_messages_that_do_not_fit_beside_others_are_refused_as_soon_as_they_are_announced(serve, until):
    room = Room(300_000)
    server = await serve(room=room)
    first, second = await server.connect(), await server.connect()
    first.ask(prefix=b"\0\0\4\0\0", body=bytes(10_000), ends=False)
    await until(lambda: room.held)

    outcome = await second.outcome(second.ask(prefix=b"\0\0\5\0\0", body=b"the first", ends=False))

    assert outcome[:2] == ("UNAVAILABLE", "too many bytes of other requests' messages are kept here")
    assert room.held == 10_005


# ---------------------------------------------------------------- parting


async def test_a_server_that_ends_lets_calls_finish_and_takes_no_more(serve, until):
    go = asyncio.Event()

    async def slow(body, call):
        await go.wait()
        return body

    server = await serve({"/x.Y/Slow": slow})
    busy, idle = await server.connect(), await server.connect()
    under_way = busy.ask("/x.Y/Slow")
    await until(lambda: len(server.connections) == 2 and any(one.tasks for one in server.connections))
    closing = asyncio.ensure_future(server.close(30.0))
    await busy.until(lambda event: isinstance(event, GoneAway) and event.last == under_way.id)
    with pytest.raises(ConnectionError):
        await idle.until(lambda event: False)
    late = busy.ask()

    refused = await busy.outcome(late)
    go.set()
    finished = await busy.outcome(under_way)

    assert (refused[0], finished) == ("REFUSED_STREAM", ("OK", "", b"hello"))
    assert await closing is True


async def test_a_server_that_ends_waits_for_so_long_only(serve, hanging, until):
    server = await serve({"/x.Y/Hang": hanging})
    peer = await server.connect()
    peer.ask("/x.Y/Hang")
    await until(lambda: hanging.begun == 1)

    clean = await server.close(0.2)

    assert (clean, hanging.ended) == (False, 1)
