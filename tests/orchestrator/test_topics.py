"""Topics in front of a graph, at a broker: answers, refusals, a broker that goes away, an end that loses nothing."""

import asyncio
import json

import pytest
from mockbroker import NoText, Wire, ask_in_one_batch

from orchestrator.servers import streaming
from orchestrator.servers.message import Response


@pytest.fixture
def stream(orchestrate, topics, broker):
    """Start an orchestrator of a graph between the two topics."""

    async def start(graph, address=broker, **flags):
        flags = {"kafka_auto_commit": "false", "namespace": topics.source, **flags}  # a group of this test alone
        said = {"kafka_broker": address, "kafka_input_topic": topics.source, "kafka_output_topic": topics.target}
        return await orchestrate(graph, server_type="kafka", **said, **flags)

    return start


async def test_an_answer_has_the_key_and_the_headers_of_its_message(stream, topics, node, make_unit, until):
    served = await node()
    running = await stream(make_unit("m", served.port))

    await topics.ask(b'{"data":{"ndarray":[[1]]}}', b"k", headers=[("Seldon-Puid", b"p-1"), ("trace", b"t")])
    (answer,) = await until(lambda: topics.answers)

    headers = dict(answer.headers)
    assert (answer.key, json.loads(answer.value)) == (b"k", {"data": {"ndarray": [[1]]}})
    assert (headers["Seldon-Puid"], headers["trace"], headers["content-type"]) == (b"p-1", b"t", b"application/json")
    assert headers["Seldon-Source"].startswith(topics.source.encode())
    assert "Seldon-Error" not in headers
    asked = served.requests[0]
    assert (asked.path, asked.header(b"seldon-puid"), asked.header(b"trace")) == (b"/predict", b"p-1", b"t")
    seen = await running.wire.metrics()
    assert seen["seldon_api_executor_kafka_messages_answered_total"] == 1
    assert (await running.wire.get("/ready")).status == 200


async def test_what_cannot_be_predicted_is_told_and_the_next_goes_on(stream, topics, node, make_unit, until):
    def picky(request):
        good = b"bad" not in request.body
        return Response(200 if good else 400, request.body if good else b'{"status":{"info":"no"}}')

    served = await node(picky)
    running = await stream(make_unit("m", served.port), kafka_workers=1, max_body=200)

    for value, key in ((b"bad", b"1"), (None, b"2"), (b"[" + 300 * b" " + b"]", b"3"), (b"{}", b"4")):
        await topics.ask(value, key, partition=0)
    await until(lambda: len(topics.answers) == 4)

    told = {answer.key: (dict(answer.headers), answer.value) for answer in topics.answers}
    assert [told[key][0].get("Seldon-Error") for key in (b"1", b"2", b"3", b"4")] == [
        b"NODE_ERROR",
        b"BAD_PAYLOAD",
        b"MESSAGE_TOO_LONG",
        None,
    ]
    assert (told[b"1"][0]["Seldon-Status"], told[b"1"][1]) == (b"400", b'{"status":{"info":"no"}}')
    assert json.loads(told[b"2"][1])["status"]["code"] == 400
    seen = await running.wire.metrics()
    name = "seldon_api_executor_kafka_messages_{}_total"
    assert [seen[name.format(each)] for each in ("read", "answered", "refused", "dropped")] == [4, 1, 3, 0]


async def test_what_nobody_foresaw_is_told_and_reading_goes_on(
    stream, topics, node, make_unit, until, monkeypatch, caplog
):
    made = streaming.broker.consumer

    def fails_once(*said):
        consumer = made(*said)
        monkeypatch.undo()

        async def getone():
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(consumer, "getone", getone)
        return consumer

    monkeypatch.setattr(streaming.broker, "consumer", fails_once)
    served = await node()
    await stream(make_unit("m", served.port))

    await topics.ask(b"{}", b"k")
    (answer,) = await until(lambda: topics.answers)

    assert (answer.key, answer.value) == (b"k", b"{}")
    assert "nobody foresaw this" in caplog.text


async def test_a_client_of_the_broker_that_has_given_up_costs_no_answer(
    stream, topics, node, make_unit, until, monkeypatch, caplog
):
    running = await stream(make_unit("m", (await node()).port))
    await topics.ask(b"1", b"k")
    await until(lambda: topics.answers)
    first = running.application._streaming._producer

    async def garbage(*_):
        raise ValueError("nobody understands this")

    monkeypatch.setattr(first.client, "send", garbage)
    for value in (b"2", b"3", b"4"):
        await topics.ask(value, b"k")
    await until(lambda: len(topics.answers) == 4)

    assert sorted(answer.value for answer in topics.answers) == [b"1", b"2", b"3", b"4"]
    assert running.application._streaming._producer is not first
    assert "nobody understands this" in caplog.text


async def test_a_message_with_a_header_that_is_no_text_is_told_and_the_next_goes_on(
    stream, topics, broker, node, make_unit, until
):
    served = await node()
    running = await stream(make_unit("m", served.port), kafka_workers=1)

    await topics.ask(b"1", b"1", partition=1)
    await ask_in_one_batch(broker, topics.source, 2, (b"2", "a"), (b"3", NoText("b")), (b"4", "c"))
    await topics.ask(b"5", b"5", partition=2)
    await topics.ask(b"6", b"6", partition=1)
    await until(lambda: len(topics.answers) == 6)

    answered = {answer.value for answer in topics.answers if "Seldon-Error" not in dict(answer.headers)}
    refused = [dict(answer.headers) for answer in topics.answers if "Seldon-Error" in dict(answer.headers)]
    assert answered == {b"1", b"2", b"5", b"6"}
    assert {told["Seldon-Error"] for told in refused} == {b"UNREADABLE"}
    places = {told["Seldon-Source"].decode() for told in refused}
    assert places == {f"{topics.source}/2/1", f"{topics.source}/2/2"}
    seen = await running.wire.metrics()
    assert seen["seldon_api_executor_kafka_messages_refused_total"] == 2
    await running.application.stop()
    assert await topics.committed(broker, f"main.iris.{topics.source}") == [None, 2, 4, None]


async def test_a_message_whose_node_is_away_waits_for_it(stream, topics, raw_node, make_unit, until):
    seen = []

    async def leaves_twice(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"POST"):
                seen.append(head)
                if len(seen) < 3:
                    return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")

    await stream(make_unit("m", await raw_node(leaves_twice)))

    await topics.ask(b"{}", b"k")
    (answer,) = await until(lambda: topics.answers)

    assert answer.value == b"{}"


async def test_an_answer_that_the_topic_does_not_take_is_told(stream, topics, node, make_unit, until):
    served = await node()
    await stream(make_unit("m", served.port), max_body=1000)

    await topics.ask(b"{}", b"k", headers=[("long", b"y" * 70_000)])
    (answer,) = await until(lambda: topics.answers)

    assert dict(answer.headers)["Seldon-Error"] == b"MESSAGE_TOO_LONG"
    assert (answer.key, json.loads(answer.value)["status"]["code"]) == (b"k", 413)


async def test_a_graph_is_asked_in_protobuf_where_a_message_names_one(stream, topics, rpc_node, make_unit, until):
    async def echo(method, body, context):
        return body

    served = await rpc_node(echo)
    unit = make_unit("m") | {"endpoint": {"service_host": "localhost", "grpcPort": served.port, "type": "GRPC"}}
    await stream(unit)

    await topics.ask(b"\x12\x00", headers=[("proto-name", b"seldon.protos.SeldonMessage")])
    (answer,) = await until(lambda: topics.answers)

    assert (answer.value, dict(answer.headers)["content-type"]) == (b"\x12\x00", b"application/x-protobuf")
    assert served.methods == ["Model/Predict"]


async def test_a_broker_that_goes_away_and_comes_back_costs_no_answer(stream, topics, node, make_unit, until, broker):
    wire = Wire(broker)
    await wire.mend()
    served = await node()
    running = await stream(make_unit("m", served.port), wire.address)
    await topics.ask(b"1")
    await until(lambda: topics.answers)

    await wire.cut()
    for value in (b"2", b"3"):
        await topics.ask(value)
    answered = await running.wire.predict({})
    ready = await running.wire.get("/ready")
    await wire.mend()
    await until(lambda: len(topics.answers) >= 3)

    assert (answered.status, ready.status) == (200, 200)
    assert {answer.value for answer in topics.answers} == {b"1", b"2", b"3"}
    await running.application.abort()
    await wire.cut()


async def test_an_orchestrator_is_not_ready_before_it_reached_its_broker(stream, node, make_unit, until, broker):
    wire = Wire(broker)
    await wire.mend()
    await wire.cut()
    served = await node()
    running = await stream(make_unit("m", served.port), wire.address)

    said = await until(lambda: _not_ready(running))
    answered = await running.wire.predict({})
    await wire.mend()
    await until(lambda: _ready(running))

    assert f"kafka at {wire.address}" in said
    assert answered.status == 200
    await running.application.abort()
    await wire.cut()


async def _ready(running):
    return (await running.wire.get("/ready")).status == 200


async def _not_ready(running):
    found = await running.wire.get("/ready")
    return found.status == 503 and "Connect" in (info := found.json()["status"]["info"]) and info


async def test_an_end_answers_what_is_under_way_and_the_next_one_goes_on_there(
    stream, topics, node, make_unit, until, broker
):
    let = asyncio.Event()

    async def slow(request):
        if request.method == b"POST":
            await let.wait()
        return Response(200, request.body)

    served = await node(slow)
    running = await stream(make_unit("m", served.port), kafka_workers=2, kafka_auto_commit="true")
    for number in range(6):
        await topics.ask(b"%d" % number, partition=0)
    await until(lambda: [each for each in served.requests if each.method == b"POST"][1:])

    ending = asyncio.create_task(running.application.stop())
    await until(lambda: running.application.doors.draining)
    let.set()

    assert await ending is True
    await until(lambda: len(topics.answers) == 2)
    assert sorted(answer.value for answer in topics.answers) == [b"0", b"1"]
    assert await topics.committed(broker, f"main.iris.{topics.source}") == [2, None, None, None]


async def test_what_is_not_answered_at_the_end_is_left_to_the_next_one(stream, topics, node, make_unit, until, broker):
    let = asyncio.Event()

    async def stuck(request):
        if request.body == b"2":
            await let.wait()
        return Response(200, request.body)

    served = await node(stuck)
    running = await stream(make_unit("m", served.port), graceful_timeout="50ms")
    for value in (b"1", b"2", b"3"):
        await topics.ask(value, partition=0)
    await until(lambda: len(topics.answers) == 2)

    clean = await running.application.stop()
    let.set()

    assert clean is False
    assert await topics.committed(broker, f"main.iris.{topics.source}") == [1, None, None, None]
