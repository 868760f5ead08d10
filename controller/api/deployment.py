"""SeldonDeployment (`machinelearning.seldon.io/v1`): what a person writes, and what the operator answers in its status.

The fields are those of Seldon Core v1. What the schema does not know is passed over, as an API server prunes it. Pod
specs, containers, autoscaler metrics and the like stay plain objects: their schema is Kubernetes' own.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from controller.api.meta import ApiModel, Condition, StatusModel

Protocol = Literal["", "seldon", "tensorflow", "kfserving", "v2"]
Transport = Literal["", "rest", "grpc"]
ServerType = Literal["", "rpc", "kafka"]
UnitType = Literal["MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER", "ROUTER", "COMBINER", "UNKNOWN_TYPE"]
UnitMethod = Literal["TRANSFORM_INPUT", "TRANSFORM_OUTPUT", "ROUTE", "AGGREGATE", "SEND_FEEDBACK"]
State = Literal["", "Creating", "Available", "Failed"]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Port = Annotated[int, Field(ge=0, le=65535)]
Object = dict[str, Any]


DEFAULTS = {"protocol": "seldon", "transport": "rest", "serverType": "rpc"}
"""What stands for these fields of a spec when they are absent or empty."""
BUILT_IN = frozenset(
    {"SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER", "EPSILON_GREEDY", "THOMPSON_SAMPLING"}
)
"""Implementations that the orchestrator itself has: no container, no endpoint."""
UNKNOWN = "UNKNOWN_IMPLEMENTATION"
"""What stands for an implementation that is absent or empty."""


class SpecModel(ApiModel):
    """A part of a spec: unknown fields and nulls are passed over, as an API server prunes them."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class Parameter(SpecModel):
    """One argument of a model's constructor."""

    name: str
    """The argument's name."""
    value: str
    """The value, as text."""
    type: Literal["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]
    """How the text is to be read."""


class Endpoint(SpecModel):
    """Where the orchestrator reaches a node. Filled in by the operator; ports and type that are set here win."""

    service_host: str = Field(default="", alias="service_host")
    """The host: localhost beside the orchestrator, else the Service of the container. Always set by the operator."""
    service_port: Port = Field(default=0, alias="service_port")
    """The port of the transport in use."""
    type: Literal["", "REST", "GRPC"] = ""
    """REST or GRPC. In a graph with both each node is called by its own; else as the request came."""
    http_port: Port = 0
    """The port for REST."""
    grpc_port: Port = 0
    """The port for gRPC."""


class Logger(SpecModel):
    """Sends a node's requests and answers to a sink, as CloudEvents."""

    url: str = ""
    """The sink; the operator's default when empty."""
    mode: Literal["", "all", "request", "response"] = ""
    """What is sent: all, request or response. Required."""


class PredictiveUnit(SpecModel):
    """One node of the inference graph."""

    name: str
    """The node's name. A container has the same name, unless a built-in or a prepackaged server implements it."""
    children: "tuple[PredictiveUnit, ...]" = ()
    """The nodes that this node's output goes to (or, for a router or combiner, chooses from or combines)."""
    type: UnitType | None = None
    """What the node does with a request. MODEL when type, methods and implementation are all absent."""
    implementation: str | None = None
    """A server such as SKLEARN_SERVER, or a built-in.

    Built-ins are SIMPLE_MODEL, SIMPLE_ROUTER, RANDOM_ABTEST, AVERAGE_COMBINER, EPSILON_GREEDY and THOMPSON_SAMPLING.
    """
    methods: tuple[UnitMethod, ...] | None = None
    """Calls that the node answers, added to those that its type implies."""
    endpoint: Endpoint | None = None
    """Where the node is reached. Filled in by the operator."""
    parameters: tuple[Parameter, ...] = ()
    """Arguments for the model's constructor."""
    model_uri: str = ""
    """Where the model is: gs://, s3://, http(s)://, file:// or pvc://. Downloaded to /mnt/models before the start."""
    service_account_name: str = ""
    """The service account that the pod runs as, and whose secrets give access to the model."""
    env_secret_ref_name: str = ""
    """A Secret whose keys become the environment of the download, such as RCLONE_CONFIG_*."""
    storage_initializer_image: str = ""
    """The image that downloads the model; the operator's own when empty."""
    logger: Logger | None = None
    """Payload logging at this node."""


class Explainer(SpecModel):
    """An explainer beside a predictor."""

    type: str = ""
    """AnchorTabular, AnchorImages, AnchorText, KernelShap, IntegratedGradients, ALE, TreeShap, ...; none when empty."""
    model_uri: str = ""
    """Where the trained explainer is."""
    service_account_name: str = ""
    """The service account that the explainer's pod runs as, and whose secrets give access to the trained explainer."""
    container_spec: Object | None = None
    """A Container that overrides parts of the explainer's own. Its name is the explainer's model in the v2 protocol."""
    config: dict[str, str] = Field(default_factory=dict)
    """Arguments of the explainer, given as --key=value in the order of the keys (not with the v2 protocol)."""
    endpoint: Endpoint | None = None
    """The explainer's port; 9000 when absent."""
    env_secret_ref_name: str = ""
    """A Secret whose keys become the environment of the download."""
    storage_initializer_image: str = ""
    """The image that downloads the explainer."""
    replicas: Count | None = None
    """How many pods; 1 when absent, and none while the predictor has none."""
    init_parameters: str = ""
    """Arguments of the explainer's constructor, as JSON (v2 protocol)."""


class HpaSpec(SpecModel):
    """A horizontal autoscaler for one Deployment."""

    min_replicas: Count | None = None
    """The least number of pods; Kubernetes' default is 1."""
    max_replicas: Annotated[int, Field(ge=1)]
    """The largest number of pods."""
    metrics: tuple[Object, ...] = ()
    """Metrics of autoscaling/v2beta1; converted. They win over metricsv2."""
    metricsv2: tuple[Object, ...] = ()
    """Metrics of autoscaling/v2."""


class KedaSpec(SpecModel):
    """A KEDA ScaledObject for one Deployment."""

    polling_interval: Count | None = None
    """Seconds between looks at the triggers."""
    cooldown_period: Count | None = None
    """Seconds to wait before scaling to the idle number."""
    min_replica_count: Count | None = None
    """The least number of pods."""
    max_replica_count: Count | None = None
    """The largest number of pods."""
    idle_replica_count: Count | None = None
    """The number of pods when no trigger is active."""
    advanced: Object | None = None
    """Further settings, as KEDA has them."""
    triggers: tuple[Object, ...]
    """What to scale on, as KEDA has it."""
    fallback: Object | None = None
    """What to do when a trigger cannot be read, as KEDA has it."""


class PdbSpec(SpecModel):
    """A pod disruption budget for one Deployment: one of its fields."""

    min_available: int | str | None = Field(default=None, json_schema_extra={"x-kubernetes-int-or-string": True})
    """How many pods, or what percentage, must stay."""
    max_unavailable: int | str | None = Field(default=None, json_schema_extra={"x-kubernetes-int-or-string": True})
    """How many pods, or what percentage, may be missing."""


class ComponentSpec(SpecModel):
    """One Deployment of a predictor: containers that run in the same pod."""

    metadata: Object = Field(default_factory=dict)
    """Labels and annotations for the Deployment and its pods; a name here replaces the containers' in its name."""
    spec: Object = Field(default_factory=dict)
    """A PodSpec."""
    replicas: Count | None = None
    """How many pods; the predictor's number when absent."""
    hpa_spec: HpaSpec | None = None
    """A horizontal autoscaler. It sets the number of pods."""
    keda_spec: KedaSpec | None = None
    """A KEDA ScaledObject. It wins over hpaSpec."""
    pdb_spec: PdbSpec | None = None
    """A pod disruption budget."""


class SvcOrchSpec(SpecModel):
    """The orchestrator's container."""

    resources: Object | None = None
    """ResourceRequirements; half a CPU and 512Mi when absent."""
    env: tuple[Object, ...] = ()
    """EnvVars added to the orchestrator's own; they win over seldon.io/engine-* annotations."""
    replicas: Count | None = None
    """How many pods, when the orchestrator has its own (seldon.io/engine-separate-pod)."""


class Ssl(SpecModel):
    """TLS for the predictor's containers."""

    cert_secret_name: str = ""
    """A TLS Secret, mounted in all containers of the root's pod."""


class PredictorSpec(SpecModel):
    """One predictor: an inference graph with pods of its own."""

    name: str
    """The name: part of all names, the mesh's subset, a label of the metrics."""
    graph: PredictiveUnit
    """The root of the inference graph."""
    component_specs: tuple[ComponentSpec, ...] = ()
    """The pods, one Deployment each. Not needed for a graph of prepackaged servers alone."""
    replicas: Count | None = None
    """How many pods for each Deployment; the SeldonDeployment's number when absent, else 1."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations for this predictor's Services, Deployments and pods; also switches such as seldon.io/no-engine."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels for this predictor's Deployments and pods. version is added when missing: the predictor's name."""
    engine_resources: Object | None = None
    """Ignored; use svcOrchSpec.resources."""
    svc_orch_spec: SvcOrchSpec | None = None
    """The orchestrator's container."""
    traffic: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """Percent of live traffic; for a shadow: percent of requests that are copied to it."""
    shadow: bool = False
    """Gets copies of live requests; its answers are dropped."""
    explainer: Explainer | None = None
    """An explainer for this predictor."""
    ssl: Ssl | None = None
    """TLS between the mesh and this predictor."""
    progress_deadline_seconds: Count | None = None
    """Seconds that a Deployment may take without progress before it counts as failed; Kubernetes' default is 600."""


class SeldonDeploymentSpec(SpecModel):
    """What a person wants: one or more predictors behind one URL."""

    name: str = ""
    """Ignored; metadata.name is used."""
    predictors: Annotated[tuple[PredictorSpec, ...], Field(min_length=1, max_length=100)]
    """The predictors. Several share the traffic by their percentages."""
    protocol: Protocol = ""
    """The data plane's protocol: seldon, tensorflow or v2 (kfserving is the same as v2); seldon when empty."""
    transport: Transport = ""
    """rest or grpc: what the orchestrator uses to reach nodes first. Both are always served. rest when empty."""
    replicas: Count | None = None
    """How many pods for each Deployment that has no number of its own. What kubectl scale sets."""
    server_type: ServerType = ""
    """rpc, also when empty. kafka: the orchestrator reads a topic and answers to another, too (svcOrchSpec.env)."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Switches such as seldon.io/engine-separate-pod; copied to Deployments and pods."""
    oauth_key: str = Field(default="", alias="oauth_key")
    """Ignored."""
    oauth_secret: str = Field(default="", alias="oauth_secret")
    """Ignored."""


class WorkloadStatus(StatusModel):
    """One Deployment, as it stands in the cluster."""

    name: str = ""
    """The predictor's name."""
    status: str = ""
    """Creating, Available, Failed, or Retiring when it is kept only for its connections to drain."""
    description: str = ""
    """Why it is not available, in the pod's own words."""
    replicas: int = 0
    """Pods wanted."""
    available_replicas: int = 0
    """Pods that are available."""
    explainer_for: str = ""
    """The predictor that it explains."""


class ServiceStatus(StatusModel):
    """One Service, and where it is reached."""

    svc_name: str = ""
    """The Service's name."""
    http_endpoint: str = ""
    """host.namespace:port for HTTP."""
    grpc_endpoint: str = ""
    """host.namespace:port for gRPC."""
    explainer_for: str = ""
    """The predictor that it explains."""


class Address(StatusModel):
    """Where it is served."""

    url: str = ""
    """The prediction URL of the first predictor, inside the cluster."""


class SeldonDeploymentStatus(StatusModel):
    """What the operator observed. Written by it alone."""

    state: State = ""
    """Creating, Available or Failed."""
    description: str = ""
    """Why, in one sentence."""
    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    replicas: int = 0
    """Pods of the first predictor's first Deployment."""
    selector: str = ""
    """The labels of those pods, for the scale subresource."""
    ready_predictors: str = ""
    """Predictors that are ready, of all, such as 1/2."""
    traffic: str = ""
    """What its VirtualService sends where, in percent, such as `main 90, canary 10, shadow +100`; + is a copy."""
    deployment_status: dict[str, WorkloadStatus] = Field(default_factory=dict)
    """Each Deployment by its name."""
    service_status: dict[str, ServiceStatus] = Field(default_factory=dict)
    """Each Service by its name."""
    address: Address | None = None
    """Where it is served."""
    conditions: tuple[Condition, ...] = ()
    """DeploymentsReady, ServicesReady, HpasReady, PdbsReady, KedaReady, istioVirtualServicesReady; Ready is all."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """What others note here stays; the operator has nothing to say here."""


class SeldonDeployment(SpecModel):
    """A machine-learning deployment: inference graphs of models, behind one URL."""

    spec: SeldonDeploymentSpec
    status: SeldonDeploymentStatus = SeldonDeploymentStatus()
