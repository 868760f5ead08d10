"""Defaulting: what Seldon Core v1's operator fills in before it renders. Pure; never written back to the object.

Rules of the reference, section 1.8. Ports are counted over all predictors and keyed by the container's name: the same
name in two predictors has the same port, and every container takes a number even when it is not a node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.api.deployment import UNKNOWN, ComponentSpec, Endpoint, PredictiveUnit, PredictorSpec
from controller.api.names import service_host
from controller.deployment.configuration import Configuration
from controller.deployment.names import container_service, containers
from controller.deployment.subject import Subject, is_built_in, is_prepackaged, nodes, protocol_of

FIRST_METRICS = 6000


@dataclass(slots=True)
class _Counter:
    """Port numbers of one kind, given out in order and remembered by container name."""

    following: int
    given: dict[str, int] = field(default_factory=dict)

    def __call__(self, name: str) -> int:
        if name not in self.given:
            self.given[name] = self.following
            self.following += 1
        return self.given[name]


@dataclass(frozen=True, slots=True)
class _Ports:
    http: _Counter
    grpc: _Counter
    metrics: _Counter
    metrics_name: str


def complete(subject: Subject, configuration: Configuration) -> Subject:
    """Return the SeldonDeployment with everything filled in that rendering relies on.

    Needs a spec that passed `validation.check`.
    """
    ports = _Ports(
        http=_Counter(configuration.first_http_port),
        grpc=_Counter(configuration.first_grpc_port),
        metrics=_Counter(FIRST_METRICS),
        metrics_name=configuration.node_metrics_port,
    )
    predictors = tuple(_predictor(subject, predictor, ports, configuration) for predictor in subject.spec.predictors)
    return replace(subject, spec=subject.spec.model_copy(update={"predictors": predictors}))


def _predictor(
    subject: Subject, predictor: PredictorSpec, ports: _Ports, configuration: Configuration
) -> PredictorSpec:
    graph = _typed(predictor.graph)
    components = [_numbered(component, ports, graph) for component in predictor.component_specs]
    known = {each["name"] for component in components for each in containers(component)}
    missing = [unit for unit in nodes(graph) if is_prepackaged(unit) and unit.name not in known]
    if missing:
        first, *others = components or [ComponentSpec()]
        added = [{"name": unit.name} for unit in missing]
        spec = {**first.spec, "containers": [*containers(first), *added]}
        components = [_numbered(first.model_copy(update={"spec": spec}), ports, graph), *others]
    components = [_with_images(component, graph, protocol_of(subject.spec), configuration) for component in components]
    labels = {"version": predictor.name, **predictor.labels}
    done = predictor.model_copy(update={"graph": graph, "component_specs": tuple(components), "labels": labels})
    return done.model_copy(update={"graph": _reachable(subject, done, graph, ports)})


def _typed(unit: PredictiveUnit) -> PredictiveUnit:
    """Fill in type and implementation."""
    kind = unit.type
    if is_prepackaged(unit) or (kind is None and not unit.methods and unit.implementation in (None, "", UNKNOWN)):
        kind = "MODEL"
    return unit.model_copy(
        update={
            "type": kind,
            "implementation": unit.implementation or UNKNOWN,
            "children": tuple(_typed(child) for child in unit.children),
        }
    )


def _numbered(component: ComponentSpec, ports: _Ports, graph: PredictiveUnit) -> ComponentSpec:
    """Give every node's container its ports; a port that the user named stays."""
    units = {unit.name: unit for unit in nodes(graph)}
    done = []
    for container in containers(component):
        name = container["name"]
        numbers = {"http": ports.http(name), "grpc": ports.grpc(name)}
        numbers[ports.metrics_name] = ports.metrics(name)
        unit = units.get(name)
        if unit is not None:
            endpoint = unit.endpoint or Endpoint()
            numbers["http"] = endpoint.http_port or numbers["http"]
            numbers["grpc"] = endpoint.grpc_port or numbers["grpc"]
            container = {**container, "ports": _ports(container, numbers)}
            container.setdefault("imagePullPolicy", "IfNotPresent")
        done.append(container)
    if not done:
        return component
    return component.model_copy(update={"spec": {**component.spec, "containers": done}})


def _ports(container: Mapping[str, Any], numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Add the ports that have no entry of their name; one that has the number and no name gets the name."""
    present = [dict(port) for port in container.get("ports") or ()]
    for name, number in numbers.items():
        if any(port.get("name") == name for port in present):
            continue
        holder = next((port for port in present if port.get("containerPort") == number), None)
        if holder is None:
            present.append({"name": name, "containerPort": number, "protocol": "TCP"})
        else:
            holder.setdefault("name", name)
    return present


def _with_images(
    component: ComponentSpec, graph: PredictiveUnit, protocol: str, configuration: Configuration
) -> ComponentSpec:
    """Give prepackaged servers' containers the configured image where the user gave none."""
    servers = {unit.name: unit.implementation or "" for unit in nodes(graph) if is_prepackaged(unit)}
    done = []
    for container in containers(component):
        if container["name"] in servers and not container.get("image"):
            image = configuration.server_image(servers[container["name"]], protocol)
            container = {**container, "image": image or ""}
        done.append(container)
    if not done:
        return component
    return component.model_copy(update={"spec": {**component.spec, "containers": done}})


def _reachable(subject: Subject, predictor: PredictorSpec, unit: PredictiveUnit, ports: _Ports) -> PredictiveUnit:
    """Fill in the endpoints of a graph's nodes, from the containers that they run in."""
    children = tuple(_reachable(subject, predictor, child, ports) for child in unit.children)
    container, component = find(predictor, unit.name)
    if container is None or is_built_in(unit):
        return unit.model_copy(update={"children": children, "endpoint": None})
    given = unit.endpoint or Endpoint()
    http = port_of(container, "http") or given.http_port or ports.http(unit.name)
    grpc = port_of(container, "grpc") or given.grpc_port or ports.grpc(unit.name)
    prefers_grpc = (given.type or subject.spec.transport.upper()) == "GRPC"
    local = component == 0 and not subject.separate_engine
    service = container_service(subject.name, predictor.name, unit.name)
    endpoint = Endpoint(
        service_host="localhost" if local else service_host(service, subject.namespace),
        service_port=given.service_port or (grpc if prefers_grpc else http),
        type="GRPC" if prefers_grpc else "REST",
        http_port=http,
        grpc_port=grpc,
    )
    return unit.model_copy(update={"children": children, "endpoint": endpoint})


def find(predictor: PredictorSpec, name: str) -> tuple[dict[str, Any] | None, int]:
    """Return the container of that name and the index of its component; None and -1 when there is none."""
    for index, component in enumerate(predictor.component_specs):
        for container in containers(component):
            if container.get("name") == name:
                return container, index
    return None, -1


def port_of(container: Mapping[str, Any], name: str) -> int:
    """Return the number of a container's port of that name; 0 when it has none."""
    return next((int(port["containerPort"]) for port in container.get("ports") or () if port.get("name") == name), 0)
