"""A class served over gRPC: the services of the wrapper, with what the class sees over REST."""

import grpc
import pytest
from google.protobuf import json_format

from orchestrator import protos

Message = protos.message("seldon.protos.SeldonMessage")
MessageList = protos.message("seldon.protos.SeldonMessageList")
Feedback = protos.message("seldon.protos.Feedback")
Asked = protos.message("seldon.protos.SeldonModelMetadataRequest")
Metadata = protos.message("seldon.protos.SeldonModelMetadata")

SOURCE = """
import numpy as np
from orchestrator.node import NodeRuntimeError, SeldonResponse

class Mine:
    class_names = ["a", "b"]

    def predict(self, X, names, meta=None):
        if names == ["raise"]:
            raise ValueError("my words")
        if names == ["refuse"]:
            raise NodeRuntimeError("not that")
        if names == ["json"]:
            return {"mean": np.mean(X), "all": X}
        return SeldonResponse(X * 2, tags={"n": np.float64(1.5)}, metrics=[{"type": "TIMER", "key": "t", "value": 20}])

    def transform_input(self, X, names):
        return X + 1

    def route(self, X, names):
        return 1

    def aggregate(self, parts, names):
        return sum(parts)

    def send_feedback(self, X, names, reward, truth, routing=None):
        return f"{reward} {routing}"

    def init_metadata(self):
        return {"name": "mine", "versions": ["v1"], "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}]}
"""


@pytest.fixture
def served(launch_node):
    """The class, and a call of one of its methods over gRPC."""
    node = launch_node(SOURCE)
    with grpc.insecure_channel(f"127.0.0.1:{node.grpc_port}") as channel:

        def call(method, message, kind=Message):
            send = channel.unary_unary(
                f"/seldon.protos.{method}", lambda value: value.SerializeToString(), kind.FromString
            )
            return send(message, timeout=10)

        call.node = node
        yield call


def message(names=(), **data):
    return json_format.ParseDict({"data": {"names": list(names), **data}}, Message(), descriptor_pool=protos.pool)


def test_a_class_answers_over_grpc_as_over_rest(served):
    tensor = {"shape": [1, 2], "values": [1.0, 2.0]}
    answer = served("Model/Predict", message(tensor=tensor))
    _, over_rest = served.node.request("POST", "/predict", {"data": {"tensor": tensor}})

    assert list(answer.data.tensor.values) == over_rest["data"]["tensor"]["values"] == [2, 4]
    assert list(answer.data.names) == over_rest["data"]["names"] == ["a", "b"]
    assert answer.meta.tags["n"].number_value == over_rest["meta"]["tags"]["n"] == 1.5
    assert (answer.meta.metrics[0].key, answer.meta.metrics[0].value) == ("t", 20)

    rows = served("Seldon/Predict", message(ndarray=[[1, 2], [3, 4]])).data.ndarray
    assert [[value.number_value for value in row.list_value.values] for row in rows.values] == [[2, 4], [6, 8]]

    assert list(served("Transformer/TransformInput", message(tensor=tensor)).data.tensor.values) == [2, 3]
    assert list(served("OutputTransformer/TransformOutput", message(tensor=tensor)).data.tensor.values) == [1, 2]
    assert list(served("Router/Route", message(tensor=tensor)).data.tensor.values) == [1]
    both = MessageList(seldonMessages=[message(tensor=tensor), message(tensor=tensor)])
    assert list(served("Combiner/Aggregate", both).data.tensor.values) == [2, 4]
    assert list(served("Generic/Aggregate", both).data.tensor.values) == [2, 4]

    feedback = Feedback(reward=0.1, request=message(tensor=tensor))
    feedback.response.meta.routing["mine"] = 1
    assert served("Model/SendFeedback", feedback).strData == "0.1 1"
    assert served("Router/SendFeedback", feedback).strData == "0.1 1"

    metadata = served("Model/Metadata", Asked(), Metadata)
    assert (metadata.name, metadata.inputs[0].name, list(metadata.inputs[0].shape)) == ("mine", "x", [2])

    nested = served("Model/Predict", message(names=["json"], tensor=tensor))
    assert nested.jsonData.struct_value.fields["mean"].number_value == 1.5


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [(["raise"], "UNKNOWN", "my words"), (["refuse"], "INVALID_ARGUMENT", "not that")],
)
def test_what_a_class_raises_is_a_status(served, names, code, words):
    with pytest.raises(grpc.RpcError) as failed:
        served("Model/Predict", message(names=names, tensor={"shape": [1], "values": [1.0]}))

    assert (failed.value.code().name, failed.value.details()) == (code, words)


def test_data_that_cannot_be_used_is_an_invalid_argument(served):
    with pytest.raises(grpc.RpcError) as failed:
        served("Model/Predict", message(tensor={"shape": [3], "values": [1.0]}))

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "do not fit the shape [3]" in failed.value.details()


def test_grpc_is_off_without_workers(launch_node):
    node = launch_node(SOURCE, GRPC_WORKERS="0")

    with grpc.insecure_channel(f"127.0.0.1:{node.grpc_port}") as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/seldon.protos.Model/Predict")(b"", timeout=5)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
