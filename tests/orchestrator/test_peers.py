"""The same graphs on real nodes: our own runtime, and beside it what it takes the place of, over REST and gRPC.

The others are made by `make peers`, each in an environment of its own.
"""

import grpc
import peers
import pytest
from google.protobuf import empty_pb2

from orchestrator import protos

Message = protos.message("seldon.protos.SeldonMessage")
InferRequest = protos.message("inference.ModelInferRequest")
InferResponse = protos.message("inference.ModelInferResponse")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Gives running peers by name; each is started once."""
    with peers.running(tmp_path_factory) as start:
        yield start


def tensor(*values):
    message = Message()
    message.data.tensor.shape[:] = [1, len(values)]
    message.data.tensor.values[:] = values
    return message


async def ask(door, running, rpc, values):
    """One prediction through a door: the numbers, the tags and the routing of the answer."""
    if door == "grpc":
        answer = await rpc(running, "/seldon.protos.Seldon/Predict", tensor(*values), Message)
        tags = {key: value.string_value for key, value in answer.meta.tags.items()}
        return list(answer.data.tensor.values), tags, dict(answer.meta.routing)
    body = {"data": {"tensor": {"shape": [1, len(values)], "values": values}}}
    answer = (await running.wire.predict(body)).json()
    return answer["data"]["tensor"]["values"], answer["meta"]["tags"], answer["meta"]["routing"]


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc", "both"])
@pytest.mark.parametrize("peer", ["ours", "seldon-core"])
async def test_every_unit_type_works_on_real_nodes(started, orchestrate, rpc, peer, transport, door):
    node = started(peer)
    unit = lambda *arguments: node.unit(transport, *arguments)  # noqa: E731
    combiner = unit("c", "COMBINER", [unit("m2"), unit("m3")])
    router = unit("r", "ROUTER", [unit("m1"), combiner])
    running = await orchestrate(unit("t", "TRANSFORMER", [unit("o", "OUTPUT_TRANSFORMER", [router])]))

    values, tags, routing = await ask(door, running, rpc, [3.0, 5.0])

    assert values == [160, 240]
    assert tags == {"by": "everything"}
    assert routing == {"t": -1, "o": -1, "r": 1, "c": -1, "m2": -1, "m3": -1}


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("peer", ["ours", "seldon-core"])
async def test_feedback_and_metadata_work_on_real_nodes(started, orchestrate, rpc, peer, transport, door):
    node = started(peer)
    running = await orchestrate(node.unit(transport, "r", "ROUTER", [node.unit(transport, "m")]))

    if door == "rest":
        feedback = {"request": {"data": {"ndarray": [[1.0]]}}, "response": {"meta": {"routing": {"r": 0}}}, "reward": 1}
        assert (await running.wire.post("/api/v1.0/feedback", feedback)).status == 200
        found = (await running.wire.get("/api/v1.0/metadata")).json()
        assert found["models"]["m"]["name"] == "everything"
        return
    feedback = protos.message("seldon.protos.Feedback")(reward=1, request=tensor(1))
    feedback.response.meta.routing["r"] = 0
    await rpc(running, "/seldon.protos.Seldon/SendFeedback", feedback, Message)
    kind = protos.message("seldon.protos.SeldonGraphMetadata")
    found = await rpc(running, "/seldon.protos.Seldon/GraphMetadata", empty_pb2.Empty(), kind)
    assert found.models["m"].name == "everything"


# ---------------------------------------------------------------- v2 on MLServer


def infer_request(*values):
    request = InferRequest(id="7")
    one = request.inputs.add(name="x", datatype="FP32", shape=[1, len(values)])
    one.contents.fp32_contents[:] = values
    return request


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc", "both"])
async def test_a_chain_of_models_works_on_mlserver(started, orchestrate, rpc, transport, door):
    node = started("mlserver")
    graph = node.unit(transport, "first", "TRANSFORMER", [node.unit(transport, "second")])
    running = await orchestrate(graph, protocol="v2")

    if door == "grpc":
        answer = await rpc(running, "/inference.GRPCInferenceService/ModelInfer", infer_request(1, 2), InferResponse)
        assert (list(answer.outputs[0].contents.fp32_contents), answer.id) == ([4, 8], "7")
        return
    body = {"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    answer = (await running.wire.post("/v2/models/infer", body)).json()
    assert (answer["outputs"][0]["data"], answer["id"]) == ([4, 8], "7")


@pytest.mark.parametrize("door", ["rest", "grpc"])
async def test_a_combiner_works_on_mlserver_over_grpc(started, orchestrate, rpc, door):
    node = started("mlserver")
    combiner = node.unit("grpc", "joint", "COMBINER", [node.unit("grpc", "first"), node.unit("grpc", "second")])
    running = await orchestrate(combiner, protocol="v2")

    if door == "grpc":
        answer = await rpc(running, "/inference.GRPCInferenceService/ModelInfer", infer_request(1, 2), InferResponse)
        found = {one.name: list(one.contents.fp32_contents) for one in answer.outputs}
    else:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
        answer = (await running.wire.post("/v2/models/infer", body)).json()
        found = {one["name"]: one["data"] for one in answer["outputs"]}

    assert found == {"first.x": [4, 8], "second.x": [4, 8]}


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize(("value", "child"), [(0.0, "second"), (0.5, "joint")])
async def test_a_router_works_on_mlserver_over_grpc(started, orchestrate, rpc, door, value, child):
    node = started("mlserver")  # its models double: of 0.5 they make a route to child 1
    running = await orchestrate(
        node.unit("grpc", "first", "ROUTER", [node.unit("grpc", "second"), node.unit("grpc", "joint")]), protocol="v2"
    )

    if door == "grpc":
        answer = await rpc(
            running, "/inference.GRPCInferenceService/ModelInfer", infer_request(value, 3), InferResponse
        )
        found = (answer.model_name, list(answer.outputs[0].contents.fp32_contents))
    else:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [value, 3]}]}
        answer = (await running.wire.post("/v2/models/infer", body)).json()
        found = (answer["model_name"], answer["outputs"][0]["data"])

    assert found == (child, [2 * value, 6])


async def test_health_and_metadata_of_mlserver_over_both(started, orchestrate, rpc):
    node = started("mlserver")
    running = await orchestrate(node.unit("both", "first"), protocol="v2", full_health_checks="true")
    ready = protos.message("inference.ModelReadyRequest")(name="first")

    over_grpc = await rpc(
        running, "/inference.GRPCInferenceService/ModelReady", ready, protos.message("inference.ModelReadyResponse")
    )

    assert over_grpc.ready
    assert (await running.wire.get("/ready")).status == 200
    assert (await running.wire.get("/v2/models/first/ready")).status == 200
    assert (await running.wire.get("/v2/models/first")).json()["name"] == "first"


async def test_a_name_that_mlserver_does_not_know_is_not_found(started, orchestrate, rpc):
    running = await orchestrate(started("mlserver").unit("both", "first"), protocol="v2")
    request = infer_request(1)
    request.model_name = "nobody"

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, "/inference.GRPCInferenceService/ModelInfer", request, InferResponse)
    over_rest = await running.wire.post("/v2/models/nobody/infer", {"inputs": []})

    assert failed.value.code() is grpc.StatusCode.NOT_FOUND
    assert over_rest.status == 404
