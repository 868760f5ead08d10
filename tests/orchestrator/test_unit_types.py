"""Every unit type and explicit methods in the v2 and TensorFlow protocols, over REST and gRPC: who is asked when."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from orchestrator import protos
from orchestrator.servers.message import Response

InferRequest = protos.message("inference.ModelInferRequest")
InferResponse = protos.message("inference.ModelInferResponse")
PredictRequest = protos.message("tensorflow.serving.PredictRequest")
PredictResponse = protos.message("tensorflow.serving.PredictResponse")
INFER, PREDICT = "/inference.GRPCInferenceService/ModelInfer", "/tensorflow.serving.PredictionService/Predict"
DIGITS = {"t": 1, "m": 2, "o": 3, "a": 4, "b": 5}


def step(name, value):
    """A node appends its digit to a number, so that the answer tells the order; the node of all methods says 1."""
    return 1 if name in {"u", "r"} else 10 * value + DIGITS.get(name, 0)


def tensor(value):
    return {"name": "x", "datatype": "FP32", "shape": [1], "data": [value]}


def v2_rest(request):
    body = json.loads(request.body)
    if request.path == b"/aggregate":
        return Response(200, json.dumps({"outputs": [one["outputs"][0] for one in body]}).encode())
    name = "u" if request.path == b"/route" else request.path.decode().split("/")[3]
    return Response(200, json.dumps({"outputs": [tensor(step(name, body["inputs"][0]["data"][0]))]}).encode())


def tf_rest(request):
    body = json.loads(request.body)
    name, _, verb = request.path.decode().rpartition("/")[2].partition(":")
    found = body[0]["predictions"] if verb == "aggregate" else [step(name, body["instances"][0])]
    return Response(200, json.dumps({"predictions": found}).encode())


async def v2_grpc(method, body, context):
    request = InferRequest.FromString(body)
    answer = InferResponse(model_name=request.model_name)
    found = step(request.model_name, request.inputs[0].contents.fp32_contents[0])
    answer.outputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(found)
    return answer.SerializeToString()


async def tf_grpc(method, body, context):
    request = PredictRequest.FromString(body)
    (given,) = request.inputs.values()
    answer = PredictResponse()
    answer.outputs["x"].CopyFrom(given)
    answer.outputs["x"].float_val[:] = [step(request.model_spec.name, given.float_val[0])]
    return answer.SerializeToString()


def said(answer):
    if answer.status != 200:
        raise RuntimeError(answer.body.decode())
    return answer.json()


@dataclass
class World:
    """A node for all units of a graph, and a client of its orchestrator."""

    node: Any
    unit: Any
    start: Any
    ask: Any

    def asked(self):
        """What the node was asked, in order: paths, or over gRPC the models' names."""
        if hasattr(self.node, "paths"):
            return self.node.paths
        kinds = {"ModelInfer": InferRequest, "Predict": PredictRequest}
        read = [kinds[method.rpartition("/")[2]].FromString(body) for method, body, _ in self.node.calls]
        return [one.model_name if isinstance(one, InferRequest) else one.model_spec.name for one in read]


@pytest.fixture(params=["v2 REST", "v2 gRPC", "tensorflow REST", "tensorflow gRPC"])
async def world(request, node, rpc_node, make_unit, remote, orchestrate, rpc):
    protocol, door = request.param.split()

    async def v2_over_rest(running):
        return said(await running.wire.post("/v2/models/infer", {"inputs": [tensor(0)]}))["outputs"][0]["data"][0]

    async def tf_over_rest(running):
        return said(await running.wire.post("/v1/models:predict", {"instances": [0]}))["predictions"][0]

    async def v2_over_grpc(running):
        question = InferRequest()
        question.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(0)
        contents = (await rpc(running, INFER, question, InferResponse)).outputs[0].contents
        return (contents.fp32_contents or contents.fp64_contents)[0]  # a mean has 64 bits

    async def tf_over_grpc(running):
        question = PredictRequest()
        question.inputs["x"].dtype = 1
        question.inputs["x"].tensor_shape.dim.add(size=1)
        question.inputs["x"].float_val.append(0)
        (found,) = (await rpc(running, PREDICT, question, PredictResponse)).outputs.values()
        return found.float_val[0]

    behaviour, ask = {
        "v2 REST": (v2_rest, v2_over_rest), "v2 gRPC": (v2_grpc, v2_over_grpc),
        "tensorflow REST": (tf_rest, tf_over_rest), "tensorflow gRPC": (tf_grpc, tf_over_grpc),
    }[request.param]  # fmt: skip
    served = await (node if door == "REST" else rpc_node)(behaviour)
    found = World(served, make_unit if door == "REST" else remote, None, ask)
    found.start = lambda graph: orchestrate(graph, protocol=protocol)
    found.name = request.param
    return found


async def test_transformers_stand_before_and_behind_what_is_below_them(world):
    port = world.node.port
    below = world.unit("o", port, "OUTPUT_TRANSFORMER", [world.unit("m", port)])
    running = await world.start(world.unit("t", port, "TRANSFORMER", [below]))

    assert await world.ask(running) == 123  # into t, then m, and out through o


async def test_explicit_methods_are_asked_in_their_order(world):
    port = world.node.port
    methods = ["TRANSFORM_INPUT", "ROUTE", "AGGREGATE", "TRANSFORM_OUTPUT"]
    children = [world.unit("a", port), world.unit("b", port)]
    running = await world.start(world.unit("u", port, "UNKNOWN_TYPE", children, methods=methods))

    await world.ask(running)

    assert world.asked() == {
        "v2 REST": ["/v2/models/u/infer", "/route", "/v2/models/b/infer", "/aggregate", "/v2/models/u/infer"],
        "tensorflow REST": [f"/v1/models/{one}" for one in (
            "u:predict", "u:route", "b:predict", "u:aggregate", "u:predict"
        )],
    }.get(world.name, ["u", "u", "b", "u", "u"])  # fmt: skip


async def test_built_in_routers_and_combiners_need_no_process(world):
    port = world.node.port
    average = {"name": "c", "implementation": "AVERAGE_COMBINER"}
    average["children"] = [world.unit("a", port), world.unit("b", port)]
    never = [{"name": "ratioA", "type": "FLOAT", "value": "0.0"}]  # the first child
    drawn = {"name": "d", "implementation": "RANDOM_ABTEST", "parameters": never}
    drawn["children"] = [world.unit("m", port), average]
    chooser = {"name": "s", "implementation": "SIMPLE_ROUTER", "children": [drawn]}
    running = await world.start(chooser)

    assert await world.ask(running) == 4.5  # of 4 and 5


async def test_a_route_to_nowhere_is_an_error_that_says_so_again_and_again(world):
    port = world.node.port
    running = await world.start(world.unit("u", port, "ROUTER", [world.unit("a", port)]))

    for _ in range(2):
        with pytest.raises((RuntimeError, grpc.aio.AioRpcError), match="node 'u' chose route 1; it has 1 children"):
            await world.ask(running)


async def test_the_gauges_show_what_is_under_way_and_what_waits(node, orchestrate, make_unit, until):
    gate = asyncio.Event()

    async def waits(request):
        await gate.wait()
        return Response(200, b'{"data":{"ndarray":[[1]]}}')

    held = await node(waits)
    children = [make_unit("a", held.port), make_unit("b", held.port)]
    graph = {"name": "c", "implementation": "AVERAGE_COMBINER", "children": children}
    running = await orchestrate(graph, max_requests=1)
    asking = asyncio.create_task(running.wire.predict({}))
    await until(lambda: held.requests)
    refused = await running.wire.predict({})

    under_way = await running.wire.metrics()
    gate.set()
    answer = await asking
    after = await running.wire.metrics()

    names = ("requests_in_flight", "requests_refused_total", "node_connections", "node_calls_waiting")
    assert [under_way[f"seldon_api_executor_{name}"] for name in names] == [1, 1, 1, 1]
    assert [after[f"seldon_api_executor_{name}"] for name in names] == [0, 1, 1, 0]
    assert (answer.status, refused.status) == (200, 503)
