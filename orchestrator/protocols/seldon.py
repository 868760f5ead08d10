"""The Seldon protocol over JSON: only what a graph needs is read, all else stays the bytes it was."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any
from urllib.parse import unquote

import orjson

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols import averages, jsontext, outcome
from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Payload

_SIMPLE_MODEL = orjson.dumps(
    {
        "meta": {},
        "data": {
            "names": ["class0", "class1", "class2"],
            "tensor": {"shape": [1, 3], "values": [0.9, 0.05, 0.05]},
        },
    }
)


def failure(status: int, info: str, reason: str = "") -> bytes:
    """A SeldonMessage that says what went wrong."""
    body = {"code": status, "info": info, "reason": reason, "status": "FAILURE"}
    if not reason:
        del body["reason"]
    return orjson.dumps({"status": body})


def route(body: bytes) -> int:
    """The route in a router's reply: the first number of its data, however it is put; -1 where data has another form.

    Raises:
        BadRouteError: there is no route in it.
    """
    try:
        reply = jsontext.read(body)
    except BadPayloadError as error:
        raise BadRouteError(f"a router answered what is no JSON: {error}") from error
    if isinstance(reply, list):
        return first_number(reply)
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, dict):
        raise BadRouteError(f"a router answered without data: {body[:200]!r}; expected {{'data': {{'ndarray': [n]}}}}")
    if "ndarray" in data:
        return first_number(data["ndarray"])
    if isinstance(data.get("tensor"), dict):
        return first_number(data["tensor"].get("values"))
    if isinstance(data.get("tftensor"), dict):
        for key in ("intVal", "int64Val", "int_val", "int64_val"):
            if data["tftensor"].get(key):
                return first_number(data["tftensor"][key])
    return -1


def first_number(value: Any) -> int:
    """The whole number that a router's data starts with, however deep it is nested.

    Raises:
        BadRouteError: it starts with none.
    """
    found = value
    for _ in range(8):
        if not isinstance(found, list):
            break
        if not found:
            raise BadRouteError(f"a router answered with no number: {value!r}")
        found = found[0]
    try:
        number = float(found)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise BadRouteError(f"a router answered {found!r}; expected a whole number")


def routing_of_feedback(body: bytes) -> dict[str, int]:
    """The way that the request took, node by node, as the client gives it back in `response.meta.routing`.

    Raises:
        BadPayloadError: the body is no feedback.
    """
    feedback = jsontext.read(body)
    if not isinstance(feedback, dict):
        raise BadPayloadError("feedback must be a JSON object with request, response, reward or truth")
    found: Any = feedback
    for key in ("response", "meta", "routing"):
        found = found.get(key)
        if not isinstance(found, dict):
            return {}
    return {str(name): _whole(name, taken) for name, taken in found.items() if isinstance(taken, int | float)}


def _whole(name: str, taken: float) -> int:
    if isinstance(taken, int) or (isfinite(taken) and int(taken) == taken):
        return int(taken)
    raise BadPayloadError(f"response.meta.routing[{name!r}]: {taken!r} is not valid; expected a whole number")


def reward_of_feedback(body: bytes) -> float:
    """The reward in a feedback, 0 when there is none.

    Raises:
        BadPayloadError: the body is no feedback, or the reward no number.
    """
    feedback = jsontext.read(body)
    reward = feedback.get("reward") if isinstance(feedback, dict) else None
    if reward is None:
        return 0.0
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise BadPayloadError(f"reward: {reward!r} is not valid; expected a number")
    return float(reward)


def with_routing(body: bytes, routing: Mapping[str, int]) -> bytes:
    """The message with the way it took in `meta.routing`. What is no JSON object, or nested too deep, is left alone."""
    try:
        message = jsontext.read(body)
    except BadPayloadError:
        return body
    if not isinstance(message, dict):
        return body
    meta = message.get("meta")
    if not isinstance(meta, dict):
        meta = {}
        message["meta"] = meta
    known = meta.get("routing")
    meta["routing"] = {**known, **routing} if isinstance(known, dict) else dict(routing)
    try:
        return jsontext.write(message)
    except BadPayloadError:
        return body


def joined(payloads: Sequence[Payload]) -> Payload:
    """The children's answers as a combiner takes them: one JSON array."""
    return Payload(b"[" + b",".join([payload.plain() for payload in payloads]) + b"]")


def simple_model() -> Payload:
    """What SIMPLE_MODEL always answers."""
    return Payload(_SIMPLE_MODEL)


def averaged(payloads: Sequence[Payload]) -> Payload:
    """What AVERAGE_COMBINER answers: the element-wise mean, in the form of the first answer, with all their meta.

    Raises:
        BadPayloadError: an answer has no numbers, or another shape than the first.
    """
    messages = [jsontext.read(payload.plain()) for payload in payloads]
    found = [_data(message) for message in messages]
    tensors = [_tensor(data) for data in found]
    shapes = [tensor.get("shape") for tensor in tensors if tensor is not None]
    if tensors[0] is not None and any(shape != shapes[0] for shape in shapes):
        raise BadPayloadError("AVERAGE_COMBINER: the children's answers have different shapes")
    mean = averages.mean(
        [
            data["ndarray"] if tensor is None else tensor.get("values")
            for data, tensor in zip(found, tensors, strict=True)
        ]
    )
    names = {"names": found[0]["names"]} if "names" in found[0] else {}
    form = {"ndarray": mean} if tensors[0] is None else {"tensor": {**tensors[0], "values": mean}}
    return Payload(jsontext.write({"meta": _merged(messages), "data": {**names, **form}}))


def _data(message: Any) -> dict[str, Any]:
    data = message.get("data") if isinstance(message, dict) else None
    if isinstance(data, dict) and (_tensor(data) is not None or isinstance(data.get("ndarray"), list)):
        return data
    raise BadPayloadError("AVERAGE_COMBINER: a child's answer has neither data.tensor nor data.ndarray")


def _tensor(data: dict[str, Any]) -> dict[str, Any] | None:
    tensor = data.get("tensor")
    return tensor if isinstance(tensor, dict) else None


def _merged(messages: Sequence[Any]) -> dict[str, Any]:
    """All children's meta in one: tags and requestPath side by side (the later wins), metrics one after the other."""
    merged: dict[str, Any] = {}
    for message in messages:
        meta = message.get("meta")
        for key, value in meta.items() if isinstance(meta, dict) else ():
            if isinstance(value, dict) and isinstance(merged.get(key, {}), dict):
                merged[key] = {**merged.get(key, {}), **value}
            elif isinstance(value, list) and isinstance(merged.get(key, []), list):
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = value
    return merged


def outcome_of(message: Any) -> Outcome:
    """The classes, scores and outliers in a message."""
    found = Outcome()
    if not isinstance(message, dict):
        return found
    data, meta = message.get("data"), message.get("meta")
    if isinstance(data, dict):
        names = data["names"] if isinstance(data.get("names"), list) else []
        tensor = data.get("tensor")
        if isinstance(tensor, dict):
            found = outcome.of_table(outcome.shaped(tensor.get("values"), tensor.get("shape")), names)
        else:
            found = outcome.of_table(data.get("ndarray"), names)
    elif isinstance(message.get("strData"), str):
        found.classes.append(message["strData"])
    if isinstance(meta, dict):
        found.outliers = outcome.outliers_among(meta.get("tags"))
    return found


class Seldon:
    """The Seldon protocol."""

    name = "seldon"
    predict_paths: Sequence[str] = ("/api/v1.0/predictions", "/api/v0.1/predictions")
    feedback_paths: Sequence[str] = ("/api/v1.0/feedback", "/api/v0.1/feedback")
    ready_paths: Sequence[str] = ("/api/v1.0/status", "/api/v1.0/health/status")
    metadata_paths: Sequence[str] = ("/api/v1.0/metadata",)
    sends_feedback = True
    turn = None
    pages: Mapping[str, Any] = {}
    _PATHS: Mapping[str, str] = {"status": "/health/status", "ready": "/api/v1.0/health/status"}

    def addressed(self, path: str) -> tuple[str, str] | None:
        """`/api/v1.0/status/{node}` and `/api/v1.0/metadata/{node}`."""
        match path.split("/"):
            case ["", "api", "v0.1" | "v1.0", "status" | "metadata" as verb, node] if node:
                return verb, unquote(node)
        return None

    def path(self, verb: str, node: str) -> str:
        """Every verb has its own path, the same for all nodes."""
        return self._PATHS.get(verb, f"/{verb}")

    def chained(self, reply: Payload) -> Payload:
        """Replies and requests are the same message."""
        return reply

    def route(self, reply: Payload) -> int:
        """`data.ndarray[0]`, or its other forms."""
        return route(reply.plain())

    def joined(self, replies: Sequence[Payload]) -> Payload:
        """A JSON array."""
        return joined(replies)

    def simple_model(self) -> Payload:
        """Three classes, as upstream's."""
        return simple_model()

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """The element-wise mean."""
        return averaged(replies)

    def routing_of_feedback(self, feedback: Payload) -> dict[str, int]:
        """`response.meta.routing`."""
        return routing_of_feedback(feedback.plain())

    def reward_of_feedback(self, feedback: Payload) -> float:
        """`reward`."""
        return reward_of_feedback(feedback.plain())

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """In `meta.routing`."""
        return Payload(with_routing(reply.plain(), routing), reply.content_type)

    def outcome(self, reply: Payload) -> Outcome:
        """From `data` (or `strData`) and the tags."""
        return outcome_of(jsontext.read(reply.plain()))

    def content(self, reply: Payload) -> Any:
        """What is beside `meta` and `status`."""
        message = jsontext.read(reply.plain())
        if not isinstance(message, dict):
            return message
        return {key: value for key, value in message.items() if key not in {"meta", "status"}}
