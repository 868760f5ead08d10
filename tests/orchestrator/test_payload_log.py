"""Payloads of nodes as CloudEvents: what is posted, and that it never holds a request up."""

import asyncio
import gzip
import json

import pytest

from orchestrator import protos
from orchestrator.errors import GraphError, SettingsError
from orchestrator.servers.message import Response

Feedback = protos.message("seldon.protos.Feedback")
Message = protos.message("seldon.protos.SeldonMessage")
REQUEST, RESPONSE = "io.seldon.serving.inference.request", "io.seldon.serving.inference.response"
FEEDBACK = "io.seldon.serving.feedback"


@pytest.fixture
async def sink(node):
    """Who the events are posted to."""
    return await node(lambda request: Response(202))


def logged(make_unit, name, port, mode, sink=None, **more):
    url = {"url": f"http://localhost:{sink.port}/events?a=b"} if sink else {}
    return {**make_unit(name, port, **more), "logger": {"mode": mode, **url}}


def event(request):
    headers = {key.decode(): value.decode() for key, value in request.headers}
    return headers["ce-type"], headers["ce-modelid"], request.body


@pytest.mark.parametrize(
    ("mode", "kinds"), [("request", {REQUEST}), ("response", {RESPONSE}), ("all", {REQUEST, RESPONSE})]
)
async def test_what_is_logged_and_with_which_headers(node, sink, orchestrate, make_unit, until, mode, kinds):
    model = await node(lambda request: Response(200, b'{"strData":"answer"}'))
    running = await orchestrate(logged(make_unit, "m", model.port, mode, sink), hostname="pod-1")

    await running.wire.predict({"strData": "question"}, **{"Seldon-Puid": "id-1"})
    await until(lambda: running.application.payload_log.sent == len(kinds))

    found = {event(request)[0]: request for request in sink.requests}
    assert set(found) == kinds
    bodies = {REQUEST: {"strData": "question"}, RESPONSE: {"strData": "answer"}}
    ids = set()
    for kind, request in found.items():
        headers = {key.decode(): value.decode() for key, value in request.headers}
        assert (request.method, request.path, request.query) == (b"POST", b"/events", b"a=b")
        assert json.loads(request.body) == bodies[kind]
        assert headers["content-type"] == "application/json"
        ids.add(headers["ce-id"])
        expected = {
            "ce-specversion": "1.0", "ce-requestid": "id-1", "ce-modelid": "m", "ce-inferenceservicename": "iris",
            "ce-namespace": "ml", "ce-endpoint": "main", "ce-protocol": "seldon", "ce-source": "http://pod-1:0/",
        }  # fmt: skip
        assert {key: headers[key] for key in expected} == expected
    assert len(ids) == len(kinds)


async def test_each_node_is_logged_once_where_it_says_and_others_by_default(node, sink, orchestrate, make_unit, until):
    default = await node(lambda request: Response(200))
    router = await node(lambda request: Response(200, b'{"data":{"ndarray":[1]}}'))
    models = [await node(lambda request, at=at: Response(200, b'{"strData":"%d"}' % at)) for at in range(2)]
    children = [logged(make_unit, f"m{at}", model.port, "all") for at, model in enumerate(models)]
    graph = {
        **make_unit("r", router.port, "ROUTER", children),
        "logger": {"mode": "all", "url": f"localhost:{sink.port}"},
    }
    running = await orchestrate(
        graph,
        environment={"REQUEST_LOGGER_DEFAULT_ENDPOINT": f"http://localhost:{default.port}"},
    )

    await running.wire.predict({"strData": "q"})
    await running.wire.post("/api/v1.0/feedback", {"reward": 1, "response": {"meta": {"routing": {"r": 1}}}})
    await until(lambda: running.application.payload_log.sent == 6)

    answer = b'{"strData":"1"}'
    assert sorted(event(one)[:2] for one in sink.requests) == [(FEEDBACK, "r"), (REQUEST, "r"), (RESPONSE, "r")]
    assert sorted(event(one)[:2] for one in default.requests) == [(FEEDBACK, "m1"), (REQUEST, "m1"), (RESPONSE, "m1")]
    assert [event(one)[2] for one in sink.requests if event(one)[0] == RESPONSE] == [answer]


@pytest.mark.parametrize("value", ["true", "on", "1", "TRUE"])
async def test_a_client_may_ask_not_to_be_logged(node, sink, orchestrate, make_unit, until, value):
    running = await orchestrate(logged(make_unit, "m", (await node()).port, "request", sink))

    await running.wire.predict({"strData": "secret"}, **{"Seldon-Skip-Logging": value})
    await running.wire.predict({"strData": "known"}, **{"Seldon-Skip-Logging": "false"})
    await until(lambda: running.application.payload_log.sent == 1)

    assert [json.loads(one.body) for one in sink.requests] == [{"strData": "known"}]


async def test_compressed_payloads_are_logged_readable(node, sink, orchestrate, make_unit, until):
    zipped = Response(200, gzip.compress(b'{"strData":"zipped"}'), headers=b"Content-Encoding: gzip\r\n")
    running = await orchestrate(logged(make_unit, "m", (await node(lambda _: zipped)).port, "response", sink))

    await running.wire.predict({})
    await until(lambda: sink.requests)

    assert sink.requests[0].body == b'{"strData":"zipped"}'


async def test_messages_over_grpc_are_logged_as_json(rpc_node, sink, orchestrate, remote, rpc, until):
    async def answer(method, body, context):
        return Message(strData="answer").SerializeToString()

    graph = {**remote("m", (await rpc_node(answer)).port), "logger": {"mode": "all", "url": f"localhost:{sink.port}"}}
    running = await orchestrate(graph)

    await rpc(running, "/seldon.protos.Seldon/Predict", Message(strData="q"), Message, metadata=(("seldon-puid", "x"),))
    feedback = Feedback(reward=0.5, request=Message(strData="q"))
    await rpc(running, "/seldon.protos.Seldon/SendFeedback", feedback, Message, metadata=(("seldon-puid", "x"),))
    await until(lambda: running.application.payload_log.sent == 3)

    found = {event(request)[0]: json.loads(request.body) for request in sink.requests}
    assert found[REQUEST]["strData"] == "q"
    assert found[RESPONSE]["strData"] == "answer"
    assert (found[FEEDBACK]["reward"], found[FEEDBACK]["request"]["strData"]) == (0.5, "q")
    assert {request.header(b"ce-requestid") for request in sink.requests} == {b"x"}


async def test_a_sink_that_hangs_holds_no_request_up_and_what_does_not_fit_is_counted(
    raw_node, node, orchestrate, make_unit
):
    async def hang(reader, writer):
        await asyncio.Event().wait()

    url = f"http://localhost:{await raw_node(hang)}"
    graph = {**make_unit("m", (await node()).port), "logger": {"mode": "all", "url": url}}
    running = await orchestrate(graph, logger_workers=2, log_work_buffer_size=5)

    answers = [await running.wire.predict({"at": at}) for at in range(20)]

    queue = running.application.payload_log
    assert [answer.status for answer in answers] == [200] * 20
    assert (queue.waiting, queue.sent) == (5, 0)
    metrics = await running.wire.metrics()
    assert metrics["seldon_api_executor_payload_log_dropped_total"] == 33  # of 40: two are being posted, five wait
    assert metrics["seldon_api_executor_payload_log_waiting"] == 5


@pytest.mark.parametrize("trouble", ["refuses", "answers 500", "is too slow"])
async def test_what_a_sink_does_not_take_is_counted(
    node, raw_node, orchestrate, make_unit, absent_port, until, trouble
):
    async def hang(reader, writer):
        await asyncio.Event().wait()

    if trouble == "refuses":
        found = absent_port
    elif trouble == "is too slow":
        found = await raw_node(hang)
    else:
        found = (await node(lambda request: Response(500))).port
    graph = {**make_unit("m", (await node()).port), "logger": {"mode": "request", "url": f"localhost:{found}"}}
    running = await orchestrate(graph, log_write_timeout_ms=100)

    answer = await running.wire.predict({})
    await until(lambda: running.application.payload_log.failed == 1)

    assert answer.status == 200


def test_a_mode_that_is_none_is_said(make_unit):
    from orchestrator.graph.parse import parse

    with pytest.raises(
        GraphError, match=r"graph\.logger\.mode: 'loud' is not valid; expected all, request or response"
    ):
        parse({"graph": {**make_unit("m", 1), "logger": {"mode": "loud"}}})


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port"])
async def test_a_logger_without_a_place_to_log_to_is_said(orchestrate, make_unit, url):
    with pytest.raises(SettingsError, match="logger of node 'm'"):
        await orchestrate({**make_unit("m", 1), "logger": {"mode": "all", "url": url}})
