"""Deployments: one for each component, and one for an orchestrator with pods of its own (reference, section 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.api.deployment import ComponentSpec, PredictiveUnit, PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.names import (
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
    METRICS_PATH,
    PODINFO,
    node_container,
)
from controller.deployment.render.servers import add_server, serve, without_engine
from controller.deployment.subject import Subject, nodes

MAX_SURGE_ANNOTATION = "rollouts.seldon.io/max-surge"
MAX_UNAVAILABLE_ANNOTATION = "rollouts.seldon.io/max-unavailable"
GRACE_SECONDS = 20


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
    scaler = component.hpa_spec is not None
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
    pod = _finished(pod, configuration)
    scaled = is_autoscaled(subject, predictor, component)
    parts = _Parts(
        name=name,
        selector=selector,
        pod=pod,
        metadata=component.metadata,
        kinds=labels.of_kinds(units),
        holds_engine=holds_engine,
        replicas=None if scaled else replicas_of(subject, predictor, component.replicas),
    )
    return _deployment(subject, predictor, parts)


def render_engine(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> dict[str, Any]:
    """Return the Deployment of an orchestrator that has pods of its own."""
    own = predictor.svc_orch_spec
    pod: dict[str, Any] = {"containers": [engine_container(subject, predictor, configuration)]}
    if configuration.orchestrator_service_account:
        pod["serviceAccountName"] = configuration.orchestrator_service_account
    parts = _Parts(
        name=engine_deployment(subject.name, predictor.name),
        selector={labels.ID: subject.name, labels.APP: service_of(subject.name, predictor)},
        pod=_finished(_secured(pod, predictor, holds_root=True), configuration),
        holds_engine=True,
        replicas=replicas_of(subject, predictor, own.replicas if own else None),
    )
    return _deployment(subject, predictor, parts)


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
            container = serve(subject, unit, node_container(subject, predictor, unit, container), given=container)
        done.append(container)
    pod: dict[str, Any] = {**component.spec, "containers": done}
    for unit in units:
        pod = add_server(subject, unit, pod, configuration)
    return pod


def _secured(pod: dict[str, Any], predictor: PredictorSpec, holds_root: bool) -> dict[str, Any]:
    """Mount the certificate in all containers of the root's pod."""
    secret = predictor.ssl.cert_secret_name if predictor.ssl else ""
    if not secret or not holds_root:
        return pod
    mount = {"name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATES, "readOnly": True}
    variable = {"name": "SELDON_CERT_MOUNT_PATH", "value": CERTIFICATES}
    volume = {"name": CERTIFICATE_VOLUME, "secret": {"secretName": secret}}
    done = [
        {
            **each,
            "volumeMounts": merged(each.get("volumeMounts") or (), [mount], key="mountPath"),
            "env": with_defaults(each.get("env") or (), [variable]),
        }
        for each in pod["containers"]
    ]
    return {**pod, "containers": done, "volumes": merged(pod.get("volumes") or (), [volume])}


def _finished(pod: dict[str, Any], configuration: Configuration) -> dict[str, Any]:
    """Fill in what every pod has; what the user set wins."""
    items = [{"path": "annotations", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations"}}]
    done = {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **pod,
    }
    if configuration.pod_user is not None:
        done.setdefault("securityContext", {"runAsUser": configuration.pod_user})
    done["volumes"] = merged(pod.get("volumes") or (), [{"name": PODINFO, "downwardAPI": {"items": items}}])
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What differs from one Deployment to the next."""

    name: str
    selector: Mapping[str, str]
    pod: dict[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    holds_engine: bool
    replicas: int | None


def _deployment(subject: Subject, predictor: PredictorSpec, parts: _Parts) -> dict[str, Any]:
    shadow = {"seldon.io/shadow": "true"} if predictor.shadow else {}
    shared = {
        "fluentd": "true",
        **predictor.labels,
        **(parts.metadata.get("labels") or {}),
        **parts.kinds,
        **shadow,
        **parts.selector,
        "app": parts.name,
    }
    notes = {**subject.spec.annotations, **predictor.annotations, **(parts.metadata.get("annotations") or {})}
    scraped = {"prometheus.io/path": METRICS_PATH, "prometheus.io/scrape": "true", **notes}
    template = labels.metadata(subject, parts.name, shared, scraped)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": dict(parts.selector)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(notes)},
        "template": {
            "metadata": {"labels": template["labels"], "annotations": template["annotations"]},
            "spec": parts.pod,
        },
    }
    if parts.replicas is not None:
        spec["replicas"] = parts.replicas
    if predictor.progress_deadline_seconds is not None:
        spec["progressDeadlineSeconds"] = predictor.progress_deadline_seconds
    own = {labels.HAS_ENGINE: "true"} if parts.holds_engine else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": labels.metadata(subject, parts.name, {**shared, **own}, notes),
        "spec": spec,
    }


def _rolling(annotations: Mapping[str, str]) -> dict[str, Any]:
    """How many pods an update may add and miss: none is missed unless an annotation allows it (full GPUs need it)."""
    surge = annotations.get(MAX_SURGE_ANNOTATION, "25%")
    unavailable = annotations.get(MAX_UNAVAILABLE_ANNOTATION, "0")
    return {"maxSurge": _int_or_percent(surge), "maxUnavailable": _int_or_percent(unavailable)}


def _int_or_percent(text: str) -> int | str:
    return int(text) if text.isdigit() else text
