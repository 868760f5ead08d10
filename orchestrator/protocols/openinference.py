"""The Open Inference Protocol (v2) over REST, with tensors in JSON or behind it."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import orjson

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols import averages, binary, jsontext, outcome, seldon
from orchestrator.protocols.codec import WithoutFeedback
from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.turning import Turn

_SIMPLE_MODEL = orjson.dumps(
    {
        "model_name": "simple",
        "outputs": [{"name": "output", "datatype": "FP64", "shape": [1, 3], "data": [0.9, 0.05, 0.05]}],
    }
)
_TURN = Turn(answered="outputs", asked="inputs", requests=frozenset({"inputs"}), kept=("id", "parameters"))


class OpenInference(WithoutFeedback):
    """The v2 protocol. Nodes are called by their own names; the name in a path of ours never reaches them."""

    name = "v2"
    predict_paths: Sequence[str] = ("/v2/models/infer",)
    feedback_paths: Sequence[str] = ()
    ready_paths: Sequence[str] = ("/v2/health/ready",)
    metadata_paths: Sequence[str] = ()
    turn = _TURN
    pages: Mapping[str, Any] = {
        "/v2": {"name": "seldon-rollouts-orchestrator", "version": "1", "extensions": ["binary_tensor_data"]},
        "/v2/health/live": {},
    }

    def addressed(self, path: str) -> tuple[str, str] | None:
        """`/v2/models/{m}`, with `/infer` or `/ready` behind it, and with `/versions/{v}` or without."""
        match path.split("/"):
            case ["", "v2", "models", name, "versions", _, *rest] | ["", "v2", "models", name, *rest] if name:
                verb = {(): "metadata", ("ready",): "status", ("infer",): "predict"}.get(tuple(rest))
                return (verb, unquote(name)) if verb else None
            case _:
                return None

    def path(self, verb: str, node: str) -> str:
        """One path for all that takes tensors; aggregate and route have their own."""
        model = f"/v2/models/{quote(node, safe='')}"
        paths = {"status": f"{model}/ready", "metadata": model, "ready": "/v2/health/ready"}
        if verb in {"aggregate", "route", "send-feedback"}:
            return f"/{verb}"
        return paths.get(verb, f"{model}/infer")

    def chained(self, reply: Payload) -> Payload:
        """`outputs` become `inputs`, with `id` and `parameters`; what has `inputs` first is a request as it is."""
        message, tail = binary.parts(reply)
        said = _TURN.said_by(message) if isinstance(message, dict) else ""
        if not said:
            raise BadPayloadError("a node's v2 reply has neither outputs nor inputs")
        if said == "inputs":
            return Payload(reply.plain(), reply.content_type, split=reply.split)
        request = {key: message[key] for key in _TURN.kept if key in message}
        if tail:  # who was asked for bytes and gave them had a client that wants them from the last node, too
            parameters = request.get("parameters")
            request["parameters"] = {**(parameters if isinstance(parameters, dict) else {}), binary.ASKS: True}
        return binary.together({**request, "inputs": message["outputs"]}, tail)

    def route(self, reply: Payload) -> int:
        """The first number of the first output; the forms of the Seldon protocol are read too."""
        try:
            message = binary.message(reply)
        except BadPayloadError as error:
            raise BadRouteError(f"a router answered what is no JSON: {error}") from error
        outputs = message.get("outputs") if isinstance(message, dict) else None
        if not isinstance(outputs, list):
            return seldon.route(reply.plain())
        data = outputs[0].get("data") if outputs and isinstance(outputs[0], dict) else None
        return seldon.first_number(data)

    def joined(self, replies: Sequence[Payload]) -> Payload:
        """A JSON array."""
        return seldon.joined([Payload(jsontext.write(binary.message(one))) if one.split else one for one in replies])

    def simple_model(self) -> Payload:
        """Three classes, as upstream's."""
        return Payload(_SIMPLE_MODEL)

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """The element-wise mean, output by output."""
        messages = [binary.message(reply) for reply in replies]
        outputs = [message.get("outputs") if isinstance(message, dict) else None for message in messages]
        if not all(isinstance(one, list) and len(one) == len(outputs[0] or []) for one in outputs):
            raise BadPayloadError("AVERAGE_COMBINER: the children's answers have no outputs, or not as many")
        merged = []
        for same in zip(*[one or [] for one in outputs], strict=True):
            if not all(isinstance(one, dict) and one.get("shape") == same[0].get("shape") for one in same):
                raise BadPayloadError("AVERAGE_COMBINER: the children's outputs have different shapes")
            merged.append({**same[0], "datatype": "FP64", "data": averages.mean([one.get("data") for one in same])})
        return Payload(jsontext.write({**messages[0], "outputs": merged}))

    def outcome(self, reply: Payload) -> Outcome:
        """From the outputs that have classes or scores: of each the first; outliers by name, or in the parameters."""
        return outcome_of(binary.message(reply))

    def content(self, reply: Payload) -> Any:
        """The outputs."""
        message = binary.message(reply)
        return message.get("outputs") if isinstance(message, dict) else message


def outcome_of(message: Any) -> Outcome:
    """The classes, scores and outliers in a v2 reply: whole numbers and text in single columns are classes."""
    found = Outcome()
    outputs = message.get("outputs") if isinstance(message, dict) else None
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        if output.get("name") in outcome.OUTLIER_KEYS:
            found.outliers += outcome.outliers_in(output.get("data"))
            continue
        labels = not str(output.get("datatype", "")).startswith(("FP", "BF"))
        rows = outcome.of_table(outcome.shaped(output.get("data"), output.get("shape")), labels=labels)
        found.classes = found.classes or rows.classes
        found.scores = found.scores or rows.scores
        found.numbers = found.numbers or rows.numbers
    if isinstance(message, dict) and not found.outliers:
        found.outliers = outcome.outliers_among(message.get("parameters"))
    return found
