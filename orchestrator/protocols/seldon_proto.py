"""The Seldon protocol over gRPC: what is read of a message, and how JSON becomes one and back."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format

from orchestrator import protos
from orchestrator.errors import BadPayloadError
from orchestrator.protocols import jsontext, wire
from orchestrator.protocols.parsing import parsed
from orchestrator.protocols.payload import Kind, Payload, Protobuf

SeldonMessage = protos.message("seldon.protos.SeldonMessage")
Feedback = protos.message("seldon.protos.Feedback")
_Metadata = protos.message("seldon.protos.SeldonModelMetadata")
_GraphMetadata = protos.message("seldon.protos.SeldonGraphMetadata")
_MetadataRequest = protos.message("seldon.protos.SeldonModelMetadataRequest")

_META, _LIST = 2, 1  # SeldonMessage.meta, SeldonMessageList.seldonMessages
_PUID, _ROUTING = 1, 3  # of Meta
_PARTS = ("request", "response", "truth")


class SeldonProto:
    """The messages of `seldon.protos`."""

    services: Sequence[str] = ("seldon.protos.Seldon",)
    doors: Mapping[str, str] = {
        "/seldon.protos.Seldon/Predict": "predict",
        "/seldon.protos.Seldon/SendFeedback": "feedback",
        "/seldon.protos.Seldon/ModelMetadata": "metadata",
        "/seldon.protos.Seldon/GraphMetadata": "graph-metadata",
    }
    methods: Mapping[str, str] = {
        "predict": "/seldon.protos.Model/Predict",
        "transform-input": "/seldon.protos.Transformer/TransformInput",
        "transform-output": "/seldon.protos.OutputTransformer/TransformOutput",
        "route": "/seldon.protos.Router/Route",
        "aggregate": "/seldon.protos.Combiner/Aggregate",
        "send-feedback": "/seldon.protos.Model/SendFeedback",
        "metadata": "/seldon.protos.Model/Metadata",
    }

    def model(self, door: str, body: bytes) -> str:
        """The node whose metadata are asked for; predictions are for the graph."""
        return str(parsed(_MetadataRequest, body).name) if door == "metadata" else ""

    def said(self, door: str, value: Any) -> bytes:
        """The graph's metadata, from what `graph.metadata.describe` gives."""
        models = {name: _texts_in_custom(own) for name, own in value["models"].items()}
        whole = {
            "name": value["name"],
            "models": models,
            "inputs": value["graphinputs"],
            "outputs": value["graphoutputs"],
        }
        return bytes(_filled(_GraphMetadata(), whole, "metadata").SerializeToString())

    def named(self, body: bytes, node: str) -> bytes:
        """The messages name no model."""
        return body

    def asked(self, verb: str, node: str) -> bytes:
        """The request for a node's metadata."""
        return bytes(_MetadataRequest(name=node).SerializeToString())

    def chained(self, reply: Protobuf) -> Protobuf:
        """Replies and requests are the same message."""
        return reply

    def turned(self, payload: Protobuf, kind: Kind) -> Protobuf:
        """The same message, too."""
        return payload

    def joined(self, replies: Sequence[Protobuf], names: Sequence[str]) -> Protobuf:
        """A SeldonMessageList."""
        return Protobuf(b"".join([wire.text(_LIST, reply.body) for reply in replies]), Kind.REQUEST)

    def with_routing(self, reply: Protobuf, routing: Mapping[str, int]) -> Protobuf:
        """In `meta.routing`: put at the end, where it is merged with the meta that is there."""
        return Protobuf(reply.body + _routing(routing))

    def to_json(self, payload: Protobuf) -> Payload:
        """A SeldonMessage as JSON."""
        return Payload(jsontext.write(as_dict(parsed(SeldonMessage, payload.body))))

    def feedback_to_json(self, payload: Protobuf) -> Payload:
        """A Feedback as JSON."""
        return Payload(jsontext.write(feedback_as_dict(parsed(Feedback, payload.body))))

    def from_json(self, payload: Payload, kind: Kind) -> Protobuf:
        """A SeldonMessage from JSON."""
        return Protobuf(bytes(as_message(jsontext.read(payload.plain())).SerializeToString()), kind)

    def feedback_from_json(self, payload: Payload) -> Protobuf:
        """A Feedback from JSON."""
        return Protobuf(bytes(as_feedback(jsontext.read(payload.plain())).SerializeToString()), Kind.REQUEST)

    def answer_like(self, asked: Protobuf, answer: Protobuf) -> Protobuf:
        """Its clients read tensors however they are written."""
        return answer

    def metadata_to_json(self, body: bytes) -> dict[str, Any]:
        """A node's metadata."""
        return dict(json_format.MessageToDict(parsed(_Metadata, body), descriptor_pool=protos.pool))

    def metadata_from_json(self, metadata: Mapping[str, Any]) -> bytes:
        """A node's metadata from JSON. Raises BadPayloadError for what has no place in the message."""
        return bytes(_filled(_Metadata(), _texts_in_custom(metadata), "metadata").SerializeToString())

    def status_to_json(self, body: bytes) -> dict[str, Any]:
        """The protocol has no status over gRPC."""
        return {}

    def status_from_json(self, status: Mapping[str, Any]) -> bytes:
        """The protocol has no status over gRPC."""
        return b""


def _routing(routing: Mapping[str, int]) -> bytes:
    entries = [
        wire.text(_ROUTING, wire.text(1, name.encode()) + b"\x10" + wire.varint(taken))
        for name, taken in routing.items()
    ]
    return wire.text(_META, b"".join(entries))


# ------------------------------------------------------------ to JSON


def as_dict(message: Any) -> dict[str, Any]:
    """A SeldonMessage as the JSON of the REST protocol."""
    found: dict[str, Any] = {}
    if message.HasField("status"):
        found["status"] = _plain(message.status)
    found["meta"] = _meta_dict(message.meta)
    which = message.WhichOneof("data_oneof")
    if which == "data":
        found["data"] = _data_dict(message.data)
    elif which == "binData":
        found["binData"] = base64.b64encode(message.binData).decode("ascii")
    elif which == "strData":
        found["strData"] = message.strData
    elif which == "jsonData":
        found["jsonData"] = value_of(message.jsonData)
    elif which == "customData":
        raise BadPayloadError("customData has no form in JSON: such a message can only go from gRPC to gRPC")
    return found


def feedback_as_dict(message: Any) -> dict[str, Any]:
    """A Feedback as the JSON of the REST protocol."""
    found = {part: as_dict(getattr(message, part)) for part in _PARTS if message.HasField(part)}
    # The shortest text that is the same single-precision number: 0.1, not 0.10000000149.
    return {**found, "reward": json_format.MessageToDict(Feedback(reward=message.reward)).get("reward", 0.0)}


def _meta_dict(meta: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"puid": meta.puid} if meta.puid else {}
    if meta.tags:
        found["tags"] = {name: value_of(value) for name, value in meta.tags.items()}
    for key in ("routing", "requestPath"):
        if values := getattr(meta, key):
            found[key] = dict(values)
    if meta.metrics:
        found["metrics"] = [{"type": "COUNTER", "value": 0.0, **_plain(metric)} for metric in meta.metrics]
    return found


def _plain(message: Any) -> dict[str, Any]:
    return dict(json_format.MessageToDict(message, descriptor_pool=protos.pool))


def _data_dict(data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"names": list(data.names)} if data.names else {}
    which = data.WhichOneof("data_oneof")
    if which == "tensor":
        found["tensor"] = {"shape": list(data.tensor.shape), "values": list(data.tensor.values)}
    elif which == "ndarray":
        found["ndarray"] = [value_of(value) for value in data.ndarray.values]
    elif which == "tftensor":
        found["tftensor"] = _plain(data.tftensor)
    return found


def value_of(value: Any) -> Any:
    """A `google.protobuf.Value` as Python's own."""
    which = value.WhichOneof("kind")
    if which == "list_value":
        return [value_of(item) for item in value.list_value.values]
    if which == "struct_value":
        return {key: value_of(item) for key, item in value.struct_value.fields.items()}
    return None if which in {None, "null_value"} else getattr(value, which)


# ------------------------------------------------------------ from JSON


def as_message(value: Any) -> Any:
    """A SeldonMessage from the JSON of the REST protocol.

    Raises:
        BadPayloadError: a part of it is not as the protocol has it; the message names it.
    """
    message = SeldonMessage()
    if not isinstance(value, Mapping):
        raise BadPayloadError("the message must be a JSON object")
    for part in ("status", "meta"):
        if isinstance(value.get(part), Mapping):
            _filled(getattr(message, part), value[part], part)
            getattr(message, part).SetInParent()
    data = value.get("data")
    if isinstance(data, Mapping):
        _fill_data(message.data, data)
    elif "binData" in value:
        message.binData = _bytes(value["binData"])
    elif "strData" in value:
        message.strData = _text(value["strData"])
    elif "jsonData" in value:
        set_value(message.jsonData, value["jsonData"])
    return message


def as_feedback(value: Any) -> Any:
    """A Feedback from the JSON of the REST protocol. Raises BadPayloadError."""
    if not isinstance(value, Mapping):
        raise BadPayloadError("feedback must be a JSON object with request, response, reward or truth")
    message = Feedback()
    for part in _PARTS:
        if isinstance(value.get(part), Mapping):
            getattr(message, part).CopyFrom(as_message(value[part]))
    reward = value.get("reward")
    if reward is not None:
        if isinstance(reward, bool) or not isinstance(reward, int | float):
            raise BadPayloadError(f"reward: {reward!r} is not valid; expected a number")
        message.reward = reward
    return message


def _fill_data(into: Any, data: Mapping[str, Any]) -> None:
    try:
        into.names.extend([str(name) for name in data.get("names") or ()])
        if "tensor" in data:
            into.tensor.SetInParent()
            into.tensor.shape.extend([int(size) for size in data["tensor"].get("shape") or ()])
            into.tensor.values.extend(data["tensor"].get("values") or ())
        elif "ndarray" in data:
            into.ndarray.SetInParent()
            for item in data["ndarray"]:
                set_value(into.ndarray.values.add(), item)
        elif "tftensor" in data:
            _filled(into.tftensor, data["tftensor"], "data.tftensor")
    except (AttributeError, TypeError, ValueError) as error:
        raise BadPayloadError(f"data is not as the protocol has it: {error}") from None
    into.SetInParent()


def set_value(into: Any, value: Any) -> None:
    """Write Python's own value to a `google.protobuf.Value`. Raises BadPayloadError for what has no place in one."""
    if isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif isinstance(value, str):
        into.string_value = _text(value)
    elif value is None:
        into.null_value = 0
    elif isinstance(value, Mapping):
        into.struct_value.SetInParent()
        for key, item in value.items():
            set_value(into.struct_value.fields[_text(key)], item)
    elif isinstance(value, list | tuple):
        into.list_value.SetInParent()
        for item in value:
            set_value(into.list_value.values.add(), item)
    else:
        raise BadPayloadError(f"a {type(value).__name__} has no place in a message")


def _filled(into: Any, value: Any, where: str) -> Any:
    try:
        return json_format.ParseDict(value, into, ignore_unknown_fields=True, descriptor_pool=protos.pool)
    except (json_format.ParseError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadPayloadError(f"{where} is not as the protocol has it: {error}") from None


def _texts_in_custom(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """In the message, `custom` maps to text alone."""
    custom = metadata.get("custom")
    if not isinstance(custom, Mapping):
        return dict(metadata)
    return {**metadata, "custom": {str(key): str(value) for key, value in custom.items()}}


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise BadPayloadError(f"binData is no base64: {error}") from None


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadPayloadError(f"text that is no Unicode: {error}") from None
    return text
