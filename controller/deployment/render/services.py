"""Services: one for each node's container, and one for each predictor (reference, section 2.5)."""

from typing import Any

from controller.api.deployment import Endpoint, PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.names import container_service, service_of
from controller.deployment.render import labels
from controller.deployment.render.servers import without_engine
from controller.deployment.subject import Subject, nodes

HEADLESS_ANNOTATION = "seldon.io/headless-svc"


def serving_ports(predictor: PredictorSpec, configuration: Configuration) -> tuple[int, int]:
    """Return the predictor Service's HTTP and gRPC ports: the orchestrator's, or without one those of the model."""
    if not without_engine(predictor):
        return configuration.engine_http_port, configuration.engine_grpc_port
    endpoint = predictor.graph.endpoint or Endpoint()
    return endpoint.http_port, endpoint.grpc_port


def render_containers(subject: Subject, predictor: PredictorSpec) -> list[dict[str, Any]]:
    """Return the Services by which the nodes' containers are reached."""
    done = []
    for unit in nodes(predictor.graph):
        if unit.endpoint is None:
            continue  # a built-in has no container
        name = container_service(subject.name, predictor.name, unit.name)
        selector = labels.of_container(unit.name, name)
        own = {**selector, labels.APP: service_of(subject.name, predictor), **labels.of_kinds([unit])}
        ports = _ports(unit.endpoint.http_port, unit.endpoint.grpc_port)
        done.append(with_ports(subject, name, own, selector, ports))
    return done


def render_predictor(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> dict[str, Any]:
    """Return the Service by which a predictor is reached."""
    name = service_of(subject.name, predictor)
    selector = {labels.APP: name}
    service = with_ports(subject, name, selector, selector, _ports(*serving_ports(predictor, configuration)))
    if predictor.annotations:
        service["metadata"]["annotations"] = dict(predictor.annotations)
    return headless(subject, service)


def headless(subject: Subject, service: dict[str, Any]) -> dict[str, Any]:
    """Return a Service without an address of its own, when the SeldonDeployment asks for that."""
    if subject.annotation(HEADLESS_ANNOTATION, "false") == "false":
        return service
    return {**service, "spec": {**service["spec"], "clusterIP": "None"}}


def _ports(http: int, grpc: int) -> list[dict[str, Any]]:
    numbers = {"http": http, "grpc": grpc}
    return [
        {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}
        for name, number in numbers.items()
        if number
    ]


def with_ports(
    subject: Subject, name: str, own: dict[str, str], selector: dict[str, str], ports: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a Service with labels of its own, a selector and ports."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": labels.metadata(subject, name, own),
        "spec": {"type": "ClusterIP", "selector": dict(selector), "ports": ports},
    }
