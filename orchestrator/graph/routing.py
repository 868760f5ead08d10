"""Which way a request goes below a node."""

from orchestrator.errors import BadRouteError
from orchestrator.graph.node import BuiltIn, Node

ALL = -1  # all children, at the same time
STOP = -2  # no child: what came in goes out


def drawn(node: Node, draw: float) -> int:
    """The way that a built-in router takes, or ALL for a node that is none.

    Args:
        node: the node whose children are the choice.
        draw: uniform in [0, 1).
    """
    if node.built_in is BuiltIn.RANDOM_ABTEST:
        return 0 if draw < float(node.parameters.get("ratioA", 0.5)) else 1
    return 0 if node.built_in is BuiltIn.SIMPLE_ROUTER else ALL


def checked(node: Node, route: int) -> int:
    """The route itself, if `node` has such a way.

    Raises:
        BadRouteError: it has not.
    """
    if STOP <= route < len(node.children):
        return route
    raise BadRouteError(
        f"node {node.name!r} chose route {route}; it has {len(node.children)} children: "
        f"0 to {len(node.children) - 1}, {ALL} for all or {STOP} to stop"
    )
