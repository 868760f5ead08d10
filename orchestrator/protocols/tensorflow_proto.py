"""TensorFlow Serving's protocol over gRPC. Tensors go through a chain as the bytes they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format

from orchestrator import protos
from orchestrator.errors import BadPayloadError
from orchestrator.protocols import jsontext, tensors, wire
from orchestrator.protocols.parsing import parsed
from orchestrator.protocols.payload import Kind, Payload, Protobuf

Request = protos.message("tensorflow.serving.PredictRequest")
Response = protos.message("tensorflow.serving.PredictResponse")
_MetadataRequest = protos.message("tensorflow.serving.GetModelMetadataRequest")
_Metadata = protos.message("tensorflow.serving.GetModelMetadataResponse")
_StatusRequest = protos.message("tensorflow.serving.GetModelStatusRequest")
_Status = protos.message("tensorflow.serving.GetModelStatusResponse")
_DataType = protos.pool.FindEnumTypeByName("tensorflow.DataType")

_MODEL_SPEC, _NAME = 1, 1
_AS_REQUEST = {1: 2}  # outputs to inputs; whose model it was is left out
_AS_REPLY = {2: 1}
_INPUT = "inputs"  # the name of rows that have none
# The type to the field of its values and to the name that its raw bytes are read by.
_TYPES = {
    "DT_FLOAT": ("float_val", "FP32"), "DT_DOUBLE": ("double_val", "FP64"), "DT_INT32": ("int_val", "INT32"),
    "DT_UINT8": ("int_val", "UINT8"), "DT_INT16": ("int_val", "INT16"), "DT_INT8": ("int_val", "INT8"),
    "DT_UINT16": ("int_val", "UINT16"), "DT_STRING": ("string_val", ""), "DT_INT64": ("int64_val", "INT64"),
    "DT_BOOL": ("bool_val", "BOOL"), "DT_UINT32": ("uint32_val", "UINT32"), "DT_UINT64": ("uint64_val", "UINT64"),
}  # fmt: skip

_TENSOR_VERBS = ("predict", "transform-input", "transform-output", "route", "aggregate")
_METHOD = "/tensorflow.serving.PredictionService/Predict"


class TensorFlowProto:
    """The messages of `tensorflow.serving`. All that takes tensors is Predict."""

    services: Sequence[str] = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
    doors: Mapping[str, str] = {
        "/tensorflow.serving.PredictionService/Predict": "predict",
        "/tensorflow.serving.PredictionService/Classify": "classify",
        "/tensorflow.serving.PredictionService/Regress": "regress",
        "/tensorflow.serving.PredictionService/MultiInference": "multi-inference",
        "/tensorflow.serving.PredictionService/GetModelMetadata": "metadata",
        "/tensorflow.serving.ModelService/GetModelStatus": "status",
    }
    methods: Mapping[str, str] = dict.fromkeys(_TENSOR_VERBS, _METHOD) | {
        "classify": "/tensorflow.serving.PredictionService/Classify",
        "regress": "/tensorflow.serving.PredictionService/Regress",
        "multi-inference": "/tensorflow.serving.PredictionService/MultiInference",
        "metadata": "/tensorflow.serving.PredictionService/GetModelMetadata",
        "status": "/tensorflow.serving.ModelService/GetModelStatus",
    }

    def model(self, door: str, body: bytes) -> str:
        """The name in `model_spec`, which is the first field of nearly all of them."""
        if door == "multi-inference":
            return ""
        try:
            return wire.first(wire.first(body, _MODEL_SPEC), _NAME).decode()
        except UnicodeDecodeError:
            raise BadPayloadError("the name of the model is no text") from None

    def said(self, door: str, value: Any) -> bytes:
        """Whose metadata they are: the protocol knows no graph."""
        return self.metadata_from_json({"model_spec": {"name": value["name"]}})

    def named(self, body: bytes, node: str) -> bytes:
        """The request with the node's own name in its `model_spec`; version and signature stay."""
        return body + wire.text(_MODEL_SPEC, wire.text(_NAME, node.encode()))

    def asked(self, verb: str, node: str) -> bytes:
        """The request for a node's metadata (its signatures) or its status."""
        if verb == "status":
            return bytes(_StatusRequest(model_spec={"name": node}).SerializeToString())
        return bytes(_MetadataRequest(model_spec={"name": node}, metadata_field=["signature_def"]).SerializeToString())

    def chained(self, reply: Protobuf) -> Protobuf:
        """`outputs` become `inputs`."""
        return self.turned(reply, Kind.REQUEST)

    def turned(self, payload: Protobuf, kind: Kind) -> Protobuf:
        """A reply as a request, or the other way."""
        if payload.kind is kind:
            return payload
        return Protobuf(wire.renumbered(payload.body, _AS_REQUEST if kind is Kind.REQUEST else _AS_REPLY), kind)

    def joined(self, replies: Sequence[Protobuf], names: Sequence[str]) -> Protobuf:
        """One request with the outputs of all children, each named `child.output`."""
        request = Request()
        for name, reply in zip(names, replies, strict=True):
            for key, tensor in parsed(Response, self.turned(reply, Kind.REPLY).body).outputs.items():
                request.inputs[f"{name}.{key}"].CopyFrom(tensor)
        return Protobuf(bytes(request.SerializeToString()), Kind.REQUEST)

    def with_routing(self, reply: Protobuf, routing: Mapping[str, int]) -> Protobuf:
        """The protocol has no place for it."""
        return reply

    def to_json(self, payload: Protobuf) -> Payload:
        """Columns as rows: `instances` of a request, `predictions` of a reply; of one tensor the rows have no names."""
        if payload.kind is Kind.REQUEST:
            message = parsed(Request, payload.body)
            found: dict[str, Any] = {"instances": _rows(message.inputs)}
            if message.model_spec.signature_name:
                found["signature_name"] = message.model_spec.signature_name
            return Payload(jsontext.write(found))
        return Payload(jsontext.write({"predictions": _rows(parsed(Response, payload.body).outputs)}))

    def from_json(self, payload: Payload, kind: Kind) -> Protobuf:
        """Rows or columns as tensors. Numbers with a point become DT_FLOAT, whole ones DT_INT64."""
        value = jsontext.read(payload.plain())
        if not isinstance(value, Mapping):
            raise BadPayloadError("a TensorFlow message must be a JSON object")
        message = Request() if kind is Kind.REQUEST else Response()
        places = message.inputs if kind is Kind.REQUEST else message.outputs
        if kind is Kind.REQUEST and value.get("signature_name"):
            message.model_spec.signature_name = str(value["signature_name"])
        for name, column in _columns(value).items():
            _fill(places[str(name)], column)
        return Protobuf(bytes(message.SerializeToString()), kind)

    def answer_like(self, asked: Protobuf, answer: Protobuf) -> Protobuf:
        """Its clients read tensors however they are written."""
        return answer

    def metadata_to_json(self, body: bytes) -> dict[str, Any]:
        """A node's metadata; signatures, which the message packs by a type that is not known here, are left out."""
        message = parsed(_Metadata, body)
        return {"model_spec": dict(json_format.MessageToDict(message.model_spec, descriptor_pool=protos.pool))}

    def metadata_from_json(self, metadata: Mapping[str, Any]) -> bytes:
        """A node's metadata from JSON: whose it is."""
        spec = metadata.get("model_spec")
        name = spec.get("name") if isinstance(spec, Mapping) else None
        return bytes(_Metadata(model_spec={"name": str(name or "")}).SerializeToString())

    def status_to_json(self, body: bytes) -> dict[str, Any]:
        """The versions of the node's model and their states."""
        message = parsed(_Status, body)
        return dict(json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=protos.pool))

    def status_from_json(self, status: Mapping[str, Any]) -> bytes:
        """The same from JSON; a built-in's is one version that is available, or is not."""
        if "ready" in status:
            status = {"model_version_status": [{"state": "AVAILABLE" if status["ready"] else "UNLOADING"}]}
        try:
            message = json_format.ParseDict(dict(status), _Status(), ignore_unknown_fields=True)
        except (json_format.ParseError, TypeError, ValueError, AttributeError) as error:
            raise BadPayloadError(f"the status is not as the protocol has it: {error}") from None
        return bytes(message.SerializeToString())


# ------------------------------------------------------------ to JSON


def _rows(columns: Mapping[str, Any]) -> Any:
    values = {name: _values(tensor) for name, tensor in columns.items()}
    if len(values) == 1:
        return next(iter(values.values()))
    lengths = {len(column) if isinstance(column, list) else -1 for column in values.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise BadPayloadError("tensors with different numbers of rows have no form in TensorFlow's row JSON")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _values(tensor: Any) -> Any:
    kind = _DataType.values_by_number.get(tensor.dtype)
    field, raw = _TYPES.get(kind.name if kind else "", ("", ""))
    if not field:
        raise BadPayloadError(f"a tensor of the type {kind.name if kind else tensor.dtype} has no form in JSON")
    shape = [int(dim.size) for dim in tensor.tensor_shape.dim]
    if tensor.tensor_content and raw:
        values = tensors.decoded(tensor.tensor_content, raw)
    else:
        values = list(getattr(tensor, field))
        size = 1
        for length in shape:
            size *= length
        if len(values) == 1 and size > 1:
            values *= min(size, 1 << 24)  # one value fills the whole shape
    if field == "string_val":
        values = [_shown(value) for value in values]
    return tensors.nested(values, shape)


def _shown(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadPayloadError("a DT_STRING tensor that is no text has no form in JSON") from None


# ------------------------------------------------------------ from JSON


def _columns(value: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("instances", "predictions"):
        if key in value:
            rows = value[key]
            if not isinstance(rows, list):
                raise BadPayloadError(f"{key} must be a list")
            if not rows or not isinstance(rows[0], Mapping):
                return {_INPUT if key == "instances" else "outputs": rows}
            if not all(isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows):
                raise BadPayloadError(f"{key}: the rows have different columns")
            return {name: [row[name] for row in rows] for name in rows[0]}
    for key in ("inputs", "outputs"):
        if key in value:
            return dict(value[key]) if isinstance(value[key], Mapping) else {key: value[key]}
    raise BadPayloadError("the message has none of instances, inputs, predictions and outputs")


def _fill(tensor: Any, column: Any) -> None:
    values, shape = tensors.flat(column)
    if all(isinstance(value, bool) for value in values) and values:
        kind = "DT_BOOL"
    elif all(isinstance(value, int) and not isinstance(value, bool) for value in values) and values:
        kind = "DT_INT64"
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        kind = "DT_FLOAT"
    elif all(isinstance(value, str) for value in values):
        kind, values = "DT_STRING", [value.encode() for value in values]
    else:
        raise BadPayloadError("a tensor's values must be all numbers, all text or all booleans")
    tensor.dtype = _DataType.values_by_name[kind].number
    tensor.tensor_shape.SetInParent()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    try:
        getattr(tensor, _TYPES[kind][0]).extend(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPayloadError(f"a tensor's values do not fit {kind}: {error}") from None
