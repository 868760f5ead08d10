"""The orchestrator's container, and its own Deployment when it has one (reference, section 2.4)."""

import base64
import json
from typing import Any

from controller.api.deployment import PredictiveUnit, PredictorSpec
from controller.api.meta import ROLLOUT_LABEL
from controller.deployment.configuration import Configuration
from controller.deployment.names import ENGINE, containers
from controller.deployment.render import probes
from controller.deployment.render.environment import merged, variables
from controller.deployment.render.nodes import (
    CERTIFICATE_VOLUME,
    CERTIFICATES,
    PODINFO_FOLDER,
    podinfo_mount,
)
from controller.deployment.subject import Subject

LINGER_SECONDS = 5
"""Long enough for the mesh to take a pod out; shorter than the nodes linger, so that requests can end."""
_PREFIX = "seldon.io/engine-"
_NOT_A_SETTING = "seldon.io/engine-separate-pod"
_LOGGER_QUEUE = "seldon.io/executor-logger-queue-size"
_LOGGER_TIMEOUT = "seldon.io/executor-logger-write-timeout-ms"


def engine_predictor(predictor: PredictorSpec) -> str:
    """Return `ENGINE_PREDICTOR`: the predictor as base64 of JSON, without what may change while pods run on.

    Traffic, replicas, autoscalers, disruption budgets and the explainer are left out, and only the names and images of
    the containers are kept, so that no change of those restarts a pod.
    """
    value = {
        "name": predictor.name,
        "graph": _unit(predictor.graph),
        "componentSpecs": [
            {"spec": {"containers": [_container(each) for each in containers(component)]}}
            for component in predictor.component_specs
        ],
        "annotations": predictor.annotations,
        "labels": predictor.labels,
        "replicas": 0,
        "traffic": 0,
    }
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(text.encode()).decode()


def _unit(unit: PredictiveUnit) -> dict[str, Any]:
    return unit.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _container(container: dict[str, Any]) -> dict[str, Any]:
    return {name: container[name] for name in ("name", "image") if container.get(name)}


def engine_container(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> dict[str, Any]:
    """Return the orchestrator's container.

    Its HTTP port has one name, by which it is scraped (`metrics`): server-side apply allows a port number once.
    """
    own, http = predictor.svc_orch_spec, configuration.engine_http_port
    secure = predictor.ssl is not None and bool(predictor.ssl.cert_secret_name)
    scheme = "HTTPS" if secure else "HTTP"
    mounts = [podinfo_mount()]
    if secure:
        mounts.append({"name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATES, "readOnly": True})
    security: dict[str, Any] = {"allowPrivilegeEscalation": False}
    if configuration.orchestrator_user is not None:
        security["runAsUser"] = configuration.orchestrator_user
    return {
        "name": ENGINE,
        "image": configuration.orchestrator_image,
        "imagePullPolicy": configuration.orchestrator_pull_policy,
        "args": _arguments(subject, predictor, configuration),
        "env": _environment(subject, predictor, configuration, secure=secure),
        "ports": [
            {"name": configuration.engine_metrics_port, "containerPort": http, "protocol": "TCP"},
            {"name": "grpc", "containerPort": configuration.engine_grpc_port, "protocol": "TCP"},
        ],
        **probes.served_probes("/ready", "/live", http, scheme),
        "lifecycle": probes.linger(LINGER_SECONDS),
        "resources": dict((own and own.resources) or configuration.orchestrator_resources),
        "securityContext": security,
        "volumeMounts": mounts,
    }


def _arguments(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> list[str]:
    pairs = {
        "--sdep": subject.name,
        "--namespace": subject.namespace,
        "--predictor": predictor.name,
        "--http_port": str(configuration.engine_http_port),
        "--grpc_port": str(configuration.engine_grpc_port),
        "--protocol": subject.spec.protocol or "seldon",
        "--transport": subject.spec.transport or "rest",
        "--prometheus_path": configuration.metrics_path,
        "--server_type": subject.spec.server_type or "rpc",
        "--log_work_buffer_size": subject.annotation(_LOGGER_QUEUE, str(configuration.request_logger_queue)),
        "--log_write_timeout_ms": subject.annotation(_LOGGER_TIMEOUT, str(configuration.request_logger_timeout_ms)),
    }
    flag = f"--full_health_checks={str(configuration.full_health_checks).lower()}"
    return [*(text for pair in pairs.items() for text in pair), flag]


def _environment(
    subject: Subject, predictor: PredictorSpec, configuration: Configuration, *, secure: bool
) -> list[dict[str, Any]]:
    settings = {
        name.removeprefix(_PREFIX).replace("-", "_").upper(): value
        for name, value in sorted(subject.spec.annotations.items())
        if name.startswith(_PREFIX) and name != _NOT_A_SETTING
    }
    own = {
        "ENGINE_PREDICTOR": engine_predictor(predictor),
        "REQUEST_LOGGER_DEFAULT_ENDPOINT": configuration.request_logger_endpoint,
        "SELDON_PODINFO_PATH": f"{PODINFO_FOLDER}/annotations",
    }
    rollout = subject.labels.get(ROLLOUT_LABEL, subject.name)
    if rollout != subject.name:  # one that takes the place of its rollout loses the label, and must not restart for it
        own["SELDON_ROLLOUT"] = rollout
    if secure:
        own["SELDON_CERT_MOUNT_PATH"] = CERTIFICATES
    given = predictor.svc_orch_spec.env if predictor.svc_orch_spec else ()
    return merged(variables(own), variables(settings), given)
