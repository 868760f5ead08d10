"""Messages between JSON and protobuf, and changes to protobuf's bytes: there and back, and whatever bytes there are."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols import tensors, wire
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.openinference_proto import OpenInferenceProto, Request, Response
from orchestrator.protocols.payload import Form, Kind, Payload, Protobuf
from orchestrator.protocols.seldon import Seldon
from orchestrator.protocols.seldon_proto import SeldonMessage, SeldonProto
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.protocols.tensorflow_proto import TensorFlowProto

CODECS = {
    "seldon": Codec(Seldon(), SeldonProto()),
    "v2": Codec(OpenInference(), OpenInferenceProto()),
    "tensorflow": Codec(TensorFlow(), TensorFlowProto()),
}
FLOATS = st.floats(allow_nan=False, width=32)
LEAVES = st.none() | st.booleans() | FLOATS | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
META = st.fixed_dictionaries(
    {},
    optional={
        "puid": st.text(min_size=1, max_size=5),
        "tags": st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3),
        "routing": st.dictionaries(st.text(max_size=4), st.integers(-2, 9), min_size=1, max_size=3),
        "requestPath": st.dictionaries(st.text(max_size=4), st.text(max_size=4), min_size=1, max_size=3),
    },
)
NAMES = st.lists(st.text(max_size=3), min_size=1, max_size=3)
DATA = st.builds(
    lambda names, rows: {"names": names, "ndarray": rows}, NAMES, st.lists(VALUES, max_size=4)
) | st.builds(
    lambda names, values: {"names": names, "tensor": {"shape": [len(values)], "values": values}},
    NAMES,
    st.lists(st.floats(allow_nan=False), max_size=5),
)
BODY = (
    st.fixed_dictionaries({"data": DATA})
    | st.fixed_dictionaries({"strData": st.text(max_size=9)})
    | st.fixed_dictionaries({"jsonData": VALUES})
    | st.just({"binData": "AAEC"})
)


def as_json(value):
    return Payload(json.dumps(value).encode())


@given(META, BODY)
def test_a_seldon_message_comes_back_as_it_went(meta, body):
    message = {"meta": meta, **body}
    forms = SeldonProto()

    back = json.loads(forms.to_json(forms.from_json(as_json(message), Kind.REPLY)).body)

    assert back == message


INTEGERS = {
    "INT8": (-(2**7), 2**7 - 1), "INT16": (-(2**15), 2**15 - 1), "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1), "UINT8": (0, 2**8 - 1), "UINT16": (0, 2**16 - 1), "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1),
}  # fmt: skip


@st.composite
def v2_tensors(draw):
    kind = draw(st.sampled_from([*INTEGERS, "FP32", "FP64", "FP16", "BOOL", "BYTES"]))
    if kind in INTEGERS:
        values = st.integers(*INTEGERS[kind])
    elif kind == "BOOL":
        values = st.booleans()
    elif kind == "BYTES":
        values = st.text(max_size=4)
    else:
        values = st.floats(allow_nan=False, allow_infinity=False, width=int(kind[2:]))
    data = draw(st.lists(values, max_size=5))
    return {"name": draw(st.text(min_size=1, max_size=3)), "datatype": kind, "shape": [len(data)], "data": data}


@given(st.lists(v2_tensors(), max_size=3), st.text(max_size=4))
def test_a_v2_message_comes_back_as_it_went(inputs, identity):
    forms = OpenInferenceProto()
    message = {**({"id": identity} if identity else {}), "parameters": {"a": 1, "b": True, "c": "x", "d": 0.5}}

    for kind, key in ((Kind.REQUEST, "inputs"), (Kind.REPLY, "outputs")):
        sent = {**message, key: inputs}
        assert json.loads(forms.to_json(forms.from_json(as_json(sent), kind)).body) == sent


@given(st.lists(v2_tensors(), min_size=1, max_size=3), st.booleans())
def test_a_v2_reply_is_made_a_request_as_if_it_had_been_decoded(outputs, raw):
    forms = OpenInferenceProto()
    reply = Response.FromString(forms.from_json(as_json({"id": "7", "outputs": outputs}), Kind.REPLY).body)
    reply.model_name, reply.model_version = "m", "v"
    if raw and not reply.raw_output_contents:
        for one, written in zip(reply.outputs, outputs, strict=True):
            reply.raw_output_contents.append(tensors.encoded(written["data"], written["datatype"]))
            one.ClearField("contents")

    request = Request.FromString(forms.chained(Protobuf(reply.SerializeToString())).body)
    named = Request.FromString(forms.named(request.SerializeToString(), "next"))

    assert (request.id, request.model_name, named.model_name) == ("7", "", "next")
    assert list(request.raw_input_contents) == list(reply.raw_output_contents)
    assert [one.SerializeToString() for one in request.inputs] == [one.SerializeToString() for one in reply.outputs]


@given(META, st.dictionaries(st.text(max_size=4), st.integers(-2, 9), max_size=3))
def test_routing_is_merged_with_the_meta_that_is_there(meta, routing):
    forms = SeldonProto()
    reply = forms.from_json(as_json({"meta": meta, "strData": "x"}), Kind.REPLY)

    merged = SeldonMessage.FromString(forms.with_routing(reply, routing).body)

    assert dict(merged.meta.routing) == {**meta.get("routing", {}), **routing}
    assert merged.meta.puid == meta.get("puid", "")
    assert set(merged.meta.tags) == set(meta.get("tags", {}))
    assert merged.strData == "x"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"instances": [[1.5, 2.5]]}, ""),
        ({"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}, ""),
        ({"instances": [[True], [False]]}, ""),
        ({"instances": [[1, 2], [3]]}, "different lengths"),
        ({"instances": [1, "x"]}, "all numbers"),
        ({"instances": [{"a": 1}, {"b": 1}]}, "different columns"),
        ({}, "none of instances"),
        ([], "JSON object"),
    ],
)
def test_tensorflow_rows_become_tensors_and_rows_again(value, error):
    forms = TensorFlowProto()
    if error:
        with pytest.raises(BadPayloadError, match=error):
            forms.from_json(as_json(value), Kind.REQUEST)
        return
    assert json.loads(forms.to_json(forms.from_json(as_json(value), Kind.REQUEST)).body) == value


@given(st.binary(max_size=60), st.sampled_from(sorted(CODECS)), st.sampled_from([Kind.REQUEST, Kind.REPLY]))
def test_whatever_bytes_come_are_read_or_refused(body, name, kind):
    codec = CODECS[name]
    acts = [
        lambda message: codec.request(message, Form.JSON, chained=False),
        lambda message: codec.request(message, Form.PROTO, chained=True),
        lambda message: codec.answer(message, Form.PROTO),
        codec.route,
        codec.outcome,
        lambda message: codec.joined([message, message], ["a", "b"], Form.PROTO),
        lambda message: codec.averaged([message, message]),
        lambda message: codec.grpc.model("predict", message.body),
    ]
    for act in acts:
        with contextlib.suppress(BadPayloadError, BadRouteError):
            act(Protobuf(body, kind))


@given(VALUES | st.dictionaries(st.sampled_from(["data", "inputs", "outputs", "instances", "meta"]), VALUES))
def test_whatever_json_comes_is_put_in_a_message_or_refused(value):
    for codec in CODECS.values():
        for kind in Kind:
            with contextlib.suppress(BadPayloadError):
                codec.grpc.from_json(as_json(value), kind)


@given(st.integers(-(2**63), 2**64 - 1))
def test_numbers_are_written_as_protobuf_writes_them(value):
    body = b"\x08" + wire.varint(value)

    assert [number for number, *_ in wire.fields(body)] == [1]
    assert len(body) <= 11


def test_a_tensor_of_half_precision_is_read_from_its_bytes():
    assert tensors.decoded(b"\x00\x3c\x00\xc0", "FP16") == [1.0, -2.0]
    assert tensors.decoded(b"\x80\x3f\x00\xc0", "BF16") == [1.0, -2.0]
    assert math.isinf(tensors.decoded(b"\x80\x7f", "BF16")[0])
