"""What nodes say of themselves, and what that makes of the graph; in the form of whichever door asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.clients.context import Context
from orchestrator.clients.node import NodeCall, NodeStatusError
from orchestrator.engine import all_of
from orchestrator.errors import NodeError, OrchestratorError
from orchestrator.graph.metadata import describe
from orchestrator.graph.node import Graph, Node
from orchestrator.protocols import jsontext
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form, Payload, Protobuf
from orchestrator.readiness import Probe


class NoSuchNodeError(OrchestratorError):
    """The graph has no node of that name."""

    status = 404
    reason = "NO_SUCH_NODE"


@dataclass(frozen=True, slots=True)
class About:
    """Asks nodes for their metadata and their status."""

    deployments: frozenset[str]
    graph: Graph
    codec: Codec
    call: Callable[[Node, str, Form], NodeCall]
    probe: Probe

    def names_graph(self, name: str) -> bool:
        """Whether a model's name means the whole graph: no name, the predictor's or a deployment's, and no node's."""
        return name not in self.graph.nodes and (name in {"", self.graph.predictor} or name in self.deployments)

    def node(self, name: str) -> Node:
        """The node of that name. Raises NoSuchNodeError."""
        node = self.graph.nodes.get(name)
        if node is None:
            raise NoSuchNodeError(f"no node {name!r} in the graph; it has {', '.join(self.graph.nodes)}")
        return node

    async def metadata(self, node: Node, context: Context, form: Form) -> Payload:
        """A node's own metadata, as the door of that form answers them. Raises OrchestratorError."""
        if not node.host:
            own = {"name": node.name}
            return Payload(jsontext.write(own)) if form is Form.JSON else Protobuf(self._metadata_message(own))
        answer = await self.call(node, "metadata", form)(None, context)
        if answer.form is form:
            return answer
        if isinstance(answer, Protobuf):
            return Payload(jsontext.write(self.codec.grpc.metadata_to_json(answer.body)))
        return Protobuf(self._metadata_message(_object(answer)))

    async def graph_metadata(self, context: Context, form: Form) -> dict[str, Any]:
        """The graph's metadata, from those of all its nodes. Raises OrchestratorError when a node does not answer."""
        called = [node for node in self.graph.nodes.values() if node.host]
        answers = await all_of([self.call(node, "metadata", form)(None, context) for node in called])
        found = {
            node.name: self.codec.grpc.metadata_to_json(answer.body)
            if isinstance(answer, Protobuf)
            else _object(answer)
            for node, answer in zip(called, answers, strict=True)
        }
        return describe(self.graph, found)

    async def status(self, node: Node, context: Context, form: Form) -> Payload:
        """A node's own status, as the door of that form answers it. Raises OrchestratorError."""
        if not node.host:
            return self._status(form, ready=True)
        if not node.port and "status" not in self.codec.grpc.methods:
            if failure := await self.probe.failure(node):
                raise NodeError(failure)
            return self._status(form, ready=True)
        try:
            answer = await self.call(node, "status", form)(None, context)
        except NodeStatusError:
            if form is Form.JSON:
                raise
            return self._status(form, ready=False)
        if answer.form is form:
            return answer
        if isinstance(answer, Protobuf):
            return Payload(jsontext.write(self.codec.grpc.status_to_json(answer.body)))
        return Protobuf(self.codec.grpc.status_from_json(_object(answer)))

    def _status(self, form: Form, *, ready: bool) -> Payload:
        value = {"ready": ready}
        if form is Form.JSON:
            return Payload(jsontext.write(value))
        return Protobuf(self.codec.grpc.status_from_json(value))

    def _metadata_message(self, metadata: Mapping[str, Any]) -> bytes:
        return self.codec.grpc.metadata_from_json(metadata)


def _object(answer: Payload) -> dict[str, Any]:
    value = jsontext.read(answer.plain() or b"{}")
    return value if isinstance(value, dict) else {}
