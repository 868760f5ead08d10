"""What the graph as a whole takes and gives, from what its nodes say of themselves."""

from collections.abc import Mapping
from typing import Any

from orchestrator.graph.node import BuiltIn, Graph, Kind, Node

Metadata = Mapping[str, Any]


def describe(graph: Graph, nodes: Mapping[str, Metadata]) -> dict[str, Any]:
    """The graph's metadata, as upstream's `/api/v1.0/metadata` gives it.

    Args:
        graph: the graph.
        nodes: each called node's own metadata, by name; built-ins have none.
    """
    return {
        "name": graph.predictor,
        "models": dict(nodes),
        "graphinputs": _side(graph.root, nodes, "inputs"),
        "graphoutputs": _side(graph.root, nodes, "outputs"),
    }


def _side(node: Node, nodes: Mapping[str, Metadata], side: str) -> Any:
    own = nodes.get(node.name, {}).get(side, [])
    if not node.children:
        return own
    if node.kind is Kind.ROUTER or node.built_in is BuiltIn.AVERAGE_COMBINER:
        return _side(node.children[0], nodes, side)
    outward = node.kind in {Kind.OUTPUT_TRANSFORMER, Kind.COMBINER}
    return own if (side == "outputs") == outward else _side(node.children[0], nodes, side)
