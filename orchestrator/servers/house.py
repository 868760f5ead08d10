"""What the doors lead to, over REST, gRPC and topics alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.clients.comparer import Comparer
from orchestrator.clients.tracing import Tracing
from orchestrator.engine import Engine
from orchestrator.errors import OrchestratorError
from orchestrator.graph.node import Graph
from orchestrator.protocols.codec import Codec
from orchestrator.room import Room
from orchestrator.servers.about import About
from orchestrator.servers.limits import Load
from orchestrator.servers.openapi import Documents
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.metrics import Metrics
from orchestrator.telemetry.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the doors lead to."""

    deployment: str
    namespace: str
    graph: Graph
    codec: Codec
    engine: Engine
    metrics: Metrics
    about: About
    load: Load
    room: Room
    identity: Callable[[], bytes]
    documents: Documents
    prometheus_path: str
    routing: bool
    request_timeout: float
    max_body: int
    cors: bytes
    tell: Callable[[OrchestratorError, bytes], None]
    native_histograms: bool = False
    drop: frozenset[bytes] = field(default_factory=frozenset)
    predictions: Predictions | None = None
    comparer: Comparer | None = None
    tracing: Tracing | None = None
    total: Callable[[], Awaitable[list[Shown]]] | None = None  # what all workers counted, where this is one of several

    def addressed(self, name: str) -> tuple[str, str]:
        """What a model's name in a request means: the node to start at, and the name to call nodes by; or nothing.

        A node's name means what is below it, the graph's name (or none) all of it. The only node of a graph may serve
        several models, so that it is called by whatever other name there is.

        Raises:
            NoSuchNodeError: none of these.
        """
        if name in self.graph.nodes:
            return ("" if name == self.graph.root.name else name), ""
        if self.about.names_graph(name):
            return "", ""
        if len(self.graph.nodes) == 1:
            return "", name
        self.about.node(name)
        return name, ""
