"""Deployments: one for each component, and one for an orchestrator with pods of its own (reference, section 2.2)."""

from typing import Any

from controller.api.deployment import ComponentSpec, PredictiveUnit, PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.names import (
    ENGINE,
    component_deployment,
    container_service,
    containers,
    engine_deployment,
    service_of,
)
from controller.deployment.render import labels
from controller.deployment.render.engine import engine_container
from controller.deployment.render.environment import merged, with_defaults
from controller.deployment.render.nodes import (
    CERTIFICATE_VOLUME,
    CERTIFICATES,
    node_container,
)
from controller.deployment.render.servers import add_server, serve, without_engine
from controller.deployment.render.workloads import Parts, deployment, finished
from controller.deployment.subject import Subject, nodes


def engine_in_pod(subject: Subject, predictor: PredictorSpec) -> bool:
    """Return whether the orchestrator runs in the first component's pods."""
    return not without_engine(predictor) and not engine_apart(subject, predictor)


def engine_apart(subject: Subject, predictor: PredictorSpec) -> bool:
    """Return whether the orchestrator has pods of its own: because it is asked for, or because there are no others."""
    return not without_engine(predictor) and (subject.separate_engine or not predictor.component_specs)


def replicas_of(subject: Subject, predictor: PredictorSpec, own: int | None) -> int | None:
    """Return the wanted number of pods: its own, else the predictor's, else the SeldonDeployment's, else none."""
    return next((each for each in (own, predictor.replicas, subject.spec.replicas) if each is not None), None)


def is_autoscaled(subject: Subject, predictor: PredictorSpec, component: ComponentSpec) -> bool:
    """Return whether an autoscaler sets the number of pods. Zero replicas, asked for by name, switch it off."""
    scaler = component.hpa_spec is not None or component.keda_spec is not None
    return scaler and replicas_of(subject, predictor, component.replicas) != 0


def render_component(
    subject: Subject, predictor: PredictorSpec, index: int, configuration: Configuration
) -> dict[str, Any]:
    """Return the Deployment of one component of a completed predictor."""
    component = predictor.component_specs[index]
    name = component_deployment(subject.name, predictor, index, name_as_prefix=configuration.deployment_name_as_prefix)
    found = {each["name"] for each in containers(component)}
    units = [unit for unit in nodes(predictor.graph) if unit.name in found]
    holds_engine = index == 0 and engine_in_pod(subject, predictor)
    faces_users = holds_engine or (without_engine(predictor) and bool(units))
    selector = _selector(subject, predictor, units, faces_users=faces_users)
    pod = _pod(subject, predictor, component, units, configuration)
    if holds_engine:
        pod["containers"] = [*pod["containers"], engine_container(subject, predictor, configuration)]
    pod = _secured(pod, predictor, any(unit is predictor.graph for unit in units))
    pod = finished(pod, configuration)
    scaled = is_autoscaled(subject, predictor, component)
    parts = Parts(
        name=name,
        selector=selector,
        pod=pod,
        metadata=component.metadata,
        kinds=labels.of_kinds(units),
        holds_engine=holds_engine,
        metrics_path=configuration.metrics_path,
        replicas=None if scaled else replicas_of(subject, predictor, component.replicas),
    )
    return deployment(subject, predictor, parts)


def render_engine(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> dict[str, Any]:
    """Return the Deployment of an orchestrator that has pods of its own."""
    own = predictor.svc_orch_spec
    pod: dict[str, Any] = {"containers": [engine_container(subject, predictor, configuration)]}
    if configuration.orchestrator_service_account:
        pod["serviceAccountName"] = configuration.orchestrator_service_account
    parts = Parts(
        name=engine_deployment(subject.name, predictor.name),
        selector={labels.ID: subject.name, labels.APP: service_of(subject.name, predictor)},
        pod=finished(_secured(pod, predictor, holds_root=True), configuration),
        holds_engine=True,
        metrics_path=configuration.metrics_path,
        replicas=replicas_of(subject, predictor, own.replicas if own else None),
    )
    return deployment(subject, predictor, parts)


def _selector(
    subject: Subject, predictor: PredictorSpec, units: list[PredictiveUnit], *, faces_users: bool
) -> dict[str, str]:
    selector = {labels.ID: subject.name}
    for unit in units:
        service = container_service(subject.name, predictor.name, unit.name)
        selector |= labels.of_container(unit.name, service)
    if faces_users:
        selector[labels.APP] = service_of(subject.name, predictor)
    return selector


def _pod(
    subject: Subject,
    predictor: PredictorSpec,
    component: ComponentSpec,
    units: list[PredictiveUnit],
    configuration: Configuration,
) -> dict[str, Any]:
    """Return the component's pod spec with its nodes' containers complete."""
    by_name = {unit.name: unit for unit in units}
    done = []
    for container in containers(component):
        unit = by_name.get(container["name"])
        if unit is not None:
            own = node_container(subject, predictor, unit, container, configuration)
            container = serve(subject, unit, own, given=container, units=units)
        done.append(container)
    pod: dict[str, Any] = {**component.spec, "containers": done}
    for unit in units:
        pod = add_server(subject, unit, pod, configuration, units)
    return pod


def _secured(pod: dict[str, Any], predictor: PredictorSpec, holds_root: bool) -> dict[str, Any]:
    """Mount the certificate in all containers of the root's pod; the orchestrator mounts it wherever it is."""
    secret = predictor.ssl.cert_secret_name if predictor.ssl else ""
    volume = {"name": CERTIFICATE_VOLUME, "secret": {"secretName": secret}}
    if not secret:
        return pod
    if not holds_root:
        asked = any(each["name"] == ENGINE for each in pod["containers"])
        return {**pod, "volumes": merged(pod.get("volumes") or (), [volume])} if asked else pod
    mount = {"name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATES, "readOnly": True}
    variable = {"name": "SELDON_CERT_MOUNT_PATH", "value": CERTIFICATES}
    done = [
        {
            **each,
            "volumeMounts": merged(each.get("volumeMounts") or (), [mount], key="mountPath"),
            "env": with_defaults(each.get("env") or (), [variable]),
        }
        for each in pod["containers"]
    ]
    return {**pod, "containers": done, "volumes": merged(pod.get("volumes") or (), [volume])}
