"""gRPC when things go wrong, and what is said of it: statuses, deadlines, limits, counts, health and reflection."""

import asyncio

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from messages import SELDON, Message, tensor

from orchestrator.servers.message import Response


async def echo(method, body, context):
    return body


# ---------------------------------------------------------------- failures, limits, counts


async def test_a_nodes_own_status_reaches_the_client_unchanged(rpc_node, orchestrate, remote, rpc):
    async def refuses(method, body, context):
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today", (("why", "rain"),))

    node = await rpc_node(refuses)
    running = await orchestrate(remote("m", node.port))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message)
    over_rest = await running.wire.predict({"strData": "x"})

    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today")
    assert dict(failed.value.trailing_metadata())["why"] == "rain"
    assert over_rest.status == 400
    assert "FAILED_PRECONDITION: not today" in over_rest.json()["status"]["info"]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INVALID_ARGUMENT"), (404, "NOT_FOUND"), (503, "UNAVAILABLE"), (500, "UNKNOWN")]
)
async def test_a_rest_nodes_status_is_told_over_grpc(node, orchestrate, make_unit, rpc, status, code):
    near = await node(lambda request: Response(status, b'{"status":{"info":"my words"}}'))
    running = await orchestrate(make_unit("m", near.port))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message)

    assert (failed.value.code().name, failed.value.details()) == (code, f"status {status}: my words")


async def test_a_node_that_is_not_there_is_unavailable(orchestrate, remote, rpc, absent_port):
    running = await orchestrate(remote("m", absent_port))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message)
    over_rest = await running.wire.predict({"strData": "x"})

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (over_rest.status, over_rest.json()["status"]["reason"]) == (500, "NODE_UNREACHABLE")
    assert (await running.wire.get("/ready")).status == 503


async def hangs(method, body, context):
    await asyncio.Event().wait()


async def test_the_clients_deadline_goes_on_to_the_node(rpc_node, orchestrate, remote, rpc, until):
    left = []

    async def hang(method, body, context):
        left.append(context.time_remaining())
        await asyncio.Event().wait()

    node = await rpc_node(hang)
    running = await orchestrate(remote("m", node.port))

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message, timeout=0.3)

    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < left[0] <= 0.31
    await until(lambda: running.application.load.in_flight == 0)


async def test_the_annotation_limits_a_call_to_a_node(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(hangs)
    annotations = {"annotations": {"seldon.io/grpc-timeout": "100"}}
    running = await orchestrate(remote("m", node.port), predictor=annotations)

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message)
    over_rest = await running.wire.predict({"strData": "x"})

    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (over_rest.status, over_rest.json()["status"]["reason"]) == (500, "NODE_TIMEOUT")


async def test_a_client_that_leaves_ends_the_call_to_the_node(rpc_node, orchestrate, remote, rpc, until):
    ended = asyncio.Event()

    async def hang(method, body, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    node = await rpc_node(hang)
    running = await orchestrate(remote("m", node.port))
    request = asyncio.ensure_future(rpc(running, SELDON + "Predict", tensor(1), Message))
    await until(lambda: bool(node.calls))

    request.cancel()

    await asyncio.wait_for(ended.wait(), 5)
    await until(lambda: running.application.load.in_flight == 0)
    samples = await running.wire.metrics()
    assert any('code="CANCELLED"' in name and "server_requests_seconds_count" in name for name in samples)


async def test_a_message_that_is_too_long_is_refused(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(echo)
    annotations = {"annotations": {"seldon.io/grpc-max-message-size": "1000"}}
    running = await orchestrate(remote("m", node.port), predictor=annotations)

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", Message(strData="x" * 2000), Message)

    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert node.calls == []


async def test_bytes_that_are_no_message_are_an_invalid_argument(rpc_node, orchestrate, make_unit, remote, rpc, node):
    near = await node()
    running = await orchestrate(make_unit("m", near.port))
    send = rpc.channel(running).unary_unary(SELDON + "Predict")

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await send(b"\xff\xff\xff")

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_too_many_at_a_time_are_refused_at_once(rpc_node, orchestrate, remote, rpc, until):
    node = await rpc_node(hangs)
    running = await orchestrate(remote("m", node.port), max_requests=1)
    first = asyncio.ensure_future(rpc(running, SELDON + "Predict", tensor(1), Message))
    await until(lambda: running.application.load.in_flight == 1)

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, SELDON + "Predict", tensor(1), Message)
    first.cancel()

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_calls_are_counted_by_upstreams_labels_and_the_id_is_in_the_header(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(echo)
    running = await orchestrate(remote("m", node.port))

    await rpc(running, SELDON + "Predict", tensor(1), Message, metadata=(("seldon-puid", "p7"),))
    header = dict(await rpc.last.initial_metadata())
    samples = await running.wire.metrics()

    assert header["seldon-puid"] == "p7"
    assert node.calls[0][2]["seldon-puid"] == "p7"
    of = 'deployment_name="iris",predictor_name="main",predictor_version="v1"'
    server = f'{of},service="/seldon.protos.Seldon/Predict",method="unary",code="OK"'
    client = 'service="/seldon.protos.Model/Predict",method="unary",code="OK"'
    model = 'model_name="m",model_image="",model_version=""'
    assert samples[f"seldon_api_executor_server_requests_seconds_count{{{server}}}"] == 1
    assert samples[f"seldon_api_executor_client_requests_seconds_count{{{of},{model},{client}}}"] == 1


async def test_answers_over_grpc_are_counted_by_class(rpc_node, orchestrate, remote, rpc, until):
    node = await rpc_node(echo)
    annotations = {"annotations": {"seldon.io/prediction-metrics": "class"}}
    running = await orchestrate(remote("m", node.port), predictor=annotations)

    await rpc(running, SELDON + "Predict", tensor(0.1, 0.4), Message)

    await until(lambda: running.application.doors.predictions.sampled == 1)
    assert running.application.doors.predictions.classes == {"1": 1}


# ---------------------------------------------------------------- health and reflection


async def test_the_health_service_knows_readiness_and_its_services(rpc_node, orchestrate, remote, rpc, absent_port):
    node = await rpc_node(echo)
    good = await orchestrate(remote("m", node.port))
    bad = await orchestrate(remote("m", absent_port))
    check = "/grpc.health.v1.Health/Check"

    async def ask(running, service):
        request = health_pb2.HealthCheckRequest(service=service)
        return (await rpc(running, check, request, health_pb2.HealthCheckResponse)).status

    assert [await ask(good, name) for name in ("", "seldon.protos.Seldon")] == [1, 1]
    assert await ask(bad, "") == 2
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(good, "other")
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_client_can_learn_the_protocol_by_reflection(rpc_node, orchestrate, remote, rpc):
    from grpc_reflection.v1alpha import reflection_pb2 as wanted

    node = await rpc_node(echo)
    running = await orchestrate(remote("m", node.port))
    ask = rpc.channel(running).stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        wanted.ServerReflectionRequest.SerializeToString,
        wanted.ServerReflectionResponse.FromString,
    )

    async def learn(**what):
        call = ask(iter([wanted.ServerReflectionRequest(**what)]))
        return await call.read()

    names = {one.name for one in (await learn(list_services="")).list_services_response.service}
    found = await learn(file_containing_symbol="seldon.protos.Seldon")
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in found.file_descriptor_response.file_descriptor_proto
    ]

    assert names >= {"seldon.protos.Seldon", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert "Seldon" in {service.name for file in files for service in file.service}
    # Every file that is imported is there, or can be asked for.
    for name in {name for file in files for name in file.dependency}:
        assert (await learn(file_by_filename=name)).file_descriptor_response.file_descriptor_proto
