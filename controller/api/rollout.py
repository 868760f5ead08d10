"""SeldonRollout (`rollouts.seldon.io/v1alpha1`): what a person writes, and what we answer in its status."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from controller.api.arms import RevisionStatus, Weights
from controller.api.checks import ErrorRateCheck, LatencyCheck, MetricCheck
from controller.api.group import Dependency, Group, GroupStatus
from controller.api.meta import ApiModel, Condition, Duration, Instant, StatusModel
from controller.api.people import Approved, Passed, Pinned
from controller.api.percent import Seen
from controller.api.routing import Routing
from controller.api.seen import Curve, PreflightStatus
from controller.api.strategy import CanaryStrategy, HeaderRoute, SetScale, Strategy
from controller.api.templates import BackgroundTemplates, RunStatus

Phase = Literal[
    "Pending", "Healthy", "Progressing", "Paused", "Promoting", "RollingBack", "Degraded", "Shadowed", "Invalid"
]  # fmt: skip
Verb = Literal[
    "promote", "promote-full", "skip", "pause", "resume", "abort", "retry", "approve",
    "rollback", "restart", "pass", "fail", "",
]  # fmt: skip
Blocker = Literal["pods", "weight", "metric", "gate", "person", "mesh", "quota", "error", "time", "group"]


class TemplateMetadata(ApiModel):
    """Labels and annotations for the child SeldonDeployments."""

    labels: dict[str, str] = {}
    """Labels for the child SeldonDeployments."""
    annotations: dict[str, str] = {}
    """Annotations for the child SeldonDeployments."""


class Template(ApiModel):
    """A SeldonDeployment as it would stand alone. A change of it, but for replicas and traffic, is a new revision."""

    metadata: TemplateMetadata = TemplateMetadata()
    spec: dict[str, Any]
    """The spec of the SeldonDeployment."""


class Analysis(BackgroundTemplates):
    """How the canary is judged, through the whole rollout; with templates by an AnalysisRun, too."""

    judge: Literal["sequential", "threshold", "mannWhitney"] = "sequential"
    """sequential: against stable at the same moment, valid however often one looks. threshold: against `max`.

    mannWhitney: minutes of both by their ranks, as Kayenta does; looked at every five minutes, without a promise.
    """
    alpha: Annotated[float, Field(ge=1e-9, le=0.5)] = 0.01
    """Probability that a good revision is rolled back, over the whole rollout."""
    beta: Annotated[float, Field(ge=1e-9, le=0.5)] = 0.05
    """Probability, for each metric, that a revision beyond the promote line is found good."""
    step_beta: Annotated[float, Field(gt=0, le=1)] | None = None
    """Probability, for each metric, that such a revision gets another weight (below 100) from a step; it is not
    promoted by that. From `beta`, with which each step asks for as much as the promotion, to 1; when absent 1/6, or
    `beta` where that is larger."""
    warmup: Duration = Field(default="60s", validate_default=True)
    """Measurements this soon after the canary's pods became ready are dropped."""
    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] = 100
    """Canary requests that a good verdict needs at least."""
    metrics: Annotated[tuple[MetricCheck, ...], Field(min_length=1, max_length=100)] = (
        MetricCheck(error_rate=ErrorRateCheck()),
        MetricCheck(latency=LatencyCheck()),
    )
    """What is judged: failed requests and latency when absent."""

    @model_validator(mode="after")
    def _steps_ask_for_less(self) -> "Analysis":
        if self.step_beta is not None and self.step_beta < self.beta:
            raise ValueError(
                f"stepBeta is {self.step_beta:g} and beta {self.beta:g}: a step that only raises the weight never asks "
                f"for more than the promotion, so give stepBeta {self.beta:g} to 1, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _threshold_has_limits(self) -> "Analysis":
        limits = [check.max for metric in self.metrics for check in (metric.error_rate, metric.latency) if check]
        if self.judge == "threshold" and all(limit is None for limit in limits):
            raise ValueError("the threshold judge needs max in at least one metric")
        if self.judge == "mannWhitney" and any(limit is not None for limit in limits):
            raise ValueError("the mannWhitney judge compares with stable alone and knows no max: leave it out")
        return self


class RollbackWindow(ApiModel):
    """Going back to a revision that was stable not long ago needs neither steps nor judge."""

    revisions: Annotated[int, Field(ge=1, le=1000)]
    """How many revisions back, counted from stable."""


class Bake(ApiModel):
    """After the last step and a good verdict: the canary takes all but a small share, and is watched for a change."""

    duration: Duration = Field(default="10m", validate_default=True)
    """How long. An alarm of the watching judge rolls back; stable still stands."""
    holdback: Annotated[int, Field(ge=1, le=50)] = 5
    """Percent of live traffic that stays on stable, to be compared with."""


class RolloutSpec(ApiModel):
    """What a person wants: a model, and how its new versions take over."""

    template: Template
    strategy: Strategy = Strategy(canary=CanaryStrategy())
    analysis: Analysis = Field(default_factory=Analysis)
    routing: Routing = Routing()
    progress_deadline: Duration = Field(default="10m", validate_default=True)
    """How long one step may wait for pods or for the mesh before the rollout is rolled back."""
    scale_down_delay: Duration = Field(default="30s", validate_default=True)
    """How long a revision without traffic is kept for its connections to drain."""
    abort_scale_down_delay: Duration | None = None
    """How long a rejected revision is kept, for a look at its pods; as long as any other when absent."""
    scale_down_delay_revision_limit: Annotated[int, Field(ge=0)] | None = None
    """At most so many revisions without traffic are kept for their delay; the oldest go first. No limit when absent."""
    rollback_window: RollbackWindow | None = None
    """Within it, the template of an earlier stable revision gets all traffic in one write, once its pods are ready."""
    revision_history_limit: Annotated[int, Field(ge=0)] = 10
    """How many old revisions can be gone back to."""
    depends_on: Annotated[tuple[Dependency, ...], Field(max_length=100)] = ()
    """A new revision begins only when each of these is Healthy with the newest of its own templates."""
    group: Group | None = None
    """Rollouts of the namespace with which this one is promoted, or rolled back, as one."""
    adopt: bool = False
    """Take over the SeldonDeployment of this name, or what a rollout of this name kept serving, without a failed
    request."""
    deletion_policy: Literal["Delete", "KeepStable", "Leave"] = "Delete"
    """What becomes of the traffic when the rollout is deleted: it ends; stable goes on serving it unattended; or a
    plain SeldonDeployment of the rollout's name takes it over, with stable's template."""
    bake: Bake | None = None
    """A canary is crowned only after it; with a shadow, after the canary that follows it."""

    @model_validator(mode="after")
    def _bakes_a_canary(self) -> "RolloutSpec":
        shadow = self.strategy.shadow
        if self.bake is not None and self.strategy.canary is None and (shadow is None or shadow.then is None):
            raise ValueError(
                "bake belongs to a canary: blueGreen has postPromotionAnalysis, and a shadow needs `then` for it"
            )
        return self

    @model_validator(mode="after")
    def _promotes_with_its_group(self) -> "RolloutSpec":
        shadow = self.strategy.shadow
        if self.group is not None and shadow is not None and shadow.then is None:
            raise ValueError("group: a shadow promotes nothing; give it `then`, or take group out")
        return self

    @model_validator(mode="after")
    def _starts_at_a_step(self) -> "RolloutSpec":
        start, canary = self.analysis.starting_step, self.strategy.canary
        if start is None:
            return self
        if canary is None:
            raise ValueError("analysis.startingStep counts the steps of a canary: leave it out")
        if start >= len(canary.plan()):
            raise ValueError(f"analysis.startingStep is {start}; the last step is {len(canary.plan()) - 1}")
        return self

    @model_validator(mode="after")
    def _one_route(self) -> "RolloutSpec":
        if self.adopt and self.routing.virtual_service is not None:
            raise ValueError("adopt takes over a VirtualService; take routing.virtualService out until it is done")
        if self.deletion_policy == "Leave" and self.routing.virtual_service is not None:
            given = "deletionPolicy Leave gives the rollout's own VirtualService away"
            raise ValueError(f"{given}; take routing.virtualService out")
        return self


class Intent(StatusModel):
    """What a person asked for, by annotation, and what became of it."""

    id: str
    verb: Verb = ""
    """Empty when the annotation could not be read; the message says why."""
    by: str = ""
    reason: str = ""
    gate: str = ""
    """With approve: which gate; the one that the rollout waits at when empty."""
    revision: Annotated[int, Field(ge=1)] | None = None
    """With rollback: the number of the revision to go back to."""
    outcome: Literal["done", "refused"] | None = None
    message: str = ""
    at: Instant | None = None


class MetricStatus(StatusModel):
    """What one metric says of the canary."""

    name: str
    """The check, such as errorRate."""
    verdict: Literal["Good", "Bad", "Inconclusive", "NoData", "Error"]
    message: str = ""
    canary: float | None = None
    """The canary's rate: of failed requests, or of requests slower than the edge."""
    stable: float | None = None
    """Stable's rate in the same time."""
    evidence: float = 1.0
    """Evidence that the canary is worse: how many to one."""
    needed: float = 100.0
    """Evidence at which the canary is rolled back."""
    promote_evidence: float = 1.0
    """Evidence that the canary is not worse than allowed: how many to one."""
    promote_needed: float = 20.0
    """Evidence at which the metric is Good."""
    step_needed: float | None = None
    """Evidence that it needs for the next weight, where that is less."""
    canary_requests: int = 0
    """The canary's requests that were judged."""
    stable_requests: int = 0
    """Stable's requests that were judged."""
    action: Literal["abort", "pause", "warn"] = "abort"
    """What a bad verdict of this metric does."""
    required: bool = True
    """Whether a promotion needs this metric to be good."""


class WeightChange(StatusModel):
    """The canary's share of live requests from an instant on."""

    at: Instant
    percent: float | None = None
    """Percent of live requests; nothing where no share can be said, as with copies and header routes."""


class Reason(StatusModel):
    """Why a revision was rolled back, in figures."""

    metric: str
    canary: float | None = None
    stable: float | None = None
    evidence: float | None = None
    needed: float | None = None
    samples: int = 0
    """Canary requests that were judged."""
    window: Duration = Field(default="0s", validate_default=True)
    """How long the canary had been judged."""
    message: str = ""


class AnalysisStatus(StatusModel):
    """The judge's opinion of the running canary; it can be replayed from the metrics with what stands here."""

    started_at: Instant | None = None
    restarts: tuple[Instant, ...] = ()
    """When steps changed: the judge looks for late regressions from each of them."""
    baking: bool = False
    """It is the bake's: a detector watches for a change, with stable's holdback as control."""
    verdict: Literal["Good", "Bad", "Inconclusive", "NoData", "Error"] | None = None
    """Absent where nothing was compared yet."""
    promising: bool = False
    """What is known is enough for the next weight, in every metric that is required; a promotion needs Good."""
    message: str = ""
    updated_at: Instant | None = None
    metrics: tuple[MetricStatus, ...] = ()
    weights: tuple[WeightChange, ...] = ()
    """What the canary's share was while it is judged, for the check of the split."""
    told: tuple[str, ...] = ()
    """Metrics and AnalysisRuns whose finding was told or asked about; none is told or asked about twice."""
    runs: tuple[RunStatus, ...] = ()
    """The rollout's AnalysisRuns, newest last; at most 20."""
    preflight: PreflightStatus | None = None
    curve: Curve | None = None


class Rejected(StatusModel):
    """A revision that was rolled back, and is not tried again unless retried or changed."""

    hash: str
    number: int = 0
    at: Instant
    by: str = ""
    """The verb's author, or `judge`, `deadline` or `group`."""
    message: str = ""
    wave: str | None = None
    """The wave of its group that it was part of, if it had one."""
    reason: Reason | None = None


class ShadowReport(StatusModel):
    """What a shadow showed, kept until the next one."""

    hash: str
    number: int = 0
    percentage: Seen = 0
    """Percent of live requests that were copied."""
    started_at: Instant | None = None
    """When the copying began."""
    ended_at: Instant | None = None
    verdict: Literal["Good", "Bad", "Inconclusive", "NoData", "Error"] = "NoData"
    message: str = ""
    metrics: tuple[MetricStatus, ...] = ()
    """What each metric said at the end."""


class BlockedOn(StatusModel):
    """What the rollout waits for."""

    kind: Blocker
    message: str = ""
    since: Instant | None = None
    """Since when it waits for something of this kind."""


class HistoryEntry(StatusModel):
    """One thing that happened, newest last; at most 50 are kept."""

    at: Instant
    type: str
    """Such as RevisionCreated, WeightSet, StepCompleted, Paused, Promoted, RolledBack."""
    message: str = ""
    revision: int = 0


Missing = Literal["verdict", "group"]


class RolloutStatus(StatusModel):
    """What the controller observed and decided. Written by it alone, never by a person."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: Phase = "Pending"
    """Where the rollout stands."""
    message: str = ""
    """Why, in one sentence."""
    blocked_on: BlockedOn | None = None
    stable_revision: RevisionStatus | None = None
    canary_revision: RevisionStatus | None = None
    retired_revisions: tuple[RevisionStatus, ...] = ()
    """Revisions without traffic whose connections drain."""
    strategy: Literal["canary", "blueGreen", "shadow"] | None = None
    """The strategy that the running rollout follows."""
    attempt: int = 0
    """How many times a revision was begun; each attempt has AnalysisRuns of its own."""
    current_step_index: int = 0
    """The step that is under way, counted from 0."""
    step_count: int = 0
    """How many steps there are."""
    step: str | None = None
    """Both at a glance, such as 2/5; absent where no canary stands beside stable."""
    step_started_at: Instant | None = None
    step_ahead: Duration | None = None
    """How long the weight that it waits at had been in effect when the step began: that counts for its time."""
    step_extended: bool = False
    """The step's time for a verdict was extended once, because the canary gets few requests."""
    step_progress_at: Instant | None = None
    """When the step last got nearer to its end: the progress deadline counts from here."""
    paused_at: Instant | None = None
    paused_by: str = ""
    pause_reason: str = ""
    paused_for: Missing | None = None
    """For want of what a person is asked: a verdict in time, or the others of the group."""
    forced_by: str = ""
    """Who had it promoted without the judge's consent, and why."""
    skip_reason: str = ""
    """Why neither steps nor judge are needed: the revision was stable not long ago."""
    interrupted: Phase | None = None
    """The phase that an invalid spec interrupted."""
    canary_ready_at: Instant | None = None
    header_routes: Annotated[tuple[HeaderRoute, ...], Field(max_length=100)] = ()
    """Requests that go to the canary whatever its weight."""
    routing: Routing | None = None
    """The routing that is in force, when the spec says more than the controller's setting."""
    scale: SetScale | None = None
    """How many pods the canary has, when not as many as the template says."""
    pinned: Pinned | None = None
    """The revision that a person went back to, in the place of the template."""
    passed: Passed | None = None
    """Who said that the analysis of this step counts as good."""
    approvals: tuple[Approved, ...] = ()
    """Gates that people opened for the running revision."""
    group: GroupStatus | None = None
    """How far it is with its group."""
    weights: Weights = Weights()
    analysis: AnalysisStatus = AnalysisStatus()
    shadow: ShadowReport | None = None
    """The report of the last shadow."""
    rejected: tuple[Rejected, ...] = ()
    """Revisions that were rolled back."""
    last_intent: Intent | None = None
    history: tuple[HistoryEntry, ...] = ()
    """What happened, newest last."""
    conditions: tuple[Condition, ...] = ()
    replicas: int = 0
    """Pods of the stable revision."""
    selector: str = ""
    """The labels of those pods, for the scale subresource."""


class SeldonRollout(ApiModel):
    """A model whose new versions take over step by step."""

    spec: RolloutSpec
    status: RolloutStatus = RolloutStatus()
