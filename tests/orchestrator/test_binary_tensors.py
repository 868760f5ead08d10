"""Tensors as bytes over REST: handed on as they are, also from node to node, and read where something must be known."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import protos
from orchestrator.errors import BadPayloadError
from orchestrator.protocols import binary
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.tensors import encoded
from orchestrator.servers.message import Response

Request = protos.message("inference.ModelInferRequest")
Reply = protos.message("inference.ModelInferResponse")
LENGTH = "Inference-Header-Content-Length"


def folded(side, *values, **more):
    """A message whose tensor travels as bytes, and the length of its head."""
    raw = struct.pack(f"<{len(values)}d", *values)
    tensor = {"name": "x", "datatype": "FP64", "shape": [len(values)], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({**more, side: [tensor]}).encode()
    return head + raw, len(head)


def unfolded(body, length):
    head = json.loads(body[:length])
    size = len(body) - length
    return head, struct.unpack(f"<{size // 8}d", body[length:])


def doubling(request):
    """A node that takes binary tensors and answers with such when it is asked to."""
    head, values = unfolded(request.body, int(request.header(LENGTH.lower().encode())))
    doubled = [value * 2 for value in values]
    if not head.get("parameters", {}).get("binary_data_output"):
        plain = {"outputs": [{"name": "x", "datatype": "FP64", "shape": [len(doubled)], "data": doubled}]}
        return Response(200, json.dumps(plain).encode())
    body, length = folded("outputs", *doubled, id=head.get("id"))
    return Response(200, body, b"application/octet-stream", headers=f"{LENGTH}: {length}\r\n".encode())


async def ask(running, body, length, path="/v2/models/infer"):
    return await running.wire.post(path, body, **{LENGTH: str(length), "Content-Type": "application/octet-stream"})


async def test_a_model_gets_and_gives_bytes_as_they_are(node, orchestrate, make_unit):
    model = await node(doubling)
    running = await orchestrate(make_unit("m", model.port), protocol="v2")
    body, length = folded("inputs", 60.0, 62.0, parameters={"binary_data_output": True}, id="<7>")

    answer = await ask(running, body, length)

    assert model.requests[0].body == body
    assert answer.headers["content-type"] == "application/octet-stream"
    head, values = unfolded(answer.body, int(answer.headers[LENGTH.lower()]))
    assert (values, head["id"]) == ((120.0, 124.0), "<7>")


async def test_a_chain_carries_bytes_from_node_to_node(node, orchestrate, make_unit):
    first, last = await node(doubling), await node(doubling)
    running = await orchestrate(make_unit("a", first.port, children=[make_unit("b", last.port)]), protocol="v2")
    body, length = folded("inputs", 1.5, 2.0, parameters={"binary_data_output": True}, id="7")

    answer = await ask(running, body, length)

    head, values = unfolded(answer.body, int(answer.headers[LENGTH.lower()]))
    assert (values, head["id"]) == ((6.0, 8.0), "7")
    (asked,) = last.requests
    assert len([value for name, value in asked.headers if name == LENGTH.lower().encode()]) == 1
    assert unfolded(asked.body, int(asked.header(LENGTH.lower().encode())))[1] == (3.0, 4.0)


async def test_combiners_get_binary_answers_as_json_and_averages_are_made_of_them(node, orchestrate, make_unit):
    models = [make_unit(name, (await node(doubling)).port) for name in "ab"]
    seen = await node(lambda request: Response(200, b"{}"))
    body, length = folded("inputs", 1.0, 2.0, parameters={"binary_data_output": True})
    merged = await orchestrate(make_unit("c", seen.port, "COMBINER", models), protocol="v2")
    averaged = await orchestrate({"name": "c", "implementation": "AVERAGE_COMBINER", "children": models}, protocol="v2")

    await ask(merged, body, length)
    answer = await ask(averaged, body, length)

    assert [one["outputs"][0]["data"] for one in json.loads(seen.requests[0].body)] == [[2.0, 4.0]] * 2
    assert answer.json()["outputs"][0]["data"] == [2.0, 4.0]
    assert LENGTH.lower() not in answer.headers


async def test_bytes_over_rest_reach_a_node_over_grpc(rpc_node, orchestrate, remote):
    async def answer(method, body, context):
        request = Request.FromString(body)
        reply = Reply()
        tensor = reply.outputs.add(name="y", datatype="FP64", shape=[2])
        tensor.contents.fp64_contents.extend(request.inputs[0].contents.fp64_contents)
        return reply.SerializeToString()

    running = await orchestrate(remote("m", (await rpc_node(answer)).port), protocol="v2")
    body, length = folded("inputs", 1.5, 2.5)

    answered = await ask(running, body, length)

    assert answered.json()["outputs"][0]["data"] == [1.5, 2.5]


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "1e3"])
async def test_a_length_that_is_none_is_the_clients_error(node, orchestrate, make_unit, length):
    running = await orchestrate(make_unit("m", (await node()).port), protocol="v2")

    answer = await running.wire.post("/v2/models/infer", b"{}", **{LENGTH: length})

    assert (answer.status, answer.json()["status"]["reason"]) == (400, "BAD_PAYLOAD")


async def test_a_nodes_length_that_is_none_is_a_bad_reply(node, orchestrate, make_unit):
    bad = Response(200, b"{}", headers=f"{LENGTH}: two\r\n".encode())
    running = await orchestrate(make_unit("m", (await node(lambda request: bad)).port), protocol="v2")

    assert (await running.wire.post("/v2/models/infer", {})).json()["status"]["reason"] == "NODE_BAD_REPLY"


columns = st.one_of(
    st.tuples(st.just("INT32"), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6)),
    st.tuples(st.just("FP64"), st.lists(st.floats(allow_nan=False), max_size=6)),
    st.tuples(st.just("BOOL"), st.lists(st.booleans(), max_size=6)),
    st.tuples(st.just("BYTES"), st.lists(st.text(max_size=5), max_size=4)),
)


@given(st.lists(columns, min_size=1, max_size=4))
def test_what_was_folded_is_read_back(sets):
    tensors, tail = [], b""
    for at, (datatype, values) in enumerate(sets):
        raw = encoded(values, datatype)
        tail += raw
        parameters = {"binary_data_size": len(raw), "kept": 1}
        tensors.append({"name": str(at), "datatype": datatype, "shape": [len(values)], "parameters": parameters})
    head = json.dumps({"inputs": tensors}).encode()

    found = binary.message(Payload(head + tail, split=len(head)))

    assert [one["data"] for one in found["inputs"]] == [values for _, values in sets]
    assert all(one["parameters"] == {"kept": 1} for one in found["inputs"])


@given(st.binary(max_size=60), st.integers(0, 80), st.integers(-5, 60))
def test_any_bytes_are_read_or_refused(tail, split, size):
    head = json.dumps({"outputs": [{"datatype": "INT8", "parameters": {"binary_data_size": size}}]}).encode()
    for body, length in ((head + tail, len(head)), (tail, split)):
        try:
            binary.message(Payload(body, split=length))
        except BadPayloadError as error:
            assert str(error)  # noqa: PT017 — both ends are right
