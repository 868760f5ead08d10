"""Traces: the client's go on to the nodes; with OTLP each request and each call is a span."""

import builtins

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orchestrator import protos
from orchestrator.clients.tracing import configured
from orchestrator.errors import SettingsError
from orchestrator.servers.message import Response

Message = protos.message("seldon.protos.SeldonMessage")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
async def collector(node, monkeypatch):
    """A place that takes spans, and the environment that leads there; `spans(running)` gives those that came."""
    taken = await node(lambda request: Response(200, b"", b"application/x-protobuf"))
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS"):
        monkeypatch.delenv(name, raising=False)

    async def spans(running):
        await running.application.tracing.flush()
        found = []
        for request in taken.requests:
            for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                found += [(names["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return found

    spans.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{taken.port}", "OTEL_SERVICE_NAME": "iris"}
    return spans


async def test_the_clients_trace_goes_on_to_every_node_without_any_configuration(node, orchestrate, make_unit):
    below, above = await node(), await node()
    running = await orchestrate(make_unit("a", above.port, children=[make_unit("b", below.port)]))
    sent = {
        "traceparent": TRACEPARENT, "tracestate": "a=b", "b3": f"{TRACE}-{PARENT}-1", "X-B3-TraceId": TRACE,
        "X-B3-SpanId": PARENT, "X-B3-Sampled": "1", "X-Request-Id": "r",
    }  # fmt: skip

    await running.wire.predict({}, **sent)

    for one in (above, below):
        (request,) = one.requests
        assert {name: request.header(name.lower().encode()).decode() for name in sent} == sent


async def test_a_request_and_its_calls_are_spans_of_the_clients_trace(node, orchestrate, make_unit, collector):
    below, above = await node(), await node()
    running = await orchestrate(
        make_unit("a", above.port, children=[make_unit("b", below.port)]), environment=collector.environment
    )

    await running.wire.predict({}, traceparent=TRACEPARENT, tracestate="a=b")
    spans = {span.name + attribute(span, "seldon.node"): span for _, span in await collector(running)}

    assert set(spans) == {"predictions", "/predicta", "/predictb"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert spans["predictions"].parent_span_id.hex() == PARENT
    for name, one in (("/predicta", above), ("/predictb", below)):
        assert spans[name].parent_span_id == spans["predictions"].span_id
        values = [value for key, value in one.requests[0].headers if key == b"traceparent"]
        assert values == [f"00-{TRACE}-{spans[name].span_id.hex()}-01".encode()]
        assert one.requests[0].header(b"tracestate") == b"a=b"
        assert one.requests[0].header(b"seldon-puid")
    assert {service for service, _ in await collector(running)} == {"iris"}


async def test_calls_over_grpc_are_spans_too(rpc_node, orchestrate, remote, rpc, collector):
    async def answer(method, body, context):
        return body

    model = await rpc_node(answer)
    running = await orchestrate(remote("m", model.port), environment=collector.environment)

    await rpc(running, "/seldon.protos.Seldon/Predict", Message(), Message, metadata=(("traceparent", TRACEPARENT),))
    spans = {span.name: span for _, span in await collector(running)}

    assert set(spans) == {"/seldon.protos.Seldon/Predict", "/seldon.protos.Model/Predict"}
    ((_, _, metadata),) = model.calls
    assert metadata["traceparent"] == f"00-{TRACE}-{spans['/seldon.protos.Model/Predict'].span_id.hex()}-01"


async def test_a_failure_is_in_both_spans(orchestrate, make_unit, collector, absent_port):
    running = await orchestrate(make_unit("m", absent_port), environment=collector.environment)

    await running.wire.predict({})
    spans = [span for _, span in await collector(running)]

    assert [span.status.code for span in spans] == [2, 2]
    assert {attribute(span, "error.type") for span in spans} == {"NODE_UNREACHABLE"}


async def test_b3_is_read_and_written_as_jaeger_has_it_asked(node, orchestrate, make_unit, collector):
    model = await node()
    environment = {**collector.environment, "JAEGER_TRACE_PROPAGATION_TYPE": "b3"}
    running = await orchestrate(make_unit("m", model.port), environment=environment)

    await running.wire.predict({}, **{"X-B3-TraceId": TRACE, "X-B3-SpanId": PARENT, "X-B3-Sampled": "1"})
    spans = {span.name: span for _, span in await collector(running)}

    assert spans["predictions"].parent_span_id.hex() == PARENT
    assert model.requests[0].header(b"x-b3-traceid") == TRACE.encode()
    assert model.requests[0].header(b"x-b3-spanid") == spans["/predict"].span_id.hex().encode()


async def test_what_is_not_sampled_is_not_exported_and_nodes_are_told(node, orchestrate, make_unit, collector):
    model = await node()
    environment = {**collector.environment, "JAEGER_SAMPLER_TYPE": "const", "JAEGER_SAMPLER_PARAM": "0"}
    running = await orchestrate(make_unit("m", model.port), environment=environment)

    await running.wire.predict({})

    assert await collector(running) == []
    flags = model.requests[0].header(b"traceparent").rpartition(b"-")[2]
    assert int(flags, 16) & 1 == 0


async def test_a_collector_that_is_away_holds_no_request_up(node, orchestrate, make_unit, absent_port):
    environment = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{absent_port}/v1/traces"}
    running = await orchestrate(make_unit("m", (await node()).port), environment=environment)

    assert [(await running.wire.predict({})).status for _ in range(20)] == [200] * 20


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OTEL_PROPAGATORS": "xray"}, "OTEL_PROPAGATORS: 'xray' is not valid"),
        ({"JAEGER_SAMPLER_TYPE": "remote"}, "JAEGER_SAMPLER_TYPE: 'remote' is not valid"),
        ({"JAEGER_SAMPLER_TYPE": "const", "JAEGER_SAMPLER_PARAM": "2"}, "JAEGER_SAMPLER_PARAM: '2' is not valid"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said(environment, words):
    with pytest.raises(SettingsError, match=words):
        configured({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **environment})


def test_a_missing_sdk_is_said_with_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments):
        if name.startswith("opentelemetry"):
            raise ImportError(name, name=name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set.*seldon-rollouts\[tracing\]"):
        configured({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})


@pytest.mark.parametrize("more", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_it_can_be_switched_off(more):
    assert configured({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **more}) is None


def test_a_jaeger_agent_alone_is_said_to_have_no_effect(caplog):
    assert configured({"JAEGER_AGENT_HOST": "agent"}) is None
    assert "JAEGER_AGENT_HOST has no effect" in caplog.text


def attribute(span, key):
    return "".join(one.value.string_value for one in span.attributes if one.key == key)
