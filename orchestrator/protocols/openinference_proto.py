"""The Open Inference Protocol (v2) over gRPC. Tensors, raw ones too, go through a chain as the bytes they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import protos
from orchestrator.errors import BadPayloadError
from orchestrator.protocols import binary, jsontext, tensors, wire
from orchestrator.protocols.parsing import parsed
from orchestrator.protocols.payload import Kind, Payload, Protobuf

Request = protos.message("inference.ModelInferRequest")
Response = protos.message("inference.ModelInferResponse")
Metadata = protos.message("inference.ModelMetadataResponse")
_Live = protos.message("inference.ServerLiveResponse")
_Ready = protos.message("inference.ServerReadyResponse")
_Server = protos.message("inference.ServerMetadataResponse")
_Asked = protos.message("inference.ModelReadyRequest")

_MODEL_NAME = 1
_RAW_INPUTS = 7
# Field numbers of a reply to those of a request and back: the tensors are written alike, their raw bytes are not.
_AS_REQUEST = {3: 3, 4: 4, 5: 5, 6: 7}
_AS_REPLY = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 7: 6}
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
_RAW_ONLY = ("FP16", "BF16")

_TENSOR_VERBS = ("predict", "transform-input", "transform-output", "route", "aggregate")
_METHOD = "/inference.GRPCInferenceService/ModelInfer"


class OpenInferenceProto:
    """The messages of `inference`. All that takes tensors is ModelInfer."""

    services: Sequence[str] = ("inference.GRPCInferenceService",)
    doors: Mapping[str, str] = {
        "/inference.GRPCInferenceService/ModelInfer": "predict",
        "/inference.GRPCInferenceService/ServerLive": "live",
        "/inference.GRPCInferenceService/ServerReady": "ready",
        "/inference.GRPCInferenceService/ServerMetadata": "server-metadata",
        "/inference.GRPCInferenceService/ModelReady": "status",
        "/inference.GRPCInferenceService/ModelMetadata": "metadata",
    }
    methods: Mapping[str, str] = dict.fromkeys(_TENSOR_VERBS, _METHOD) | {
        "metadata": "/inference.GRPCInferenceService/ModelMetadata",
        "status": "/inference.GRPCInferenceService/ModelReady",
    }

    def model(self, door: str, body: bytes) -> str:
        """The name that the request has, which is the first field of all of them."""
        try:
            return wire.first(body, _MODEL_NAME).decode()
        except UnicodeDecodeError:
            raise BadPayloadError("the name of the model is no text") from None

    def said(self, door: str, value: Any) -> bytes:
        """Live, ready, the server's metadata or those of the graph."""
        if door == "live":
            return bytes(_Live(live=value).SerializeToString())
        if door == "ready":
            return bytes(_Ready(ready=value).SerializeToString())
        if door == "server-metadata":
            return bytes(_Server(**value).SerializeToString())
        whole = {"name": value["name"], "inputs": value["graphinputs"], "outputs": value["graphoutputs"]}
        return self.metadata_from_json(whole)

    def named(self, body: bytes, node: str) -> bytes:
        """The request with the node's own name for its model, whatever name came."""
        return body + wire.text(_MODEL_NAME, node.encode())

    def asked(self, verb: str, node: str) -> bytes:
        """The request for a node's metadata or its readiness: both have the name in the same place."""
        return bytes(_Asked(name=node).SerializeToString())

    def chained(self, reply: Protobuf) -> Protobuf:
        """Outputs become inputs, with `id`, `parameters` and raw contents."""
        return self.turned(reply, Kind.REQUEST)

    def turned(self, payload: Protobuf, kind: Kind) -> Protobuf:
        """A reply as a request, or the other way."""
        if payload.kind is kind:
            return payload
        numbers = _AS_REQUEST if kind is Kind.REQUEST else _AS_REPLY
        return Protobuf(wire.renumbered(payload.body, numbers), kind)

    def joined(self, replies: Sequence[Protobuf], names: Sequence[str]) -> Protobuf:
        """One request with the outputs of all children, each named `child.output`; `id` and `parameters` of the first.

        Raises:
            BadPayloadError: a reply cannot be read, or raw and written tensors cannot be put side by side.
        """
        request = Request()
        found = [parsed(Response, self.turned(reply, Kind.REPLY).body) for reply in replies]
        request.id = found[0].id
        for key, value in found[0].parameters.items():
            request.parameters[key].CopyFrom(value)
        raw = any(one.raw_output_contents for one in found)
        for name, one in zip(names, found, strict=True):
            contents = list(one.raw_output_contents) if raw else []
            for at, output in enumerate(one.outputs):
                added = request.inputs.add()
                added.MergeFromString(output.SerializeToString())
                added.name = f"{name}.{output.name}"
                if raw:
                    request.raw_input_contents.append(contents[at] if at < len(contents) else _raw(output))
                    added.ClearField("contents")
        return Protobuf(bytes(request.SerializeToString()), Kind.REQUEST)

    def with_routing(self, reply: Protobuf, routing: Mapping[str, int]) -> Protobuf:
        """The protocol has no place for it."""
        return reply

    def to_json(self, payload: Protobuf) -> Payload:
        """A request or a reply as JSON."""
        message = parsed(Request if payload.kind is Kind.REQUEST else Response, payload.body)
        found: dict[str, Any] = {key: getattr(message, key) for key in ("model_name", "model_version", "id")}
        found = {key: value for key, value in found.items() if value}
        if message.parameters:
            found["parameters"] = _parameters(message.parameters)
        if payload.kind is Kind.REPLY:
            found["outputs"] = _tensors(message.outputs, message.raw_output_contents)
        else:
            found["inputs"] = _tensors(message.inputs, message.raw_input_contents)
            if message.outputs:
                found["outputs"] = [
                    {"name": one.name, **({"parameters": _parameters(one.parameters)} if one.parameters else {})}
                    for one in message.outputs
                ]
        return Payload(jsontext.write(found))

    def from_json(self, payload: Payload, kind: Kind) -> Protobuf:
        """A request or a reply from JSON."""
        value = binary.message(payload)
        if not isinstance(value, Mapping):
            raise BadPayloadError("a v2 message must be a JSON object")
        request = kind is Kind.REQUEST
        message = Request() if request else Response()
        try:
            for key in ("model_name", "model_version", "id"):
                if value.get(key):
                    setattr(message, key, str(value[key]))
            _fill_parameters(message.parameters, value.get("parameters"))
            written = value.get("inputs") if "inputs" in value else value.get("outputs")
            places = message.inputs if request else message.outputs
            raw = message.raw_input_contents if request else message.raw_output_contents
            _fill(places, raw, written)
            for one in (value.get("outputs") or ()) if request and "inputs" in value else ():
                asked = message.outputs.add(name=str(one["name"]))
                _fill_parameters(asked.parameters, one.get("parameters"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadPayloadError(f"the message is not as the v2 protocol has it: {error}") from None
        return Protobuf(bytes(message.SerializeToString()), kind)

    def answer_like(self, asked: Protobuf, answer: Protobuf) -> Protobuf:
        """Raw contents for who sent raw contents: some clients, such as Triton's, read no others."""
        if not any(number == _RAW_INPUTS for number, *_ in wire.fields(asked.body)):
            return answer
        message = parsed(Response, answer.body)
        if not message.raw_output_contents:
            for output in message.outputs:
                message.raw_output_contents.append(_raw(output))
                output.ClearField("contents")
        return Protobuf(bytes(message.SerializeToString()), answer.kind)

    def metadata_to_json(self, body: bytes) -> dict[str, Any]:
        """A node's metadata."""
        message = parsed(Metadata, body)
        found = {"name": message.name, "versions": list(message.versions), "platform": message.platform}
        for side in ("inputs", "outputs"):
            found[side] = [
                {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in getattr(message, side)
            ]
        return found

    def metadata_from_json(self, metadata: Mapping[str, Any]) -> bytes:
        """A node's metadata from JSON."""
        try:
            message = Metadata(
                name=str(metadata.get("name") or ""),
                versions=[str(one) for one in metadata.get("versions") or ()],
                platform=str(metadata.get("platform") or ""),
            )
            for side in ("inputs", "outputs"):
                for one in metadata.get(side) or ():
                    shape = [int(size) for size in one.get("shape") or ()]
                    getattr(message, side).add(
                        name=str(one["name"]), datatype=str(one.get("datatype", "")), shape=shape
                    )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadPayloadError(f"the metadata is not as the v2 protocol has it: {error}") from None
        return bytes(message.SerializeToString())

    def status_to_json(self, body: bytes) -> dict[str, Any]:
        """Whether the node is ready."""
        return {"ready": bool(parsed(_Ready, body).ready)}

    def status_from_json(self, status: Mapping[str, Any]) -> bytes:
        """A node that answers at all is ready, unless it says that it is not."""
        return bytes(_Ready(ready=status.get("ready") is not False).SerializeToString())


# ------------------------------------------------------------ to JSON


def _tensors(written: Any, raw: Sequence[bytes]) -> list[dict[str, Any]]:
    found = []
    for at, tensor in enumerate(written):
        one = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if tensor.parameters:
            one["parameters"] = _parameters(tensor.parameters)
        data = tensors.decoded(raw[at], tensor.datatype) if at < len(raw) else _values(tensor)
        found.append({**one, "data": [_shown(value) for value in data] if tensor.datatype == "BYTES" else data})
    return found


def _values(tensor: Any) -> list[Any]:
    place = _CONTENTS.get(tensor.datatype)
    if place is None:
        raise BadPayloadError(f"tensor {tensor.name!r} of the type {tensor.datatype!r} has no raw contents")
    return list(getattr(tensor.contents, place))


def _raw(tensor: Any) -> bytes:
    return tensors.encoded(_values(tensor), tensor.datatype)


def _shown(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadPayloadError("a BYTES tensor that is no text has no form in JSON") from None


def _parameters(parameters: Any) -> dict[str, Any]:
    return {
        key: getattr(value, value.WhichOneof("parameter_choice") or "bool_param") for key, value in parameters.items()
    }


# ------------------------------------------------------------ from JSON


def _fill(into: Any, raw: Any, written: Any) -> None:
    kinds = [str(one["datatype"]) for one in written or ()]
    as_raw = any(kind in _RAW_ONLY for kind in kinds)  # raw contents are for all tensors or for none
    for one, kind in zip(written or (), kinds, strict=True):
        if kind not in _CONTENTS and kind not in _RAW_ONLY:
            raise BadPayloadError(f"tensor {one.get('name')!r}: the type {kind!r} is not known")
        tensor = into.add(name=str(one["name"]), datatype=kind, shape=[int(size) for size in one["shape"]])
        _fill_parameters(tensor.parameters, one.get("parameters"))
        values, _ = tensors.flat(one.get("data"))
        if kind == "BYTES":
            values = [value.encode() if isinstance(value, str) else str(value).encode() for value in values]
        elif kind == "BOOL":
            values = [bool(value) for value in values]
        if as_raw:
            raw.append(tensors.encoded(values, kind))
        else:
            getattr(tensor.contents, _CONTENTS[kind]).extend(values)


def _fill_parameters(into: Any, parameters: Any) -> None:
    for key, value in (parameters or {}).items():
        if isinstance(value, bool):
            into[key].bool_param = value
        elif isinstance(value, int):
            into[key].int64_param = value
        elif isinstance(value, float):
            into[key].double_param = value
        elif isinstance(value, str):
            into[key].string_param = value
        # What is nested (as MLServer's own content types are not) has no place in the message, and is left out.
