"""The graph, checked, as data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Method(StrEnum):
    """What the orchestrator may ask of a node."""

    PREDICT = "PREDICT"
    TRANSFORM_INPUT = "TRANSFORM_INPUT"
    TRANSFORM_OUTPUT = "TRANSFORM_OUTPUT"
    ROUTE = "ROUTE"
    AGGREGATE = "AGGREGATE"
    SEND_FEEDBACK = "SEND_FEEDBACK"


class Kind(StrEnum):
    """A node's `type`."""

    MODEL = "MODEL"
    TRANSFORMER = "TRANSFORMER"
    OUTPUT_TRANSFORMER = "OUTPUT_TRANSFORMER"
    ROUTER = "ROUTER"
    COMBINER = "COMBINER"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"


class BuiltIn(StrEnum):
    """Implementations that need no process: the orchestrator is them."""

    SIMPLE_MODEL = "SIMPLE_MODEL"
    SIMPLE_ROUTER = "SIMPLE_ROUTER"
    RANDOM_ABTEST = "RANDOM_ABTEST"
    AVERAGE_COMBINER = "AVERAGE_COMBINER"
    EPSILON_GREEDY = "EPSILON_GREEDY"
    THOMPSON_SAMPLING = "THOMPSON_SAMPLING"


LEARNING = frozenset({BuiltIn.EPSILON_GREEDY, BuiltIn.THOMPSON_SAMPLING})
"""Routers that learn from feedback."""


Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Logger:
    """That a node's payloads are logged: `mode` is all, request or response; without `url` where all go."""

    mode: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One unit of the graph. `host` is empty where nothing is called: for a built-in. A port of 0 is not served.

    With `tls` calls to it are encrypted.
    """

    name: str
    kind: Kind
    built_in: BuiltIn | None = None
    methods: frozenset[Method]
    host: str = ""
    port: int = 0
    grpc_port: int = 0
    tls: bool = False
    image: str = ""
    version: str = ""
    logger: Logger | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    children: tuple["Node", ...] = ()

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, parents first, in the order they were written."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Graph:
    """A predictor's graph, with what its metrics say of it."""

    predictor: str
    version: str
    root: Node
    nodes: Mapping[str, Node]

    @property
    def routes(self) -> bool:
        """Whether a request may take one way or another, so that feedback must be told which."""
        routers = {BuiltIn.RANDOM_ABTEST, BuiltIn.SIMPLE_ROUTER, *LEARNING}
        return any(Method.ROUTE in node.methods or node.built_in in routers for node in self.nodes.values())
