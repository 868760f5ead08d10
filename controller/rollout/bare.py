"""Where a predictor without an orchestrator is served: at the ports that the operator gives its node. Pure.

A port that the node's container names wins, then that of the graph's endpoint. Else the operator counts up over all
containers of the SeldonDeployment, by name: those that are written first, then those of servers that have none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.api.deployment import BUILT_IN, UNKNOWN
from controller.rollout.scaling import predictors


def node_ports(
    spec: Mapping[str, Any], predictor: Mapping[str, Any], first_http: int, first_grpc: int
) -> tuple[int, int]:
    """Return the HTTP and gRPC ports of a predictor's only node.

    Args:
        spec: the SeldonDeployment's, whose predictors all count.
        predictor: one of them.
        first_http: where HTTP ports begin.
        first_grpc: where gRPC ports begin.
    """
    graph = predictor.get("graph") or {}
    place = _order(spec).get(str(graph.get("name")), 0)
    container: Mapping[str, Any] = next((each for each in _containers(predictor) if each["name"] == graph["name"]), {})
    named = {each.get("name"): each.get("containerPort") for each in container.get("ports") or ()}
    endpoint = graph.get("endpoint") or {}
    http = named.get("http") or endpoint.get("httpPort") or first_http + place
    grpc = named.get("grpc") or endpoint.get("grpcPort") or first_grpc + place
    return int(http), int(grpc)


def _order(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return the place of each container's name in the count."""
    order: dict[str, int] = {}
    for predictor in predictors(spec):
        for name in (*(each["name"] for each in _containers(predictor)), *_servers(predictor.get("graph"))):
            order.setdefault(name, len(order))
    return order


def _containers(predictor: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = (each for part in predictor.get("componentSpecs") or () for each in _pod(part).get("containers") or ())
    return [each for each in found if isinstance(each, dict) and each.get("name")]


def _pod(component: Any) -> Mapping[str, Any]:
    spec = component.get("spec") if isinstance(component, dict) else None
    return spec if isinstance(spec, dict) else {}


def _servers(unit: Any) -> Iterator[str]:
    """Walk the nodes whose servers get a container without one being written."""
    if not isinstance(unit, dict):
        return
    if (unit.get("implementation") or UNKNOWN) not in {UNKNOWN, *BUILT_IN}:
        yield str(unit.get("name"))
    for child in unit.get("children") or ():
        yield from _servers(child)
