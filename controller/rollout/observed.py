"""Observed: all that a decision may look at, frozen. The shell fills it; `decide` reads nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.api.analysis import AnalysisTemplateSpec, MetricPhase, TemplateRef
from controller.api.people import Pinned
from controller.api.rollout import AnalysisStatus, Intent, RolloutSpec, RolloutStatus
from controller.api.routing import Routing
from controller.rollout.revisions import Ports, Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A revision's SeldonDeployment as it stands in the cluster."""

    hash: str
    name: str
    live: Mapping[str, Any]
    """The object itself."""
    replicas: int = 0
    """Pods that it should have in each of its Deployments, summed."""
    ready_replicas: int = 0
    capacity: int = 100
    """Percent of the wanted pods that are ready, in the Deployment where they are scarcest."""
    pods: tuple[tuple[int, int], ...] = ()
    """Ready and wanted pods of each of its Deployments."""
    reached: bool = False
    """Its operator has seen its present spec, and its routes' destinations exist, whichever of its pods are ready."""
    refused: str = ""
    """Why the server creates no more pods, such as an exceeded quota, in its words."""
    available: bool = False
    """Everything that its current spec asks for is ready, and its routes' destinations exist."""
    message: str = ""
    """Why it is not available, in the pod's own words."""
    role: str = ""
    asked: str = ""
    """Hash of the spec that it was written with, while it stands as the server stored that; empty if not known."""

    @property
    def serving(self) -> bool:
        """Say whether at least one pod can take requests."""
        return self.ready_replicas > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Our VirtualService as it stands in the cluster."""

    live: Mapping[str, Any]
    ours: bool
    accepted: bool | None
    """Whether the mesh took its present generation; None when the mesh does not say."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoptee:
    """The SeldonDeployment of the rollout's name that it takes over."""

    live: Mapping[str, Any]
    marked: bool
    """It says that it is this rollout's: no operator touches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another rollout of the namespace, as far as this one depends on it."""

    phase: str
    message: str
    current: bool
    """Its status speaks of its present spec."""
    depends_on: tuple[str, ...] = ()
    pinned: Pinned | None = None
    """What a person went back to: not its template is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Another rollout of the group, as it was last seen."""

    status: RolloutStatus
    current: bool
    """Its status speaks of its present spec."""
    labels: Mapping[str, str] | None = None
    """What its own `group.selector` asks for; None where it has no group."""
    wave: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficWindow:
    """Requests that the gateway counted in the last window, by revision."""

    since: datetime
    until: datetime
    stable: int
    canary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a gate's webhook is asked. Another question needs another answer."""

    url: str
    namespace: str
    name: str
    revision: int
    hash: str
    step: int
    weight: float
    since: datetime
    """When the step began: each attempt is asked about anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a gate's webhook said."""

    question: Question
    open: bool
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An AnalysisRun of the rollout."""

    name: str
    uid: str = ""
    hash: str = ""
    attempt: int = 0
    role: str = ""
    """`background`, or `step-<n>`."""
    phase: MetricPhase = "Pending"
    message: str = ""
    metric: str = ""
    """The first metric that stands as the run does."""
    endless: bool = False
    """Only a failure ends it, or somebody."""
    stopping: bool = False
    """It was told to end."""
    created: str = ""
    """When, as the server says it."""

    @property
    def ended(self) -> bool:
        """Say whether it changes no more."""
        return self.phase not in ("Pending", "Running")


Templates = Mapping[TemplateRef, AnalysisTemplateSpec | str | None]
"""Every template that a rollout names: as it is, or what is wrong with it; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDefaults:
    """Where routes are attached when the rollout does not say, their ports, and how the mesh is configured."""

    hosts: tuple[str, ...] = ("*",)
    gateways: tuple[str, ...] = ("istio-system/seldon-gateway",)
    ports: Ports = field(default_factory=Ports)
    root_namespace: str = "istio-system"
    """Istio's: DestinationRules there hold for the whole mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One rollout and everything that its decision depends on, but the present instant."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: RolloutSpec | None
    """None when it is not valid; `invalid` says why."""
    invalid: str = ""
    target: Revision | None = None
    """The revision that the template asks for; None when the spec is not valid."""
    status: RolloutStatus = field(default_factory=RolloutStatus)
    intent: Intent | None = None
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    """By hash: from the history, the children and the template."""
    stored: frozenset[str] = frozenset()
    """Hashes that have a ControllerRevision."""
    children: Mapping[str, Child] = field(default_factory=dict)
    """By hash."""
    route: Route | None = None
    mesh: bool = True
    """The cluster serves Istio's VirtualService."""
    analysis: AnalysisStatus | None = None
    """What the judge says of the comparison that `status.analysis.startedAt` names."""
    traffic: TrafficWindow | None = None
    prometheus: bool = True
    """The controller was given one: without it nothing can be judged."""
    answer: Answer | None = None
    """What the webhook of a gate said last."""
    in_the_way: str = ""
    """An object of the same name that is not ours, and how to go on."""
    defaults: RoutingDefaults = field(default_factory=RoutingDefaults)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    """By name: the rollouts that this one depends on, and those that they depend on."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """By name: the other rollouts that carry the labels of the group."""
    adoptee: Adoptee | None = None
    plain: Child | None = None
    """The SeldonDeployment of the rollout's name that takes its place, while the rollout is deleted to be left."""
    finalizers: tuple[str, ...] = ()
    """The rollout's."""
    deleting: datetime | None = None
    """Since when it is being deleted."""
    runs: Mapping[str, Run] = field(default_factory=dict)
    """By name: the rollout's AnalysisRuns."""
    templates: Templates = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    """The rollout itself, for arguments that are a field of it."""
    rules: tuple[Mapping[str, Any], ...] = ()
    """DestinationRules that may be in effect for the revisions; none is read where none has outlier detection."""
    left: tuple[Route, ...] = ()
    """VirtualServices that were written before, and are not the one that is in force."""

    @property
    def routing(self) -> Routing:
        """The routing in force: the spec's, and while the spec is not valid the last that was."""
        if self.spec is not None:
            return self.spec.routing
        return self.status.routing or Routing()
