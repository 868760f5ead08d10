"""gRPC doors and nodes in the v2 and TensorFlow protocols: chains, routers, combiners, borders."""

import json
import struct

import grpc
import pytest

from orchestrator import protos
from orchestrator.servers.message import Response

InferRequest = protos.message("inference.ModelInferRequest")
InferResponse = protos.message("inference.ModelInferResponse")
PredictRequest = protos.message("tensorflow.serving.PredictRequest")
PredictResponse = protos.message("tensorflow.serving.PredictResponse")
V2 = "/inference.GRPCInferenceService/"
TF = "/tensorflow.serving.PredictionService/"


# ---------------------------------------------------------------- v2


def infer_request(*values, raw=False, name="", identity="7"):
    request = InferRequest(model_name=name, id=identity)
    one = request.inputs.add(name="x", datatype="FP32", shape=[len(values)])
    if raw:
        request.raw_input_contents.append(struct.pack(f"<{len(values)}f", *values))
    else:
        one.contents.fp32_contents[:] = values
    return request


async def v2_node(method, body, context):
    """Answers with its inputs; as a router with 1."""
    if method.endswith("ModelReady"):
        return protos.message("inference.ModelReadyResponse")(ready=True).SerializeToString()
    if method.endswith("ModelMetadata"):
        return protos.message("inference.ModelMetadataResponse")(name="own", platform="p").SerializeToString()
    request = InferRequest.FromString(body)
    answer = InferResponse(model_name=request.model_name, id=request.id)
    if request.model_name == "r":
        answer.outputs.add(name="route", datatype="INT64", shape=[1]).contents.int64_contents.append(1)
        return answer.SerializeToString()
    for one in request.inputs:
        answer.outputs.add().MergeFromString(one.SerializeToString())
    answer.raw_output_contents.extend(request.raw_input_contents)
    return answer.SerializeToString()


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", ["", "a", "main", "iris"])
async def test_a_v2_chain_carries_tensors_as_they_are_and_calls_nodes_by_their_names(
    rpc_node, orchestrate, remote, rpc, raw, name
):
    node = await rpc_node(v2_node)
    graph = remote("a", node.port, "TRANSFORMER", [remote("b", node.port)])
    running = await orchestrate(graph, protocol="v2")

    answer = await rpc(running, V2 + "ModelInfer", infer_request(1, 2, raw=raw, name=name), InferResponse)

    assert [InferRequest.FromString(body).model_name for _, body, _ in node.calls] == ["a", "b"]
    assert (answer.id, answer.outputs[0].name) == ("7", "x")
    assert bool(answer.raw_output_contents) is raw
    assert raw or list(answer.outputs[0].contents.fp32_contents) == [1, 2]


async def test_a_v2_name_addresses_a_node_or_the_graph_and_an_unknown_one_is_not_found(
    rpc_node, orchestrate, remote, rpc
):
    node = await rpc_node(v2_node)
    chain = await orchestrate(remote("a", node.port, children=[remote("b", node.port)]), protocol="v2")
    single = await orchestrate(remote("a", node.port), protocol="v2")

    await rpc(chain, V2 + "ModelInfer", infer_request(1, name="b"), InferResponse)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(chain, V2 + "ModelInfer", infer_request(1, name="other"), InferResponse)
    await rpc(single, V2 + "ModelInfer", infer_request(1, name="other"), InferResponse)

    assert [InferRequest.FromString(body).model_name for _, body, _ in node.calls] == ["b", "other"]
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND
    assert "no node 'other' in the graph; it has a, b" in failed.value.details()


@pytest.mark.parametrize("raw", [(True, True), (True, False), (False, False)])
async def test_a_v2_router_and_combiner_over_grpc(rpc_node, orchestrate, remote, rpc, raw):
    node = await rpc_node(v2_node)

    async def other(method, body, context):
        answer = InferResponse.FromString(await v2_node(method, body, context))
        if not raw[1]:
            answer.ClearField("raw_output_contents")
            answer.outputs[0].contents.fp32_contents[:] = [1, 2]
        return answer.SerializeToString()

    second = await rpc_node(other)
    combiner = remote("c", node.port, "COMBINER", [remote("a", node.port), remote("b", second.port)])
    graph = remote("r", node.port, "ROUTER", [remote("x", node.port), combiner])
    running = await orchestrate(graph, protocol="v2")

    answer = await rpc(running, V2 + "ModelInfer", infer_request(1, 2, raw=raw[0]), InferResponse)

    assert [one.name for one in answer.outputs] == ["a.x", "b.x"]
    if raw[0]:
        assert answer.raw_output_contents[0] == answer.raw_output_contents[1]
        assert not answer.outputs[1].contents.fp32_contents
    else:
        assert list(answer.outputs[1].contents.fp32_contents) == [1, 2]


async def test_v2_health_and_metadata_over_grpc(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(v2_node)
    running = await orchestrate(remote("a", node.port), protocol="v2")

    async def ask(method, **fields):
        request, answer = (protos.message(f"inference.{method}{end}") for end in ("Request", "Response"))
        return await rpc(running, V2 + method, request(**fields), answer)

    assert (await ask("ServerLive")).live
    assert (await ask("ServerReady")).ready
    assert (await ask("ServerMetadata")).name
    assert (await ask("ModelReady", name="a")).ready
    assert (await ask("ModelReady", name="main")).ready
    assert (await ask("ModelMetadata", name="a")).name == "own"
    assert (await ask("ModelMetadata", name="main")).name == "main"
    assert (await running.wire.get("/v2/models/a/ready")).json() == {"ready": True}
    assert (await running.wire.get("/v2/models/a")).json()["platform"] == "p"


def v2_rest_node(request):
    body = json.loads(request.body)
    outputs = [{**one, "data": [value + 1 for value in one["data"]]} for one in body["inputs"]]
    return Response(200, json.dumps({"model_name": "n", "id": body.get("id", ""), "outputs": outputs}).encode())


@pytest.mark.parametrize("raw", [True, False])
async def test_a_v2_graph_may_mix_rest_and_grpc(rpc_node, node, orchestrate, make_unit, remote, rpc, raw):
    distant, near = await rpc_node(v2_node), await node(v2_rest_node)
    running = await orchestrate(remote("a", distant.port, children=[make_unit("b", near.port)]), protocol="v2")
    body = {"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, 2.5]}]}

    over_grpc = await rpc(running, V2 + "ModelInfer", infer_request(1.5, 2.5, raw=raw), InferResponse)
    over_rest = (await running.wire.post("/v2/models/infer", body)).json()

    # Who sends raw contents may read no others.
    assert list(over_grpc.outputs[0].contents.fp32_contents) == ([] if raw else [2.5, 3.5])
    assert list(over_grpc.raw_output_contents) == ([struct.pack("<2f", 2.5, 3.5)] if raw else [])
    assert over_rest["outputs"][0]["data"] == [2.5, 3.5]
    assert over_rest["id"] == over_grpc.id == "7"


# ---------------------------------------------------------------- TensorFlow Serving


def tf_request(*values, name="any"):
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    one = request.inputs["x"]
    one.dtype = 1
    one.tensor_shape.dim.add(size=len(values))
    one.float_val[:] = values
    return request


async def tf_node(method, body, context):
    verb = method.rpartition("/")[2]
    if verb == "Predict":
        request = PredictRequest.FromString(body)
        answer = PredictResponse()
        for key, value in request.inputs.items():
            answer.outputs[key].CopyFrom(value)
        if request.model_spec.name == "r":
            answer.outputs["x"].float_val[:] = [1]
            answer.outputs["x"].tensor_shape.dim[0].size = 1
        return answer.SerializeToString()
    return body


async def test_a_tensorflow_chain_router_and_combiner_over_grpc(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(tf_node)
    combiner = remote("c", node.port, "COMBINER", [remote("a", node.port), remote("b", node.port)])
    graph = remote("t", node.port, children=[remote("r", node.port, "ROUTER", [remote("z", node.port), combiner])])
    running = await orchestrate(graph, protocol="tensorflow")

    answer = await rpc(running, TF + "Predict", tf_request(1, 2, name="t"), PredictResponse)

    assert {key: list(one.float_val) for key, one in answer.outputs.items()} == {"a.x": [1, 2], "b.x": [1, 2]}
    asked = [PredictRequest.FromString(body).model_spec for _, body, _ in node.calls]
    assert [spec.name for spec in asked] == ["t", "r", "a", "b", "c"]
    assert asked[0].signature_name == "serving_default"


@pytest.mark.parametrize("verb", ["Classify", "Regress", "MultiInference", "GetModelMetadata"])
async def test_what_tensorflows_models_alone_are_asked_is_handed_on(rpc_node, orchestrate, remote, rpc, verb):
    node = await rpc_node(tf_node)
    running = await orchestrate(remote("m", node.port), protocol="tensorflow")
    chain = await orchestrate(remote("m", node.port, children=[remote("n", node.port)]), protocol="tensorflow")
    request = protos.message("tensorflow.serving.GetModelMetadataRequest")()
    request.model_spec.name = "m"

    await rpc(running, TF + verb, request, type(request))

    assert node.methods == [f"PredictionService/{verb}"]
    if verb != "GetModelMetadata":
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rpc(chain, TF + verb, request, type(request))
        assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tensorflows_model_service_tells_the_status_and_takes_no_configuration(
    rpc_node, orchestrate, remote, rpc
):
    node = await rpc_node(tf_node)
    running = await orchestrate(remote("m", node.port), protocol="tensorflow")
    request = protos.message("tensorflow.serving.GetModelStatusRequest")()
    request.model_spec.name = "m"

    await rpc(running, "/tensorflow.serving.ModelService/GetModelStatus", request, type(request))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, "/tensorflow.serving.ModelService/HandleReloadConfigRequest", request, type(request))

    assert node.methods == ["ModelService/GetModelStatus"]
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_tensorflow_graph_may_mix_rest_and_grpc(rpc_node, node, orchestrate, make_unit, remote, rpc):
    def doubles(request):
        rows = json.loads(request.body)["instances"]
        return Response(200, json.dumps({"predictions": [value * 2 for value in rows]}).encode())

    distant, near = await rpc_node(tf_node), await node(doubles)
    graph = remote("a", distant.port, children=[make_unit("b", near.port)])
    running = await orchestrate(graph, protocol="tensorflow")

    over_grpc = await rpc(running, TF + "Predict", tf_request(1.5, 2.5, name="a"), PredictResponse)
    over_rest = (await running.wire.post("/v1/models/a:predict", {"instances": [1.5, 2.5]})).json()

    assert list(over_grpc.outputs["outputs"].float_val) == [3, 5]
    assert over_rest == {"predictions": [3.0, 5.0]}
