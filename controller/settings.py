"""What the controller was told at its start, as one frozen model."""

import re
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from controller.api.meta import parse_duration
from controller.errors import ControllerError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"[a-z]([-a-z0-9]{0,13}[a-z0-9])?")


class SettingsError(ControllerError):
    """A flag or a variable cannot be used; the text names it."""

    retry = False


def _version() -> str:
    try:
        return version("seldon-rollouts")
    except PackageNotFoundError:
        return "0.0.0"


VERSION = _version()


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("expected lower-case letters, digits and '-', at most 63, such as seldon-system")
    return value


def _port_name(value: str) -> str:
    if not _PORT_NAME.fullmatch(value) or value in ("http", "grpc"):
        raise ValueError("expected a port's name of at most 15 characters, other than http and grpc, such as metrics")
    return value


Name = Annotated[str, AfterValidator(_name)]
Namespaces = Annotated[tuple[Name, ...], BeforeValidator(_listed)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Port = Annotated[int, Field(ge=1, le=65000)]
PortName = Annotated[str, AfterValidator(_port_name)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Part = Literal["operator", "rollout", "analysis"]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]


class Settings(BaseModel):
    """Everything that a person may set. The field's docstring is the flag's help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kubeconfig: str | None = None
    """path of a kubeconfig; without it KUBECONFIG, then the pod's service account, then ~/.kube/config"""
    context: str | None = None
    """context of the kubeconfig; its current one when absent"""
    namespaces: Namespaces = ()
    """namespaces to watch, separated by commas; all when absent"""
    controllers: Annotated[frozenset[Part], BeforeValidator(_listed), Field(min_length=1)] = frozenset(
        {"operator", "rollout", "analysis"}
    )
    """which controllers run: operator, rollout, analysis, or several of them"""
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    """objects that each controller works on at the same time"""
    prometheus_url: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$")] = ""
    """address of Prometheus; without it no judge can promote"""
    prometheus_token_file: str | None = None
    """file with a bearer token for Prometheus; read anew for each question"""
    prometheus_access: str | None = None
    """folder, such as a mounted Secret, with what Prometheus asks for: token, or username and password; ca.crt; tls.crt
    and tls.key; headers (lines such as `X-Scope-OrgID: ml`)"""
    tick: Duration = timedelta(seconds=10)
    """how often the judge looks"""
    settle: Duration = timedelta(seconds=2)
    """how old a moment is when the judge reads it: as long as a scrape may take until Prometheus has it"""
    notifications_file: str = ""
    """YAML file that says what is told to whom (docs/notifications.md); nobody is told without it"""
    istio_gateway: Annotated[str, Field(pattern=r"^([a-z0-9-]+/)?[a-z0-9.-]+$")] = "istio-system/seldon-gateway"
    """the Istio Gateway that VirtualServices join, as namespace/name"""
    istio_root_namespace: Name = "istio-system"
    """Istio's root namespace (rootNamespace in its mesh configuration): DestinationRules there hold for all of it"""
    operator_namespace: Name = "seldon-system"
    """the namespace that the controller lives in"""
    orchestrator_image: Annotated[str, Field(min_length=1)] = f"seldonio/rollouts-orchestrator:{VERSION}"
    """image of the service orchestrator"""
    initializer_image: str = ""
    """image that downloads models, whatever the config map seldon-config says; its own when absent"""
    explainer_image: str = ""
    """image of explainers of the seldon and tensorflow protocols, likewise"""
    sklearn_server_image: str = ""
    """image of SKLEARN_SERVER with the seldon protocol, likewise"""
    xgboost_server_image: str = ""
    """image of XGBOOST_SERVER with the seldon protocol, likewise"""
    mlflow_server_image: str = ""
    """image of MLFLOW_SERVER with the seldon protocol, likewise"""
    tensorflow_image: str = ""
    """image of TensorFlow Serving, likewise"""
    tensorflow_proxy_image: str = ""
    """image of TENSORFLOW_SERVER with the seldon protocol, which asks TensorFlow Serving, likewise"""
    executor_user: Annotated[int, Field(ge=0, le=2**31 - 1)] = 8888
    """user id of the orchestrator's container"""
    default_user: Annotated[int, Field(ge=0, le=2**31 - 1)] = 8888
    """user id of pods that name none"""
    executor_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """when the orchestrator's image is pulled"""
    executor_cpu_request: Quantity = "500m"
    """CPU that is set aside for an orchestrator whose svcOrchSpec says nothing"""
    executor_cpu_limit: Quantity = "500m"
    """CPU that it may use"""
    executor_memory_request: Quantity = "512Mi"
    """memory that is set aside for it"""
    executor_memory_limit: Quantity = "512Mi"
    """memory that it may use"""
    executor_http_port: Port = 8000
    """port at which orchestrators serve HTTP and their metrics"""
    executor_grpc_port: Port = 5001
    """port at which orchestrators serve gRPC"""
    executor_metrics_port_name: PortName = "metrics"
    """name of the orchestrator's HTTP port, by which it is scraped"""
    node_metrics_port_name: PortName = "metrics"
    """name of the port at which a graph's containers are scraped"""
    metrics_path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$")] = "/prometheus"
    """path of the metrics of orchestrators and of a graph's containers"""
    first_http_port: Port = 9000
    """HTTP port of the first container of a graph; the next ones count up"""
    first_grpc_port: Port = 9500
    """gRPC port of the first container of a graph; the next ones count up"""
    orchestrator_service_account: str = ""
    """service account of orchestrators that have pods of their own; the namespace's default when absent"""
    full_health_checks: bool = False
    """orchestrators ask the models, too, when they are asked whether they are ready"""
    initializer_env_secret: str = ""
    """Secret whose keys become the environment of downloads that name none, such as RCLONE_CONFIG_*"""
    request_logger_endpoint: str = "http://default-broker"
    """where payloads are logged that name no sink"""
    request_logger_queue_size: Count = 10000
    """payloads that wait to be logged, where no annotation says otherwise"""
    request_logger_write_timeout_ms: Count = 2000
    """milliseconds for one payload, where no annotation says otherwise"""
    istio: bool = True
    """write objects of Istio where their kinds are served"""
    istio_tls_mode: Literal["", "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = ""
    """TLS mode of DestinationRules; Istio's own choice when absent"""
    deployment_name_as_prefix: bool = False
    """a Deployment whose name is too long becomes <sdep>-<md5> where that fits, instead of seldon-<md5>"""
    controller_id: str = ""
    """look after SeldonDeployments with this label seldon.io/controller-id; after those without one when absent"""
    listen: Annotated[str, Field(pattern=r"^([^\s:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$")] = "127.0.0.1:8080"
    """address of /healthz, /readyz and /metrics"""
    webhook_listen: Annotated[str, Field(pattern=r"^(([^\s:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5})?$")] = ""
    """address of the admission webhooks (docs/seldondeployment.md), such as 0.0.0.0:9443; there are none without it"""
    webhook_certificates: str = ""
    """folder with tls.crt and tls.key for the webhooks, such as cert-manager's Secret, mounted; without it the
    controller makes and renews a certificate, and has the webhook configurations trust it"""
    webhook_names: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """names and addresses by which the API server reaches the webhooks; those of the Service when absent"""
    leader_elect: bool = False
    """work only while holding a Lease, so that several replicas may run"""
    lease_namespace: Name | None = None
    """namespace of the Lease; the operator's when absent"""
    lease_name: Name = "seldon-rollouts-controller"
    """name of the Lease"""
    lease_duration: Duration = timedelta(seconds=15)
    """how long the Lease holds without a renewal"""
    lease_deadline: Duration = timedelta(seconds=10)
    """how long the leader works without a renewal"""
    lease_retry: Duration = timedelta(seconds=2)
    """how often the Lease is renewed or looked at"""
    grace: Duration = timedelta(seconds=20)
    """how long passes under way may take to end after SIGTERM"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """what is logged: debug, info, warning or error"""

    @model_validator(mode="after")
    def _terms(self) -> "Settings":
        if not self.lease_retry < self.lease_deadline < self.lease_duration:
            raise ValueError("expected lease_retry < lease_deadline < lease_duration")
        for name, text in (("listen", self.listen), ("webhook_listen", self.webhook_listen)):
            if text and int(text.rsplit(":", 1)[1]) > 65535:
                raise ValueError(f"{name}: {text!r} has no valid port; expected at most 65535")
        return self

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        first = {"first_http_port": self.first_http_port, "first_grpc_port": self.first_grpc_port}
        own = {"executor_http_port": self.executor_http_port, "executor_grpc_port": self.executor_grpc_port}
        taken: dict[int, str] = {}
        for name, port in {**first, **own}.items():
            if port in taken:
                raise ValueError(f"{name}: {port} is {taken[port]} already; expected ports that differ")
            taken[port] = name
        return self

    @property
    def namespace(self) -> str | None:
        """The one namespace that is watched; None when it is several or all."""
        return self.namespaces[0] if len(self.namespaces) == 1 else None

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return _address(self.listen)

    @property
    def webhook_address(self) -> tuple[str, int]:
        """Host and port of `webhook_listen`."""
        return _address(self.webhook_listen)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
