"""A predictor as written to a checked graph."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.errors import GraphError
from orchestrator.graph.node import LEARNING, BuiltIn, Graph, Kind, Logger, Method, Node, Value

_DEEPEST = 64
_IMPLIED: Mapping[Kind, frozenset[Method]] = {
    Kind.MODEL: frozenset({Method.PREDICT, Method.SEND_FEEDBACK}),
    Kind.TRANSFORMER: frozenset({Method.TRANSFORM_INPUT}),
    Kind.OUTPUT_TRANSFORMER: frozenset({Method.TRANSFORM_OUTPUT}),
    Kind.ROUTER: frozenset({Method.ROUTE, Method.SEND_FEEDBACK}),
    Kind.COMBINER: frozenset({Method.AGGREGATE}),
    Kind.UNKNOWN_TYPE: frozenset(),
}
_BUILT_IN_KINDS: Mapping[BuiltIn, Kind] = {
    BuiltIn.SIMPLE_MODEL: Kind.MODEL,
    BuiltIn.SIMPLE_ROUTER: Kind.ROUTER,
    BuiltIn.RANDOM_ABTEST: Kind.ROUTER,
    BuiltIn.AVERAGE_COMBINER: Kind.COMBINER,
    BuiltIn.EPSILON_GREEDY: Kind.ROUTER,
    BuiltIn.THOMPSON_SAMPLING: Kind.ROUTER,
}
_TRUTHS = {
    **dict.fromkeys(("y", "yes", "t", "true", "on", "1"), True),
    **dict.fromkeys(("n", "no", "f", "false", "off", "0"), False),
}
"""The words that Seldon Core's wrapper reads for BOOL."""


def parse(predictor: Mapping[str, Any], *, first_port: int | None = None) -> Graph:
    """A predictor of a SeldonDeployment as a graph that can be run.

    Args:
        predictor: an element of `spec.predictors`, as the operator hands it over in ENGINE_PREDICTOR.
        first_port: nodes without an endpoint are on `localhost`, on this port and the following; None refuses them.

    Raises:
        GraphError: the graph cannot be run; the error names the field.
    """
    if not isinstance(predictor, Mapping):
        raise GraphError("predictor", predictor, "an object with name and graph")
    graph = predictor.get("graph")
    if not isinstance(graph, Mapping):
        raise GraphError("graph", graph, "the root node: an object with a name")
    reader = _Reader(_images(predictor), first_port, mixed=len(_transports(graph, 0)) > 1)
    root = reader.node(graph, "graph", ())
    labels = _mapping(predictor.get("labels"), "labels")
    annotations = _mapping(predictor.get("annotations"), "annotations")
    version = labels.get("version") or annotations.get("version") or ""
    return Graph(str(predictor.get("name") or ""), str(version), root, {node.name: node for node in root.walk()})


class _Reader:
    """Reads nodes, remembering what has to be unique."""

    def __init__(self, images: Mapping[str, str], first_port: int | None, *, mixed: bool) -> None:
        self._images = images
        self._mixed = mixed
        self._next_port = first_port
        self._names: dict[str, str] = {}

    def node(self, raw: Mapping[str, Any], path: str, above: tuple[int, ...]) -> Node:
        if not isinstance(raw, Mapping):
            raise GraphError(path, raw, "a node: an object with a name")
        if id(raw) in above:
            raise GraphError(path, raw.get("name"), "a tree: this node is its own ancestor")
        if len(above) >= _DEEPEST:
            raise GraphError(path, raw.get("name"), f"at most {_DEEPEST} levels of children")
        name = self._name(raw, path)
        built_in = _built_in(raw)
        kind = _kind(raw, built_in, path)
        methods = frozenset() if built_in is not None else _IMPLIED[kind] | _methods(raw, path)
        if kind is Kind.UNKNOWN_TYPE and built_in is None and not methods:
            raise GraphError(f"{path}.type", kind.value, "a type that says what to call, or methods")
        host, port, grpc_port = ("", 0, 0) if built_in is not None else self._endpoint(raw, path)
        scheme, _, rest = host.rpartition("://")
        if scheme not in {"", "http", "https", "grpc", "grpcs"} or not (rest or built_in):
            raise GraphError(f"{path}.endpoint.service_host", host, "a host, with https:// before it for TLS")
        children = raw.get("children") or []
        if not isinstance(children, list | tuple):
            raise GraphError(f"{path}.children", children, "a list of nodes")
        image, version = split_image(self._images.get(name, ""))
        node = Node(
            name=name,
            kind=kind,
            built_in=built_in,
            methods=methods,
            host=rest,
            port=port,
            grpc_port=grpc_port,
            tls=scheme in {"https", "grpcs"},
            image=image,
            version=version,
            logger=_logger(raw, path),
            parameters=_parameters(raw, path),
            children=tuple(
                self.node(child, f"{path}.children[{at}]", (*above, id(raw))) for at, child in enumerate(children)
            ),
        )
        _check(node, path)
        return node

    def _name(self, raw: Mapping[str, Any], path: str) -> str:
        name = raw.get("name")
        if not isinstance(name, str) or not name:
            raise GraphError(f"{path}.name", name, "a name")
        if name in self._names:
            raise GraphError(f"{path}.name", name, f"a name of its own; {self._names[name]} has it already")
        self._names[name] = path
        return name

    def _endpoint(self, raw: Mapping[str, Any], path: str) -> tuple[str, int, int]:
        """Host, port for REST and port for gRPC.

        A node with both is called as its door was. In a graph that has both types, each node is called by its own.
        """
        endpoint = _mapping(raw.get("endpoint"), f"{path}.endpoint")
        host = endpoint.get("service_host") or endpoint.get("serviceHost")
        rest = endpoint.get("httpPort") or 0
        grpc = endpoint.get("grpcPort") or 0
        service = endpoint.get("service_port") or endpoint.get("servicePort") or 0
        if _transport(endpoint) == "GRPC":
            grpc = grpc or service
            rest = 0 if self._mixed else rest
        else:
            rest = rest or (0 if grpc and not self._mixed else service)
            grpc = 0 if self._mixed else grpc
        if self._next_port is not None:
            host = host or "localhost"
            if not rest and not grpc:
                rest = self._next_port
                self._next_port += 1
        if not isinstance(host, str) or not host:
            raise GraphError(f"{path}.endpoint.service_host", host, "the host of the node")
        for name, port in (("httpPort", rest), ("grpcPort", grpc)):
            if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
                raise GraphError(f"{path}.endpoint.{name}", port, "a port, 1 to 65535")
        if not rest and not grpc:
            raise GraphError(f"{path}.endpoint.httpPort", 0, "a port, 1 to 65535, here or in grpcPort")
        return host, rest, grpc


def _transport(endpoint: Mapping[str, Any]) -> str:
    return "GRPC" if str(endpoint.get("type") or "").upper() == "GRPC" else "REST"


def _transports(raw: Any, depth: int) -> set[str]:
    """The transports that the endpoints of a graph name."""
    if not isinstance(raw, Mapping) or depth > _DEEPEST:
        return set()
    endpoint = raw.get("endpoint")
    found = {_transport(endpoint)} if isinstance(endpoint, Mapping) and endpoint.get("type") else set()
    for child in raw.get("children") or []:
        found |= _transports(child, depth + 1)
    return found


def _built_in(raw: Mapping[str, Any]) -> BuiltIn | None:
    implementation = raw.get("implementation")
    return BuiltIn(implementation) if implementation in set(BuiltIn) else None


def _kind(raw: Mapping[str, Any], built_in: BuiltIn | None, path: str) -> Kind:
    written = raw.get("type")
    if built_in is not None:
        return _BUILT_IN_KINDS[built_in]
    if not written:
        return Kind.UNKNOWN_TYPE if raw.get("methods") else Kind.MODEL
    if written not in set(Kind):
        raise GraphError(f"{path}.type", written, f"one of {', '.join(Kind)}")
    if written == Kind.UNKNOWN_TYPE and raw.get("implementation") not in {None, "", "UNKNOWN_IMPLEMENTATION"}:
        return Kind.MODEL  # a prepackaged server is a model
    return Kind(written)


def _logger(raw: Mapping[str, Any], path: str) -> Logger | None:
    written = _mapping(raw.get("logger"), f"{path}.logger")
    if not any(written.values()):
        return None
    mode, url = written.get("mode"), written.get("url") or ""
    if mode not in {"all", "request", "response"}:
        raise GraphError(f"{path}.logger.mode", mode, "all, request or response")
    if not isinstance(url, str):
        raise GraphError(f"{path}.logger.url", url, "a URL such as http://host/path")
    return Logger(mode, url)


def _methods(raw: Mapping[str, Any], path: str) -> frozenset[Method]:
    written = raw.get("methods") or []
    if not isinstance(written, list | tuple):
        raise GraphError(f"{path}.methods", written, "a list of methods")
    allowed = [method for method in Method if method is not Method.PREDICT]
    for at, method in enumerate(written):
        if method not in allowed:
            raise GraphError(f"{path}.methods[{at}]", method, f"one of {', '.join(allowed)}")
    return frozenset(Method(method) for method in written)


def _parameters(raw: Mapping[str, Any], path: str) -> dict[str, Value]:
    parameters: dict[str, Value] = {}
    for at, item in enumerate(raw.get("parameters") or []):
        where = f"{path}.parameters[{at}]"
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise GraphError(where, item, "an object with name, value and type")
        parameters[item["name"]] = typed(item.get("value"), str(item.get("type") or "STRING"), where)
    return parameters


def typed(value: object, kind: str, where: str) -> Value:
    """A parameter's text as the type that it is declared to have. Raises GraphError when it is none."""
    text = str(value)
    try:
        if kind == "INT":
            return int(text)
        if kind in {"FLOAT", "DOUBLE"}:
            return float(text)
        if kind == "BOOL":
            return _TRUTHS[text.lower()]
    except (ValueError, KeyError):
        raise GraphError(f"{where}.value", value, f"the text of a value of type {kind}") from None
    if kind != "STRING":
        raise GraphError(f"{where}.type", kind, "INT, FLOAT, DOUBLE, STRING or BOOL")
    return text


def _check(node: Node, path: str) -> None:
    if node.built_in is BuiltIn.RANDOM_ABTEST:
        ratio = node.parameters.get("ratioA", 0.5)
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise GraphError(f"{path}.parameters.ratioA", ratio, "the share of the first child, 0 to 1, as FLOAT")
        if len(node.children) != 2:
            raise GraphError(f"{path}.children", len(node.children), "two children for RANDOM_ABTEST")
    if node.built_in in LEARNING:
        epsilon, seed = node.parameters.get("epsilon", 0.1), node.parameters.get("seed", 0)
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon <= 1:
            raise GraphError(f"{path}.parameters.epsilon", epsilon, "the share of tries, 0 to 1, as FLOAT")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise GraphError(f"{path}.parameters.seed", seed, "a whole number, as INT")
    if node.built_in in {BuiltIn.SIMPLE_ROUTER, BuiltIn.AVERAGE_COMBINER, *LEARNING} and not node.children:
        raise GraphError(f"{path}.children", 0, f"at least one child for {node.built_in}")


def split_image(image: str) -> tuple[str, str]:
    """An image reference as name and version: a digest, or a tag, which stands after the last slash."""
    name, at, digest = image.partition("@")
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    if at:
        return name[:colon] if colon > 0 else name, digest
    return (name[:colon], name[colon + 1 :]) if colon > 0 else (name, "")


def _images(predictor: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(container.get("name")): str(container.get("image") or "")
        for container in _containers(predictor)
        if isinstance(container, Mapping)
    }


def _containers(predictor: Mapping[str, Any]) -> Iterator[Any]:
    for component in predictor.get("componentSpecs") or []:
        spec = component.get("spec") if isinstance(component, Mapping) else None
        if isinstance(spec, Mapping):
            yield from spec.get("containers") or []


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise GraphError(path, value, "an object")
    return value
