"""Payloads of nodes in a topic: what is written, and that a broker's troubles are nobody's but its own."""

import asyncio
import json

import pytest
from mockbroker import Wire

from orchestrator.clients import logtopic
from orchestrator.errors import SettingsError
from orchestrator.servers.message import Response
from orchestrator.settings import read
from orchestrator.topics import log_topic

REQUEST, RESPONSE = "io.seldon.serving.inference.request", "io.seldon.serving.inference.response"


def logged(unit, mode="all", **more):
    return {**unit, "logger": {"mode": mode, **more}}


def to(topics, broker, **more):
    return {"log_kafka_broker": broker, "log_kafka_topic": topics.target, **more}


async def test_an_event_has_upstreams_headers_and_those_of_cloudevents(
    node, orchestrate, make_unit, until, topics, broker
):
    model = await node(lambda request: Response(200, b'{"strData":"answer"}'))
    running = await orchestrate(logged(make_unit("m", model.port)), hostname="pod-1", **to(topics, broker))

    await running.wire.predict({"strData": "question"}, **{"Seldon-Puid": "id-1"})
    await until(lambda: len(topics.answers) == 2)

    found = {dict(one.headers)["type"].decode(): one for one in topics.answers}
    assert {kind: json.loads(one.value) for kind, one in found.items()} == {
        REQUEST: {"strData": "question"}, RESPONSE: {"strData": "answer"},
    }  # fmt: skip
    for kind, one in found.items():
        headers = {name: value.decode() for name, value in one.headers}
        upstream = {
            "type": kind, "content-type": "application/json", "modelid": "m", "requestid": "id-1",
            "inferenceservicename": "iris", "namespace": "ml", "endpoint": "main", "protocol": "seldon",
        }  # fmt: skip
        event = {
            "ce_specversion": "1.0", "ce_type": kind, "ce_source": "http://pod-1:0/", "ce_modelid": "m",
            "ce_requestid": "id-1", "ce_inferenceservicename": "iris", "ce_namespace": "ml", "ce_endpoint": "main",
            "ce_protocol": "seldon",
        }  # fmt: skip
        assert {name: headers.pop(name) for name in upstream} == upstream
        assert {name: headers.pop(name) for name in event} == event
        assert set(headers) == {"ce_id", "ce_time"}
        assert one.key == b"id-1"
    assert len({dict(one.headers)["ce_id"] for one in topics.answers}) == 2
    assert len({one.partition for one in topics.answers}) == 1
    metrics = await running.wire.metrics()
    assert metrics["seldon_api_executor_payload_log_sent_total"] == 2


async def test_all_nodes_log_to_the_topic_whatever_url_they_have(node, orchestrate, make_unit, until, topics, broker):
    elsewhere = await node(lambda request: Response(202))
    second = logged(make_unit("b", (await node()).port), "request", url=f"localhost:{elsewhere.port}")
    graph = logged(make_unit("a", (await node()).port, "MODEL", [second]), "request")
    running = await orchestrate(graph, **to(topics, broker))

    await running.wire.predict({})
    await until(lambda: len(topics.answers) == 2)

    assert {dict(one.headers)["modelid"] for one in topics.answers} == {b"a", b"b"}
    assert elsewhere.requests == []


async def test_requests_are_answered_without_the_broker_and_logged_when_it_comes(
    node, orchestrate, make_unit, until, topics, broker
):
    wire = Wire(broker)
    await wire.mend()
    await wire.cut()
    graph = logged(make_unit("m", (await node()).port), "request")
    running = await orchestrate(graph, log_write_timeout_ms=100, **to(topics, wire.address))
    queue = running.application.payload_log

    answers = [await running.wire.predict({"at": at}) for at in range(3)]
    await until(lambda: queue.failed == 3)
    ready = await running.wire.get("/ready")
    await wire.mend()

    async def logs():
        await running.wire.predict({"at": "last"})
        return queue.sent

    await until(logs)
    await until(lambda: topics.answers)
    assert [answer.status for answer in (*answers, ready)] == [200] * 4
    assert json.loads(topics.answers[0].value) == {"at": "last"}
    await running.application.stop()
    await wire.cut()


async def test_a_broker_that_hangs_holds_no_request_up_and_what_does_not_fit_is_counted(
    raw_node, node, orchestrate, make_unit
):
    async def hang(reader, writer):
        await asyncio.Event().wait()

    graph = logged(make_unit("m", (await node()).port))
    said = {"logger_workers": 1, "log_work_buffer_size": 5, "log_write_timeout_ms": 60_000}
    running = await orchestrate(graph, log_kafka_broker=f"127.0.0.1:{await raw_node(hang)}", **said)

    answers = [await running.wire.predict({"at": at}) for at in range(60)]

    assert [answer.status for answer in answers] == [200] * 60
    metrics = await running.wire.metrics()
    name = "seldon_api_executor_payload_log_{}"
    assert metrics[name.format("waiting")] == 5
    assert metrics[name.format("dropped_total")] == 15  # of 120: a hundred are under way, five wait


async def test_a_client_of_the_broker_that_has_given_up_is_replaced(
    node, orchestrate, make_unit, until, topics, broker, monkeypatch, caplog
):
    graph = logged(make_unit("m", (await node()).port), "request")
    running = await orchestrate(graph, **to(topics, broker))
    queue = running.application.payload_log
    await running.wire.predict({})
    await until(lambda: queue.sent == 1)
    first = queue._sinks._producer

    async def garbage(*_):
        raise ValueError("nobody understands this")

    monkeypatch.setattr(first.client, "send", garbage)
    await running.wire.predict({})
    await until(lambda: queue.failed == 1)
    await until(lambda: queue._sinks._producer not in {first, None})
    await running.wire.predict({})
    await until(lambda: len(topics.answers) == 2)

    assert queue.sent == 2
    assert "nobody understands this" in caplog.text


async def test_what_waits_at_the_end_is_written(node, orchestrate, make_unit, until, topics, broker):
    running = await orchestrate(logged(make_unit("m", (await node()).port)), **to(topics, broker))
    await running.wire.predict({})

    await running.application.stop()

    assert running.application.payload_log.sent == 2
    await until(lambda: len(topics.answers) == 2)


NEEDED = ["--sdep", "s", "--namespace", "n", "--predictor", "p"]
ENVIRONMENT = {"ENGINE_PREDICTOR": "e30="}  # {}


def test_flags_win_over_variables_and_the_topic_has_upstreams_name():
    said = {**ENVIRONMENT, "LOGGER_KAFKA_BROKER": "a:1,[::1]:2", "KAFKA_SECURITY_PROTOCOL": "ssl"}
    flags = ["--log_kafka_broker", "b:9092", "--log_kafka_topic", "t"]

    by_variables = read(NEEDED, said).log_topic
    by_flags = read([*NEEDED, *flags], {**said, "LOGGER_KAFKA_TOPIC": "u"}).log_topic

    assert (by_variables.brokers, by_variables.name, by_variables.security.protocol) == ("a:1,[::1]:2", "seldon", "SSL")
    assert (by_flags.brokers, by_flags.name) == ("b:9092", "t")
    assert read(NEEDED, {**ENVIRONMENT, "LOGGER_KAFKA_TOPIC": "u"}).log_topic is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"LOGGER_KAFKA_BROKER": "kafka"}, "LOGGER_KAFKA_BROKER: 'kafka' is not valid; expected host:port"),
        ({"LOGGER_KAFKA_BROKER": "k:1,"}, "LOGGER_KAFKA_BROKER: 'k:1,' is not valid"),
        ({"LOGGER_KAFKA_BROKER": "k:1", "LOGGER_KAFKA_TOPIC": "a b"}, "LOGGER_KAFKA_TOPIC: 'a b' is not valid"),
        ({"LOGGER_KAFKA_BROKER": "k:1", "KAFKA_SECURITY_PROTOCOL": "tls"}, "KAFKA_SECURITY_PROTOCOL: 'tls'"),
    ],
)
def test_what_cannot_be_a_place_to_log_to_is_said(said, message):
    with pytest.raises(SettingsError) as raised:
        log_topic({}, said)

    assert str(raised.value).startswith(message)


async def test_certificates_that_cannot_be_used_are_said_at_the_start(orchestrate, make_unit):
    security = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_CERT": "none"}

    with pytest.raises(SettingsError, match=r"KAFKA_SSL_\*: the certificates cannot be used"):
        await orchestrate(logged(make_unit("m", 1)), log_kafka_broker="127.0.0.1:1", environment=security)


async def test_a_graph_that_logs_nothing_asks_for_no_broker(node, orchestrate, make_unit, monkeypatch):
    monkeypatch.setattr(logtopic, "TopicLog", None)

    running = await orchestrate(make_unit("m", (await node()).port), log_kafka_broker="127.0.0.1:1")

    assert (await running.wire.predict({})).status == 200
