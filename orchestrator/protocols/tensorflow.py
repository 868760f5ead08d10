"""TensorFlow Serving's REST protocol."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import orjson

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols import averages, jsontext, outcome, seldon
from orchestrator.protocols.codec import WithoutFeedback
from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.turning import Turn

_SIMPLE_MODEL = orjson.dumps({"predictions": [[0.9, 0.05, 0.05]]})
_TURN = Turn(answered="predictions", asked="instances", requests=frozenset({"instances", "inputs"}))


class TensorFlow(WithoutFeedback):
    """The REST API of TensorFlow Serving. A model's name in a path of ours addresses the graph."""

    name = "tensorflow"
    predict_paths: Sequence[str] = ("/v1/models/:predict", "/v1/models:predict")
    feedback_paths: Sequence[str] = ("/api/v1.0/feedback",)
    ready_paths: Sequence[str] = ()
    metadata_paths: Sequence[str] = ()
    turn = _TURN
    pages: Mapping[str, Any] = {}

    def addressed(self, path: str) -> tuple[str, str] | None:
        """`/v1/models/{m}`, with `:predict` or `/metadata` behind it, and with `/versions/{v}` or without."""
        head, _, verb = path.partition(":")
        match head.rstrip("/").split("/"):
            case ["", "v1", "models", name, "versions", _] | ["", "v1", "models", name] if name:
                return {"predict": ("predict", unquote(name)), "": ("status", unquote(name))}.get(verb)
            case ["", "v1", "models", name, "versions", _, "metadata"] | ["", "v1", "models", name, "metadata"]:
                return ("metadata", unquote(name)) if not verb else None
            case _:
                return None

    def path(self, verb: str, node: str) -> str:
        """`:predict` for all that takes instances; aggregate and route have their own."""
        model = f"/v1/models/{quote(node, safe='')}"
        paths = {"status": model, "ready": model, "metadata": f"{model}/metadata"}
        if verb in {"aggregate", "route"}:
            return f"{model}:{verb}"
        return paths.get(verb, f"{model}:predict")

    def chained(self, reply: Payload) -> Payload:
        """`predictions` become `instances`; what has `instances` or `inputs` first is a request as it is."""
        body = reply.plain()
        message = jsontext.read(body)
        said = _TURN.said_by(message) if isinstance(message, dict) else ""
        if said == "predictions":
            return Payload(jsontext.write({"instances": message["predictions"]}))
        if said:
            return Payload(body, reply.content_type)
        raise BadPayloadError("a node's reply has no predictions (the columnar form with outputs cannot be chained)")

    def route(self, reply: Payload) -> int:
        """The first number of `predictions`; the forms of the Seldon protocol are read too."""
        body = reply.plain()
        try:
            message = jsontext.read(body)
        except BadPayloadError as error:
            raise BadRouteError(f"a router answered what is no JSON: {error}") from error
        if isinstance(message, dict) and "predictions" in message:
            return seldon.first_number(message["predictions"])
        return seldon.route(body)

    def joined(self, replies: Sequence[Payload]) -> Payload:
        """A JSON array."""
        return seldon.joined(replies)

    def simple_model(self) -> Payload:
        """Three classes, as upstream's."""
        return Payload(_SIMPLE_MODEL)

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """The element-wise mean of the predictions."""
        found = []
        for reply in replies:
            message = jsontext.read(reply.plain())
            if not isinstance(message, dict) or "predictions" not in message:
                raise BadPayloadError("AVERAGE_COMBINER: a child's answer has no predictions")
            found.append(message["predictions"])
        return Payload(jsontext.write({"predictions": averages.mean(found)}))

    def outcome(self, reply: Payload) -> Outcome:
        """From `predictions`: rows of numbers, or objects with probabilities or scores and classes."""
        message = jsontext.read(reply.plain())
        predictions = message.get("predictions") if isinstance(message, dict) else None
        if not isinstance(predictions, list) or not any(isinstance(row, dict) for row in predictions[:1]):
            return outcome.of_table(predictions)
        found = Outcome()
        for row in predictions[: outcome.ROWS]:
            if not isinstance(row, dict):
                continue
            names = row["classes"] if isinstance(row.get("classes"), list) else []
            scores = next((row[key] for key in ("probabilities", "scores") if key in row), None)
            own = outcome.of_table([scores], names) if scores is not None else Outcome()
            found.classes += own.classes
            found.scores += own.scores
            found.numbers += own.numbers
            found.outliers += outcome.outliers_among(row)
        return found

    def content(self, reply: Payload) -> Any:
        """All of it: the format has nothing beside the predictions."""
        return jsontext.read(reply.plain())
