"""Prepackaged servers: what a node's container gets for its implementation and protocol (reference, section 2.10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.api.deployment import Endpoint, Parameter, PredictiveUnit, PredictorSpec
from controller.api.names import MAX_NAME, NO_ENGINE_ANNOTATION
from controller.deployment.configuration import Configuration
from controller.deployment.render import probes
from controller.deployment.render.environment import merged, variables, with_defaults
from controller.deployment.render.initializers import MODELS, add_model
from controller.deployment.render.nodes import parameters_json
from controller.deployment.subject import Subject, is_prepackaged, protocol_of

MLSERVER_RUNTIMES = {
    "SKLEARN_SERVER": "mlserver_sklearn.SKLearnModel",
    "XGBOOST_SERVER": "mlserver_xgboost.XGBoostModel",
    "MLFLOW_SERVER": "mlserver_mlflow.MLflowRuntime",
    "HUGGINGFACE_SERVER": "mlserver_huggingface.HuggingFaceRuntime",
    "TEMPO_SERVER": "tempo.mlserver.InferenceRuntime",
}
TFSERVING = "tfserving"
TFSERVING_GRPC = 2000
"""Of the first one in a pod; its REST port is the next number, and further ones follow."""
NO_INITIALIZER_ANNOTATION = "seldon.io/no-storage-initializer"
TRITON = "TRITON_SERVER"
TENSORFLOW = "TENSORFLOW_SERVER"

Container = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _TensorFlow:
    """TensorFlow Serving beside a node that speaks the seldon protocol: upstream has one for all nodes of a pod."""

    container: str
    grpc: int

    @property
    def rest(self) -> int:
        return self.grpc + 1


def _beside(unit: PredictiveUnit, units: Sequence[PredictiveUnit]) -> _TensorFlow:
    """Return a node's own TensorFlow Serving, among those of its pod."""
    place = [each.name for each in units if each.implementation == TENSORFLOW].index(unit.name)
    return _TensorFlow(f"{TFSERVING}-{unit.name}"[:MAX_NAME] if place else TFSERVING, TFSERVING_GRPC + 2 * place)


def serve(
    subject: Subject,
    unit: PredictiveUnit,
    container: Container,
    given: Mapping[str, Any],
    units: Sequence[PredictiveUnit],
) -> Container:
    """Return a prepackaged node's container with the settings of its server.

    Args:
        subject: the SeldonDeployment.
        unit: the node.
        container: as any node has it.
        given: what the user wrote of it.
        units: the nodes of its pod.
    """
    protocol, implementation = protocol_of(subject.spec), unit.implementation
    if not is_prepackaged(unit):
        return container
    if implementation == TENSORFLOW and protocol == "tensorflow":
        return _tensorflow(unit, container)
    if implementation == TENSORFLOW and protocol == "seldon":
        return _tensorflow_proxy(unit, container, _beside(unit, units))
    if implementation == TRITON:
        return {**_triton(subject, unit, container), **_health(unit, given)}
    if protocol == "v2":
        return {**_mlserver(unit, container), **_health(unit, given)}
    return _seldon(unit, container)


def _seldon(unit: PredictiveUnit, container: Container) -> Container:
    """A server of the seldon protocol: the user's parameters and where the model is."""
    given = tuple(each for each in unit.parameters if each.name != "model_uri")
    text = parameters_json((*given, Parameter(name="model_uri", value=MODELS, type="STRING")))
    return {**container, "env": merged(container["env"], variables({"PREDICTIVE_UNIT_PARAMETERS": text}))}


def _health(unit: PredictiveUnit, given: Mapping[str, Any]) -> dict[str, Any]:
    """The probes of a server of the v2 protocol; the user's own win."""
    port = (unit.endpoint or Endpoint()).http_port
    own = probes.served_probes("/v2/health/ready", "/v2/health/live", port)
    return {name: given.get(name) or probe for name, probe in own.items()}


def _mlserver(unit: PredictiveUnit, container: Container) -> Container:
    values = {
        "MLSERVER_MODEL_VERSION": "v1",
        "TEMPO_RUNTIME_OPTIONS": '{"k8s_options": {"defaultRuntime": "tempo.seldon.SeldonKubernetesRuntime"}}',
    }
    runtime = MLSERVER_RUNTIMES.get(unit.implementation or "")
    if runtime:
        values["MLSERVER_MODEL_IMPLEMENTATION"] = runtime
    if unit.implementation == "HUGGINGFACE_SERVER":
        values |= {"MLSERVER_PARALLEL_WORKERS": "0", "XDG_CACHE_HOME": "/opt/mlserver"}
    values["MLSERVER_MODEL_URI"] = MODELS
    return {**container, "env": with_defaults(container["env"], variables(values))}


def _flags(unit: PredictiveUnit, names: tuple[str, ...]) -> list[str]:
    return [f"--{each.name.replace('_', '-')}={each.value}" for each in unit.parameters if each.name in names]


def _triton(subject: Subject, unit: PredictiveUnit, container: Container) -> Container:
    endpoint = unit.endpoint or Endpoint()
    repository = unit.model_uri if not downloads(subject, unit) else MODELS
    given = {each.name for each in unit.parameters}
    args = [
        "/opt/tritonserver/bin/tritonserver",
        f"--grpc-port={endpoint.grpc_port}",
        f"--http-port={endpoint.http_port}",
        f"--model-repository={repository}",
        *([] if "strict_model_config" in given else ["--strict-model-config=false"]),
        *_flags(unit, ("model_control_mode", "load_model", "strict_model_config")),
    ]
    done = {**container, "args": container.get("args") or args}
    if not downloads(subject, unit) and unit.env_secret_ref_name:
        done["envFrom"] = [*(container.get("envFrom") or ()), {"secretRef": {"name": unit.env_secret_ref_name}}]
    return done


def _tensorflow(unit: PredictiveUnit, container: Container) -> Container:
    endpoint = unit.endpoint or Endpoint()
    args = _tensorflow_args(endpoint.grpc_port, endpoint.http_port, unit.name)
    return {**container, "args": container.get("args") or args}


def _tensorflow_args(grpc: int, rest: int, model: str) -> list[str]:
    return [
        "/usr/bin/tensorflow_model_server",
        f"--port={grpc}",
        f"--rest_api_port={rest}",
        f"--model_name={model}",
        f"--model_base_path={MODELS}",
    ]


def _tensorflow_proxy(unit: PredictiveUnit, container: Container, server: _TensorFlow) -> Container:
    """The node speaks the seldon protocol and asks TensorFlow Serving beside it."""
    given = {each.name: each for each in unit.parameters}
    defaults = {
        "rest_endpoint": f"http://0.0.0.0:{server.rest}",
        "grpc_endpoint": f"0.0.0.0:{server.grpc}",
        "model_name": unit.name,
    }
    added = [Parameter(name=name, value=value, type="STRING") for name, value in defaults.items() if name not in given]
    text = parameters_json((*unit.parameters, *added))
    return {**container, "env": merged(container["env"], variables({"PREDICTIVE_UNIT_PARAMETERS": text}))}


def downloads(subject: Subject, unit: PredictiveUnit) -> bool:
    """Return whether the node's model is downloaded before its server starts."""
    skips = subject.spec.annotations.get(NO_INITIALIZER_ANNOTATION, "").lower() == "true"
    return bool(unit.model_uri) and not (skips and unit.implementation == TRITON)


def add_server(
    subject: Subject,
    unit: PredictiveUnit,
    pod: dict[str, Any],
    configuration: Configuration,
    units: Sequence[PredictiveUnit],
) -> dict[str, Any]:
    """Return the pod spec with what a node's server needs beside its container: model, helper, service account."""
    holder = unit.name
    if unit.implementation == TENSORFLOW and protocol_of(subject.spec) == "seldon":
        own = _beside(unit, units)
        holder = own.container
        server = {
            "name": holder,
            "image": configuration.server_image(TENSORFLOW, "tensorflow") or "tensorflow/serving:2.1.0",
            "imagePullPolicy": "IfNotPresent",
            "args": _tensorflow_args(own.grpc, own.rest, unit.name),
            "ports": [{"containerPort": port, "protocol": "TCP"} for port in (own.grpc, own.rest)],
        }
        pod = {**pod, "containers": with_defaults(pod["containers"], [server])}
    if downloads(subject, unit):
        pod = add_model(pod, holder, unit, configuration)
    if unit.service_account_name and is_prepackaged(unit):
        pod = {**pod, "serviceAccountName": unit.service_account_name}
    return pod


def without_engine(predictor: PredictorSpec) -> bool:
    """Return whether the predictor's model is served without an orchestrator."""
    return predictor.annotations.get(NO_ENGINE_ANNOTATION, "").lower() == "true"
