"""Long answers that are the next node's requests: handed on piece by piece, where nobody has to look at them."""

import asyncio
import gzip
import hashlib
import json

import pytest
from longbodies import LONG, MIB, OK, head, node_head, unchunked

from orchestrator.servers.message import Response

FLOWING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(LONG)


def chain(unit, shape, first, second):
    """A graph in which what the first node answers is what the second one is asked."""
    return {
        "a chain": lambda: unit("a", first, "TRANSFORMER", [unit("b", second)]),
        "a model's output transformed": lambda: unit("b", second, "OUTPUT_TRANSFORMER", [unit("a", first)]),
    }[shape]()


@pytest.mark.parametrize("shape", ["a chain", "a model's output transformed"])
async def test_the_next_node_reads_before_the_one_before_has_sent_it_all(raw_node, orchestrate, make_unit, shape):
    read = asyncio.Event()
    seen = []

    async def first(reader, writer):
        await node_head(reader)
        await reader.readexactly(2)
        writer.write(FLOWING + LONG[:MIB])
        await read.wait()
        writer.write(LONG[MIB:])

    async def second(reader, writer):
        await node_head(reader)
        begin = await reader.readexactly(MIB // 2)
        read.set()
        seen.append(begin + await reader.readexactly(len(LONG) - len(begin)))
        writer.write(OK)

    running = await orchestrate(chain(make_unit, shape, await raw_node(first), await raw_node(second)))
    answer = await asyncio.wait_for(running.wire.predict({}), 10)

    assert (answer.status, answer.body) == (200, b"{}")
    assert seen == [LONG]


async def test_a_body_goes_through_three_nodes_as_it_is_again_and_again(node, orchestrate, make_unit):
    echo = await node(lambda request: Response(200, request.body, b"application/octet-stream"))
    last = await node(lambda request: Response(200, hashlib.sha256(request.body).hexdigest().encode()))
    graph = make_unit("a", echo.port, "TRANSFORMER", [make_unit("b", echo.port, "MODEL", [make_unit("c", last.port)])])
    running = await orchestrate(graph)

    answers = [await running.wire.predict(body) for body in (LONG, b"{}", LONG, LONG)]

    assert [one.body.decode() for one in answers] == [
        hashlib.sha256(body).hexdigest() for body in (LONG, b"{}", LONG, LONG)
    ]
    metrics = await running.wire.metrics()
    calls = [
        value for name, value in metrics.items() if "client_requests_seconds_count" in name and 'code="200"' in name
    ]
    assert calls == [4, 4, 4]


async def test_a_node_that_dies_in_its_answer_is_named_though_the_next_one_reads_it(raw_node, orchestrate, make_unit):
    async def first(reader, writer):
        await node_head(reader)
        writer.write(FLOWING + LONG[:MIB])

    async def second(reader, writer):
        while await reader.read(1 << 16):
            pass

    graph = chain(make_unit, "a chain", await raw_node(first), await raw_node(second))
    answer = await (await orchestrate(graph)).wire.predict({})

    assert answer.status == 500
    status = answer.json()["status"]
    assert status["reason"] == "NODE_BAD_REPLY"
    assert "node 'a'" in status["info"]


async def test_what_the_next_node_does_not_read_holds_nobody_up(raw_node, orchestrate, make_unit, until):
    gone = asyncio.Event()

    async def first(reader, writer):
        await node_head(reader)
        await reader.readexactly(2)
        writer.write(FLOWING)
        try:
            for at in range(0, len(LONG), 1 << 16):
                writer.write(LONG[at : at + (1 << 16)])
                await writer.drain()
            await reader.read()
        finally:
            gone.set()

    async def second(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(60)

    graph = chain(make_unit, "a chain", await raw_node(first), await raw_node(second))
    running = await orchestrate(graph)
    answer = await running.wire.predict({})

    assert (answer.status, answer.body) == (422, b"no")
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_client_that_leaves_ends_both_calls(raw_node, orchestrate, make_unit):
    gone, reading = [asyncio.Event(), asyncio.Event()], asyncio.Event()

    async def first(reader, writer):
        await node_head(reader)
        await reader.readexactly(2)
        writer.write(FLOWING + LONG[:MIB])
        await reader.read()
        gone[0].set()

    async def second(reader, writer):
        await node_head(reader)
        await reader.readexactly(MIB // 2)
        reading.set()
        while await reader.read(1 << 16):
            pass
        gone[1].set()

    running = await orchestrate(chain(make_unit, "a chain", await raw_node(first), await raw_node(second)))
    _, writer = await running.wire.connect()
    writer.write(head(b"Content-Length: 2") + b"{}")
    await asyncio.wait_for(reading.wait(), 5)
    writer.transport.abort()

    for one in gone:
        await asyncio.wait_for(one.wait(), 5)


V2 = ("v2", "/v2/models/infer", b'{"outputs":[', b'{"inputs":[')
TENSORFLOW = ("tensorflow", "/v1/models:predict", b'{"predictions":[', b'{"instances":[')
NUMBERS = b"1.5," * (MIB // 2)


@pytest.mark.parametrize("shape", ["a chain", "a model's output transformed"])
@pytest.mark.parametrize(("protocol", "path", "answers", "asks"), [V2, TENSORFLOW])
async def test_a_reply_is_turned_into_a_request_while_it_comes(
    raw_node, orchestrate, make_unit, shape, protocol, path, answers, asks
):
    read = asyncio.Event()
    seen = []

    async def first(reader, writer):
        await node_head(reader)
        await reader.readexactly(2)
        body = answers + NUMBERS + b'2],"id":"7"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:MIB])
        await read.wait()
        writer.write(body[MIB:])

    async def second(reader, writer):
        heads = await node_head(reader)
        size = int(await reader.readline(), 16)
        begin = await reader.readexactly(size + 2)
        read.set()
        seen.extend([heads, begin[:-2] + await unchunked(reader)])
        writer.write(OK)

    graph = chain(make_unit, shape, await raw_node(first), await raw_node(second))
    running = await orchestrate(graph, protocol=protocol)
    answer = await asyncio.wait_for(running.wire.post(path, {}), 10)

    assert (answer.status, answer.body) == (200, b"{}")
    assert seen[1] == asks + NUMBERS + (b'2],"id":"7"}' if protocol == "v2" else b"2]}")
    assert b"Content-Type: application/json\r\n" in seen[0]


@pytest.mark.parametrize(
    ("end", "info"),
    [
        (b"2]", "the body is no JSON"),
        (b'2],"id":nothing}', "the body is no JSON"),
        (b"2]}}", "the body is no JSON"),
    ],
)
@pytest.mark.parametrize(("protocol", "path", "answers"), [V2[:3], TENSORFLOW[:3]])
async def test_a_reply_that_turns_out_to_be_no_json_is_told_as_a_short_one_is(
    node, orchestrate, make_unit, protocol, path, answers, end, info
):
    bodies = [answers + NUMBERS + end, answers + end]
    first = await node(lambda _: Response(200, bodies.pop(0)))
    last = await node()
    graph = make_unit("a", first.port, "TRANSFORMER", [make_unit("b", last.port)])
    running = await orchestrate(graph, protocol=protocol)

    long, short = [await running.wire.post(path, {}) for _ in range(2)]

    assert (long.status, short.status) == (400, 400)
    assert long.json()["status"]["reason"] == short.json()["status"]["reason"] == "BAD_PAYLOAD"
    assert all(answer.json()["status"]["info"].startswith(info) for answer in (long, short))
    assert not last.requests


@pytest.mark.parametrize("how", ["gzip", "bytes behind the JSON", "neither early", "a request already"])
async def test_a_long_reply_that_cannot_be_turned_as_it_comes_is_turned_whole(node, orchestrate, make_unit, how):
    tail = bytes(MIB)
    body = b'{"model_name":"m","outputs":[%b2]}' % NUMBERS
    headers, asks = b"", b'{"inputs":[%b2]}' % NUMBERS
    if how == "gzip":
        asks = LONG.hex().encode().join([b'{"inputs":["', b'"]}'])
        body, headers = gzip.compress(asks.replace(b"inputs", b"outputs"), 1), b"Content-Encoding: gzip\r\n"
    elif how == "bytes behind the JSON":
        tensor = b'{"name":"x","datatype":"UINT8","parameters":{"binary_data_size":%d}}' % len(tail)
        body = b'{"outputs":[%b]}' % tensor
        headers = b"Inference-Header-Content-Length: %d\r\n" % len(body)
        body, asks = body + tail, b'{"parameters":{"binary_data_output":true},"inputs":[%b]}%b' % (tensor, tail)
    elif how == "neither early":
        body = b'{"other":"%b","outputs":[%b2]}' % (LONG.hex().encode(), NUMBERS)
    else:
        body = asks = b'{"model_name":"m","inputs":[%b2],"outputs":[]}' % NUMBERS
    first = await node(lambda _: Response(200, body, headers=headers))
    last = await node(lambda _: Response(200))
    graph = make_unit("a", first.port, "TRANSFORMER", [make_unit("b", last.port)])
    running = await orchestrate(graph, protocol="v2")

    answer = await running.wire.post("/v2/models/infer", {})

    assert answer.status == 200
    found = last.requests[0].body
    split = -len(tail) if how == "bytes behind the JSON" else None
    assert json.loads(found[:split]) == json.loads(asks[:split])
    assert found[split or len(found) :] == asks[split or len(asks) :]


@pytest.mark.parametrize("size", [20])
async def test_a_large_message_goes_through_a_chain_over_grpc(rpc_node, orchestrate, remote, rpc, size):
    from orchestrator import protos

    kind = protos.message("seldon.protos.SeldonMessage")

    async def echo(method, body, context):
        return body

    port = (await rpc_node(echo, limit=-1)).port
    running = await orchestrate(remote("a", port, "TRANSFORMER", [remote("b", port)]))
    message = kind(binData=b"x" * (size * MIB))

    answer = await rpc(running, "/seldon.protos.Seldon/Predict", message, kind, limit=-1)

    assert len(answer.binData) == size * MIB
