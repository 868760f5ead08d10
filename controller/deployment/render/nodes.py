"""What a graph node's container gets: probes, environment, mounts (reference, section 2.3)."""

import json
from collections.abc import Mapping
from typing import Any

from controller.api.deployment import Endpoint, Parameter, PredictiveUnit, PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.defaults import port_of
from controller.deployment.render import probes
from controller.deployment.render.environment import merged, variables, with_defaults
from controller.deployment.render.initializers import MODELS
from controller.deployment.subject import Subject

PODINFO = "seldon-podinfo"
PODINFO_FOLDER = "/etc/podinfo"
LEGACY_PODINFO = "podinfo"
CERTIFICATES = "/cert/"
CERTIFICATE_VOLUME = "seldon-cert-volume"
LINGER_SECONDS = 10


def podinfo_mount() -> dict[str, Any]:
    """Return the mount of the pod's annotations."""
    return {"name": PODINFO, "mountPath": PODINFO_FOLDER}


def parameters_json(parameters: tuple[Parameter, ...]) -> str:
    """Return a node's parameters as `PREDICTIVE_UNIT_PARAMETERS` has them."""
    entries = [{"name": each.name, "value": each.value, "type": each.type} for each in parameters]
    return json.dumps(entries, separators=(",", ":"))


def node_container(
    subject: Subject,
    predictor: PredictorSpec,
    unit: PredictiveUnit,
    container: Mapping[str, Any],
    configuration: Configuration,
) -> dict[str, Any]:
    """Return a node's container, complete. What the user set wins, but for the variables that say who it is."""
    endpoint = unit.endpoint or Endpoint()
    done = dict(container)
    for name, probe in probes.node_probes(endpoint.service_port).items():
        done.setdefault(name, probe)
    lifecycle = dict(container.get("lifecycle") or {})
    lifecycle.setdefault("preStop", probes.linger(LINGER_SECONDS)["preStop"])
    done["lifecycle"] = lifecycle
    settings = with_defaults(container.get("env") or (), _settings(unit, endpoint))
    identity = variables(_identity(subject, predictor, unit, container))
    scraped = _metrics(port_of(container, configuration.node_metrics_port), configuration.metrics_path)
    done["env"] = merged(settings, identity, scraped)
    kept = [each for each in container.get("volumeMounts") or () if each.get("name") != LEGACY_PODINFO]
    done["volumeMounts"] = merged(kept, [podinfo_mount()], key="mountPath")
    return done


def _settings(unit: PredictiveUnit, endpoint: Endpoint) -> list[dict[str, Any]]:
    values = {
        "PREDICTIVE_UNIT_SERVICE_PORT": str(endpoint.service_port),
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(endpoint.http_port),
        "MLSERVER_HTTP_PORT": str(endpoint.http_port),
        "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(endpoint.grpc_port),
        "MLSERVER_GRPC_PORT": str(endpoint.grpc_port),
        "SELDON_PODINFO_PATH": f"{PODINFO_FOLDER}/annotations",
    }
    if unit.parameters:
        values["PREDICTIVE_UNIT_PARAMETERS"] = parameters_json(unit.parameters)
    if unit.model_uri:
        values["MLSERVER_MODEL_URI"] = MODELS
    return variables(values)


def _identity(
    subject: Subject, predictor: PredictorSpec, unit: PredictiveUnit, container: Mapping[str, Any]
) -> dict[str, str]:
    return {
        "PREDICTIVE_UNIT_ID": unit.name,
        "MLSERVER_MODEL_NAME": unit.name,
        "PREDICTIVE_UNIT_IMAGE": container.get("image") or "",
        "PREDICTOR_ID": predictor.name,
        "PREDICTOR_LABELS": json.dumps(predictor.labels, sort_keys=True, separators=(",", ":")),
        "SELDON_DEPLOYMENT_ID": subject.name,
        "SELDON_EXECUTOR_ENABLED": "true",
    }


def _metrics(port: int, path: str) -> list[dict[str, Any]]:
    if not port:
        return []
    values = {
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(port),
        "PREDICTIVE_UNIT_METRICS_ENDPOINT": path,
        "MLSERVER_METRICS_PORT": str(port),
        "MLSERVER_METRICS_ENDPOINT": path,
    }
    return variables(values)
