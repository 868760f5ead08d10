"""gRPC doors and nodes: the Seldon protocol, all unit types, and graphs that mix gRPC with REST."""

import json
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, empty_pb2
from messages import SELDON, Feedback, Message, MessageList, tensor

from orchestrator import protos
from orchestrator.servers.message import Response


async def seldon_node(method, body, context):
    """Doubles; routes to 1; adds what it is asked to aggregate up."""
    verb = method.rpartition("/")[2]
    if verb == "Route":
        return tensor(1).SerializeToString()
    if verb == "Aggregate":
        parts = [list(one.data.tensor.values) for one in MessageList.FromString(body).seldonMessages]
        return tensor(*[sum(column) for column in zip(*parts, strict=True)]).SerializeToString()
    if verb == "SendFeedback":
        return Message(strData="thanks").SerializeToString()
    if verb == "Metadata":
        return protos.message("seldon.protos.SeldonModelMetadata")(name="own").SerializeToString()
    values = Message.FromString(body).data.tensor.values
    return tensor(*[value * 2 for value in values]).SerializeToString()


# ---------------------------------------------------------------- descriptors


def test_our_reading_of_the_proto_files_is_protocs(tmp_path):
    import grpc_tools
    from grpc_tools import protoc

    root = Path(protos.__file__).parents[2]
    out = tmp_path / "set"
    includes = Path(grpc_tools.__file__).parent / "_proto"
    names = [f"{protos.FOLDER}/{name}.proto" for name in protos.PACKAGES.values()]
    assert protoc.main(["protoc", f"-I{root}", f"-I{includes}", f"--descriptor_set_out={out}", *names]) == 0

    made = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file}
    for name in names:
        ours = descriptor_pb2.FileDescriptorProto()
        protos.pool.FindFileByName(name).CopyToProto(ours)
        assert _plain(ours) == _plain(made[name])


@pytest.mark.parametrize("name", ["seldon.protos.Nothing", "inference.Nothing", "nothing.at.All", "Nothing"])
def test_a_message_that_no_file_has_is_not_found(name):
    for _ in range(2):
        with pytest.raises(KeyError):
            protos.message(name)


@pytest.mark.parametrize("name", ["reader.py", "../settings.py", "../../../../../../../../etc/passwd", ""])
def test_no_other_file_is_read_for_who_asks_by_reflection(name):
    with pytest.raises(KeyError):
        protos.pool.FindFileByName(f"{protos.FOLDER}/{name}")


def _plain(file):
    def strip(message):
        for field in message.field:
            field.ClearField("json_name")
        for nested in message.nested_type:
            strip(nested)

    for message in file.message_type:
        strip(message)
    return file


# ---------------------------------------------------------------- the Seldon protocol


async def test_a_message_that_only_passes_through_is_handed_on_byte_by_byte(rpc_node, orchestrate, remote, rpc):
    async def echo(method, body, context):
        return body

    model = await rpc_node(echo)
    running = await orchestrate(remote("m", model.port))
    message = tensor(1.5)
    message.MergeFromString(b"\xfa\x07\x03abc")  # field 127, which nobody knows

    await rpc(running, SELDON + "Predict", message, Message)

    assert model.calls[0][0] == "/seldon.protos.Model/Predict"
    assert model.calls[0][1] == message.SerializeToString()


async def test_every_unit_type_is_called_by_its_own_method(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(seldon_node)
    combiner = remote("c", node.port, "COMBINER", [remote("a", node.port), remote("b", node.port)])
    router = remote("r", node.port, "ROUTER", [remote("x", node.port), combiner])
    up = remote("up", node.port, "OUTPUT_TRANSFORMER", [router])
    running = await orchestrate(remote("t", node.port, "TRANSFORMER", [up]))

    answer = await rpc(running, SELDON + "Predict", tensor(1, 2), Message)

    assert list(answer.data.tensor.values) == [16, 32]
    assert dict(answer.meta.routing) == {"t": -1, "up": -1, "r": 1, "c": -1, "a": -1, "b": -1}
    assert node.methods == [
        "Transformer/TransformInput",
        "Router/Route",
        "Model/Predict",
        "Model/Predict",
        "Combiner/Aggregate",
        "OutputTransformer/TransformOutput",
    ]


async def test_explicit_methods_are_called_over_grpc_too(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(seldon_node)
    methods = ["TRANSFORM_INPUT", "TRANSFORM_OUTPUT"]
    running = await orchestrate(remote("t", node.port, "UNKNOWN_TYPE", [remote("m", node.port)], methods=methods))

    answer = await rpc(running, SELDON + "Predict", tensor(1), Message)

    assert list(answer.data.tensor.values) == [8]
    assert node.methods == ["Transformer/TransformInput", "Model/Predict", "OutputTransformer/TransformOutput"]


@pytest.mark.parametrize("built_in", ["SIMPLE_ROUTER", "RANDOM_ABTEST"])
async def test_built_in_routers_say_in_the_answer_which_way_they_took(rpc_node, orchestrate, remote, rpc, built_in):
    node = await rpc_node(seldon_node)
    children = [remote("a", node.port), remote("b", node.port)]
    running = await orchestrate({"name": "r", "implementation": built_in, "children": children})

    answer = await rpc(running, SELDON + "Predict", tensor(1), Message)

    taken = dict(answer.meta.routing)
    assert taken["r"] in {0, 1}
    assert taken["ab"[taken["r"]]] == -1


async def test_the_built_in_combiner_and_model_answer_over_grpc(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(seldon_node)
    children = [remote("a", node.port), remote("b", node.port)]
    combined = await orchestrate({"name": "c", "implementation": "AVERAGE_COMBINER", "children": children})
    simple = await orchestrate({"name": "s", "implementation": "SIMPLE_MODEL"})

    mean = await rpc(combined, SELDON + "Predict", tensor(1, 3), Message)
    fixed = await rpc(simple, SELDON + "Predict", tensor(1), Message)

    assert list(mean.data.tensor.values) == [2, 6]
    assert list(fixed.data.tensor.values) == [0.9, 0.05, 0.05]


async def test_feedback_goes_the_way_that_the_request_took(rpc_node, orchestrate, remote, rpc):
    node = await rpc_node(seldon_node)
    running = await orchestrate(
        remote("r", node.port, "ROUTER", [remote("a", node.port), remote("b", node.port)]),
    )
    feedback = Feedback(reward=0.5)
    feedback.response.meta.routing["r"] = 1

    answer = await rpc(running, SELDON + "SendFeedback", feedback, Message)

    assert answer.strData == "thanks"
    assert node.methods == ["Model/SendFeedback", "Model/SendFeedback"]
    assert all(Feedback.FromString(body).reward == 0.5 for _, body, _ in node.calls)


async def test_metadata_of_nodes_and_of_the_graph(rpc_node, orchestrate, remote, rpc, node, make_unit):
    distant = await rpc_node(seldon_node)
    near = await node({"/metadata": {"name": "near", "inputs": [{"name": "x", "shape": [1]}], "custom": {"a": 1}}})
    running = await orchestrate(make_unit("n", near.port, children=[remote("m", distant.port)]))
    asked, metadata = (protos.message(f"seldon.protos.SeldonModelMetadata{end}") for end in ("Request", ""))

    one = await rpc(running, SELDON + "ModelMetadata", asked(name="m"), metadata)
    other = await rpc(running, SELDON + "ModelMetadata", asked(name="n"), metadata)
    whole = await rpc(
        running, SELDON + "GraphMetadata", empty_pb2.Empty(), protos.message("seldon.protos.SeldonGraphMetadata")
    )
    over_rest = (await running.wire.get("/api/v1.0/metadata/m")).json()

    assert (one.name, other.name, dict(other.custom)) == ("own", "near", {"a": "1"})
    assert (whole.name, set(whole.models), whole.inputs[0].name) == ("main", {"n", "m"}, "x")
    assert over_rest["name"] == "own"


# ---------------------------------------------------------------- borders


def rest_node(request):
    """The same as the node over gRPC."""
    body = json.loads(request.body)
    if request.path == b"/route":
        return Response(200, b'{"data":{"ndarray":[[1]]}}')
    if request.path == b"/send-feedback":
        return Response(200, b'{"strData":"thanks"}')
    parts = [one["data"]["tensor"]["values"] for one in (body if isinstance(body, list) else [body, body])]
    values = [sum(column) for column in zip(*parts, strict=True)]
    reply = {"data": {"tensor": {"shape": [1, len(values)], "values": values}}, "meta": {"tags": {"by": "rest"}}}
    return Response(200, json.dumps(reply).encode())


@pytest.mark.parametrize("outer", ["rest", "grpc"])
@pytest.mark.parametrize("kind", ["MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER", "ROUTER", "COMBINER"])
async def test_a_graph_may_mix_rest_and_grpc(rpc_node, node, orchestrate, make_unit, remote, rpc, outer, kind):
    distant, near = await rpc_node(seldon_node), await node(rest_node)
    a, b = remote("a", distant.port), make_unit("b", near.port)
    parent = make_unit("p", near.port, kind, [a, b]) if outer == "rest" else remote("p", distant.port, kind, [b, a])
    running = await orchestrate(parent)
    expected = {"MODEL": 12, "TRANSFORMER": 12, "OUTPUT_TRANSFORMER": 12, "ROUTER": 6, "COMBINER": 12}[kind]

    over_grpc = await rpc(running, SELDON + "Predict", tensor(3), Message)
    over_rest = (await running.wire.predict({"data": {"tensor": {"shape": [1, 1], "values": [3]}}})).json()

    assert list(over_grpc.data.tensor.values) == [expected]
    assert over_rest["data"]["tensor"]["values"] == [expected]


async def test_feedback_crosses_the_border(rpc_node, node, orchestrate, make_unit, remote, rpc):
    distant, near = await rpc_node(seldon_node), await node(rest_node)
    running = await orchestrate(make_unit("b", near.port, children=[remote("a", distant.port)]))
    body = {"request": {"data": {"ndarray": [[1]]}}, "reward": 0.25}

    over_rest = (await running.wire.post("/api/v1.0/feedback", body)).json()
    over_grpc = await rpc(running, SELDON + "SendFeedback", Feedback(reward=0.25), Message)

    assert (over_rest["strData"], over_grpc.strData) == ("thanks", "thanks")
    assert [Feedback.FromString(sent).reward for _, sent, _ in distant.calls] == [0.25, 0.25]
    assert [json.loads(request.body)["reward"] for request in near.requests] == [0.25, 0.25]


async def test_a_node_with_both_ports_is_called_as_its_door_was(rpc_node, node, orchestrate, rpc):
    distant, near = await rpc_node(seldon_node), await node(rest_node)
    endpoint = {"service_host": "localhost", "httpPort": near.port, "grpcPort": distant.port, "type": "REST"}
    running = await orchestrate({"name": "m", "type": "MODEL", "endpoint": endpoint})

    await rpc(running, SELDON + "Predict", tensor(3), Message)
    await running.wire.predict({"data": {"tensor": {"shape": [1, 1], "values": [3]}}})

    assert (len(distant.calls), len(near.requests)) == (1, 1)


async def test_headers_and_metadata_cross_the_border(rpc_node, node, orchestrate, make_unit, remote, rpc):
    distant, near = await rpc_node(seldon_node), await node(rest_node)
    over_grpc = await orchestrate(remote("a", distant.port))
    over_rest = await orchestrate(make_unit("b", near.port))

    await over_grpc.wire.predict(
        {"data": {"tensor": {"shape": [1, 1], "values": [3]}}}, **{"Seldon-Puid": "p1", "Seldon-Revision": "7"}
    )
    await rpc(over_rest, SELDON + "Predict", tensor(1), Message, metadata=(("seldon-revision", "8"), ("x-bin", b"\0")))

    assert {key: distant.calls[0][2][key] for key in ("seldon-puid", "seldon-revision")} == {
        "seldon-puid": "p1",
        "seldon-revision": "7",
    }
    assert near.requests[0].header(b"seldon-revision") == b"8"
    assert len(near.requests[0].header(b"seldon-puid")) == 36
    assert near.requests[0].header(b"content-type") == b"application/json"
