"""A user's class as a unit of the graph: which of its methods is called for what."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.graph.parse import split_image
from orchestrator.node.errors import NodeRuntimeError
from orchestrator.node.payload import DATA, Content, array, content, message
from orchestrator.node.telemetry import checked

# Upstream's values of the label `method`.
_LABELS = {"transform_input": "inputtransform", "transform_output": "outputtransform", "route": "router"}


class Unit:
    """Calls the methods that the class has; what it has not passes data through.

    Args:
        user: an instance of the class.
        name: the node's name (PREDICTIVE_UNIT_ID).
        image: its image, for `meta.requestPath`.
        metadata: what `init_metadata` is overridden with (MODEL_METADATA).
        record: takes the model's metrics and the method that they came from.
    """

    def __init__(
        self,
        user: Any,
        *,
        name: str,
        image: str,
        metadata: Mapping[str, Any] | None = None,
        record: Callable[[Sequence[Mapping[str, Any]], str], None],
    ) -> None:
        self.user = user
        self.name = name
        self._image = image
        self._metadata = dict(metadata or {})
        self._record = record
        self._calls: dict[str, Callable[..., Any] | None] = {}

    def predict(self, body: Any) -> Any:
        """The reply to /predict."""
        return self._transform(body, "predict")

    def transform_input(self, body: Any) -> Any:
        """The reply to /transform-input."""
        return self._transform(body, "transform_input")

    def transform_output(self, body: Any) -> Any:
        """The reply to /transform-output."""
        return self._transform(body, "transform_output")

    def _transform(self, body: Any, method: str) -> Any:
        raw = getattr(self.user, f"{method}_raw", None)
        if raw is not None:
            return raw(body)
        request = content(body)
        call = self._method(method, 2)
        if call is None:
            names = self._names(method)
            return self._answer(request.value, request, [body.get("meta")], names=names, method=method)
        result = call(request.value, list(request.names), meta=dict(request.meta))
        return self._answer(result, request, [body.get("meta")], names=self._names(method), method=method)

    def route(self, body: Any) -> Any:
        """The reply to /route."""
        raw = getattr(self.user, "route_raw", None)
        if raw is not None:
            return raw(body)
        request = content(body)
        call = self._method("route", 2)
        result: Any = -1
        if call is not None:
            result = call(request.value, list(request.names), meta=dict(request.meta))
        result, tags, metrics = _unpacked(result)
        if hasattr(result, "item"):
            result = result.item()
        if isinstance(result, bool) or not isinstance(result, int):
            raise NodeRuntimeError(f"route() gave back {result!r}; expected an int", 500, "MICROSERVICE_INTERNAL_ERROR")
        reply = message([[result]], Content(request.kind if request.kind in DATA else "tensor"), None)
        reply["meta"] = self._meta([body.get("meta")], tags, metrics, "route")
        return reply

    def aggregate(self, body: Any) -> Any:
        """The reply to /aggregate: from a list of messages, or an object with `seldonMessages`."""
        messages = body.get("seldonMessages") if isinstance(body, Mapping) else body
        if not isinstance(messages, list) or not messages:
            raise NodeRuntimeError("expected a JSON list of messages, or an object with seldonMessages")
        raw = getattr(self.user, "aggregate_raw", None)
        if raw is not None:
            return raw(body)
        parts = [content(item) for item in messages]
        call = self._method("aggregate", 2)
        if call is None:
            raise NodeRuntimeError("the class has no aggregate()", 500, "MICROSERVICE_INTERNAL_ERROR")
        metas = [dict(part.meta) for part in parts]
        result = call([part.value for part in parts], [list(part.names) for part in parts], metas=metas)
        incoming = [item.get("meta") for item in messages]
        return self._answer(result, parts[0], incoming, names=self._names("aggregate"), method="aggregate")

    def send_feedback(self, body: Any) -> Any:
        """The reply to /send-feedback."""
        if not isinstance(body, Mapping):
            raise NodeRuntimeError("feedback must be a JSON object with request, response, reward or truth")
        raw = getattr(self.user, "send_feedback_raw", None)
        if raw is not None:
            return raw(body)
        call = self._method("send_feedback", 4)
        result: Any = None
        request = _part(body, "request")
        if call is not None:
            truth = _part(body, "truth")
            names = list(request.names)
            result = call(request.value, names, reward(body), truth.value, routing=self._routing(body))
        result, tags, metrics = _unpacked(result)
        reply: dict[str, Any] = {"data": {"ndarray": []}}
        if result is not None:
            reply = message(result, Content("ndarray"), self._names("predict"))
        reply["meta"] = self._meta([], tags, metrics, "feedback")
        return reply

    def _routing(self, body: Mapping[str, Any]) -> Any:
        found: Any = body
        for key in ("response", "meta", "routing"):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found.get(self.name) if isinstance(found, Mapping) else None

    def health(self) -> Any:
        """The reply to /health/status."""
        raw = getattr(self.user, "health_status_raw", None)
        if raw is not None:
            return raw()
        call = getattr(self.user, "health_status", None)
        result, tags, metrics = _unpacked("healthy" if call is None else call())
        reply = message(result, Content("tensor"), None)
        reply["meta"] = self._meta([], tags, metrics, "health")
        return reply

    def metadata(self) -> dict[str, Any]:
        """The reply to /metadata: what the class says of itself, overridden by MODEL_METADATA."""
        call = getattr(self.user, "init_metadata", None)
        own = call() if call is not None else {}
        if not isinstance(own, Mapping):
            raise NodeRuntimeError("init_metadata() must give back a dict", 500, "MICROSERVICE_BAD_METADATA")
        image, version = split_image(self._image)
        versions = [version] if version else []
        empty = {"name": image or self.name, "versions": versions, "platform": "", "inputs": [], "outputs": []}
        return {**empty, "custom": {}, **own, **self._metadata}

    # ------------------------------------------------------------ answers

    def _answer(
        self, result: Any, request: Content, incoming: Sequence[Any], *, names: Sequence[str] | None, method: str
    ) -> dict[str, Any]:
        result, tags, metrics = _unpacked(result)
        reply = message(result, request, names)
        reply["meta"] = self._meta(incoming, tags, metrics, method)
        return reply

    def _meta(
        self, incoming: Sequence[Any], tags: Mapping[str, Any], metrics: Sequence[Any], method: str
    ) -> dict[str, Any]:
        meta: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        path: dict[str, Any] = {self.name: self._image} if self.name else {}
        counted: list[Any] = []
        for one in incoming:
            if not isinstance(one, Mapping):
                continue
            if one.get("puid"):
                meta["puid"] = one["puid"]
            merged.update(_dict(one.get("tags")))
            path.update(_dict(one.get("requestPath")))
            counted += one["metrics"] if isinstance(one.get("metrics"), list) else []
        own = getattr(self.user, "tags", None)
        merged.update(own() if callable(own) else {})
        merged.update(tags)
        if merged:
            meta["tags"] = merged
        if path:
            meta["requestPath"] = path
        own_metrics = getattr(self.user, "metrics", None)
        fresh = [*(checked(own_metrics()) if callable(own_metrics) else []), *checked(metrics)]
        if fresh:
            self._record(fresh, _LABELS.get(method, method))
        if counted or fresh:
            meta["metrics"] = counted + fresh
        return meta

    def _method(self, name: str, places: int) -> Callable[..., Any] | None:
        """A method of the class that takes what we give, or None."""
        if name not in self._calls:
            call = getattr(self.user, name, None)
            self._calls[name] = None if call is None else _tolerant(call, places)
        return self._calls[name]

    def _names(self, method: str) -> Sequence[str] | None:
        """The class' own names for the columns: of features where it transforms input, else of classes."""
        attribute = "feature_names" if method == "transform_input" else "class_names"
        names = getattr(self.user, attribute, None)
        if callable(names):
            names = names()
        return None if names is None else [str(name) for name in names]


def reward(body: Mapping[str, Any]) -> float:
    """The reward in a feedback; 0 when there is none.

    Raises:
        NodeRuntimeError: it is no number.
    """
    value = body.get("reward")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NodeRuntimeError(f"reward: {value!r} is not valid; expected a number")
    return float(value)


def _part(body: Mapping[str, Any], key: str) -> Content:
    return content(body[key]) if isinstance(body.get(key), Mapping) and body[key] else Content("ndarray", array([]))


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unpacked(result: Any) -> tuple[Any, Mapping[str, Any], Sequence[Any]]:
    """A result with the tags and metrics that came along: ours, or a SeldonResponse of another library."""
    if type(result).__name__ == "SeldonResponse":
        return result.data, result.tags or {}, result.metrics or []
    return result, {}, []


def _tolerant(call: Callable[..., Any], places: int) -> Callable[..., Any]:
    """The method, called without the keywords and last arguments that it does not know: older classes know fewer."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # written in C: it says nothing of itself
        return lambda *arguments, **_: call(*arguments)
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = {parameter.name for parameter in parameters}
    if not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        extra = {"meta", "metas", "routing"}
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        places = min(places, len([p for p in parameters if p.kind in kinds and p.name not in extra]))

    def tolerant(*arguments: Any, **keywords: Any) -> Any:
        wanted = keywords if anything else {key: value for key, value in keywords.items() if key in known}
        return call(*arguments[:places], **wanted)

    return tolerant
