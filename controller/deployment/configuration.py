"""What an administrator sets for all SeldonDeployments: images, prepackaged servers, the mesh.

The config map `seldon-config` has Seldon Core v1's format; without it the built-in servers stand.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from controller.deployment.credentials import Grant, Keys

CONFIG_MAP = "seldon-config"
VERSION = "0.1.0"
MLSERVER = "1.7.1"
DRAIN = timedelta(seconds=15)
"""How long what has been replaced stays after the new objects serve."""


@dataclass(frozen=True, slots=True)
class ServerImage:
    """Image of a prepackaged server for one protocol; a tag in the image wins over the version."""

    image: str
    version: str = ""

    @property
    def reference(self) -> str:
        """The image with its tag."""
        last = self.image.rsplit("/", 1)[-1]
        return self.image if not self.version or ":" in last or "@" in last else f"{self.image}:{self.version}"


def _built_in_servers() -> dict[str, dict[str, ServerImage]]:
    def ours(name: str, v2: str) -> dict[str, ServerImage]:
        return {
            "seldon": ServerImage(f"seldonio/rollouts-{name}", VERSION),
            "v2": ServerImage("seldonio/mlserver", f"{MLSERVER}-{v2}"),
        }

    return {
        "SKLEARN_SERVER": ours("sklearnserver", "sklearn"),
        "XGBOOST_SERVER": ours("xgboostserver", "xgboost"),
        "MLFLOW_SERVER": ours("mlflowserver", "mlflow"),
        "TENSORFLOW_SERVER": {
            "tensorflow": ServerImage("tensorflow/serving", "2.1.0"),
            "seldon": ServerImage("seldonio/tfserving-proxy", "1.17.1"),
        },
        "TRITON_SERVER": {"v2": ServerImage("nvcr.io/nvidia/tritonserver", "21.08-py3")},
        "HUGGINGFACE_SERVER": {"v2": ServerImage("seldonio/mlserver", f"{MLSERVER}-huggingface")},
        "TEMPO_SERVER": {"v2": ServerImage("seldonio/mlserver", f"{MLSERVER}-slim")},
    }


def _initializer_resources() -> dict[str, Any]:
    return {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


def _orchestrator_resources() -> dict[str, Any]:
    return {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings of the operator that shape what is rendered."""

    orchestrator_image: str = f"seldonio/rollouts-orchestrator:{VERSION}"
    orchestrator_resources: Mapping[str, Any] = field(default_factory=_orchestrator_resources)
    orchestrator_pull_policy: str = "IfNotPresent"
    orchestrator_user: int | None = 8888
    orchestrator_service_account: str = ""
    full_health_checks: bool = False
    pod_user: int | None = 8888
    """runAsUser of pods that set none."""
    engine_http_port: int = 8000
    """Where orchestrators serve HTTP, and their metrics."""
    engine_grpc_port: int = 5001
    engine_metrics_port: str = "metrics"
    """The name of the orchestrator's HTTP port."""
    node_metrics_port: str = "metrics"
    """The name of the port at which a node's container is scraped."""
    metrics_path: str = "/prometheus"
    first_http_port: int = 9000
    first_grpc_port: int = 9500
    initializer_image: str = f"seldonio/rollouts-storage-initializer:{VERSION}"
    initializer_resources: Mapping[str, Any] = field(default_factory=_initializer_resources)
    initializer_env_secret: str = ""
    explainer_image: str = "seldonio/alibiexplainer:1.17.1"
    explainer_image_v2: str = f"seldonio/mlserver:{MLSERVER}-alibi-explain"
    request_logger_endpoint: str = "http://default-broker"
    request_logger_queue: int = 10000
    request_logger_timeout_ms: int = 2000
    istio: bool = True
    istio_gateway: str = "istio-system/seldon-gateway"
    istio_tls_mode: str = ""
    deployment_name_as_prefix: bool = False
    drain: timedelta = DRAIN
    credential_keys: Keys = field(default_factory=Keys)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    """What service accounts give to downloads, for the SeldonDeployment at hand."""
    servers: Mapping[str, Mapping[str, ServerImage]] = field(default_factory=_built_in_servers)

    def server_image(self, implementation: str, protocol: str) -> str | None:
        """Return the image of a prepackaged server for a protocol, or None when it is not known.

        `v2` and `kfserving` stand for each other.
        """
        images = self.servers.get(implementation, {})
        names = ("v2", "kfserving") if protocol in {"v2", "kfserving"} else (protocol or "seldon",)
        return next((images[name].reference for name in names if name in images), None)


class ConfigMapError(ValueError):
    """The config map cannot be read."""


def with_config_map(configuration: Configuration, data: Mapping[str, str] | None) -> Configuration:
    """Return the configuration with what the config map `seldon-config` says; unchanged when there is none.

    Raises:
        ConfigMapError: a key is not the JSON that Seldon Core v1 has there.
    """
    if not data:
        return configuration
    servers = _read(data, "predictor_servers")
    if servers:
        try:
            merged = {name: _protocols(entry) for name, entry in servers.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise ConfigMapError(
                f"{CONFIG_MAP}: predictor_servers: expected {{KEY: {{protocols: {{protocol: {{image, "
                f"defaultImageVersion}}}}}}}}, found something else ({error})"
            ) from error
        configuration = replace(configuration, servers=merged)
    explainer = _read(data, "explainer")
    configuration = replace(
        configuration,
        credential_keys=_keys(_read(data, "credentials")),
        explainer_image=explainer.get("image") or configuration.explainer_image,
        explainer_image_v2=explainer.get("image_v2") or configuration.explainer_image_v2,
    )
    storage = _read(data, "storageInitializer")
    if not storage:
        return configuration
    resources = {
        kind: {
            name: storage.get(f"{name}{kind[:-1].capitalize()}") or str(default)
            for name, default in configuration.initializer_resources[kind].items()
        }
        for kind in ("requests", "limits")
    }
    image = storage.get("image") or configuration.initializer_image
    return replace(configuration, initializer_image=image, initializer_resources=resources)


def _keys(credentials: Mapping[str, Any]) -> Keys:
    s3, gcs = credentials.get("s3") or {}, credentials.get("gcs") or {}
    given = {
        "s3_access_key_id": s3.get("s3AccessKeyIDName"),
        "s3_secret_access_key": s3.get("s3SecretAccessKeyName"),
        "s3_endpoint": s3.get("s3Endpoint"),
        "s3_use_https": s3.get("s3UseHttps"),
        "gcs_file": gcs.get("gcsCredentialFileName"),
    }
    return Keys(**{name: str(value) for name, value in given.items() if value})


def _protocols(entry: Mapping[str, Any]) -> dict[str, ServerImage]:
    return {
        protocol: ServerImage(image["image"], image.get("defaultImageVersion", ""))
        for protocol, image in entry["protocols"].items()
    }


def _read(data: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(data.get(key) or "{}")
    except ValueError as error:
        raise ConfigMapError(f"{CONFIG_MAP}: {key}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigMapError(f"{CONFIG_MAP}: {key}: expected a JSON object, found {value!r}")
    return value
