"""AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun (`rollouts.seldon.io/v1alpha1`): measurements of one's own."""

from collections.abc import Hashable, Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from controller.api.meta import LONGEST, ApiModel, Condition, Instant, StatusModel
from controller.api.metric import Metric, Name, exactly_one

MetricPhase = Literal["Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"]


def _unique(values: Iterable[Hashable], what: str) -> None:
    """Raise ValueError naming the first value that comes twice."""
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value!r} is given twice")
        seen.add(value)


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: Name
    """The Secret's name."""
    key: Name
    """The key in its data."""


class FieldRef(ApiModel):
    """A field of the rollout that the run belongs to."""

    field_path: Name
    """Such as `metadata.name`, `metadata.labels['team']` or `spec.template.spec.protocol`."""


class ArgumentSource(ApiModel):
    """Where an argument's value comes from: exactly one of its fields."""

    secret_key_ref: SecretKeyRef | None = None
    """A secret. Its value is redacted in messages and logs."""
    field_ref: FieldRef | None = None
    pod_template_hash_value: Literal["Stable", "Latest"] | None = None
    """The hash of the stable or of the canary revision."""

    @model_validator(mode="after")
    def _one(self) -> "ArgumentSource":
        exactly_one(self, "valueFrom")
        return self


class Argument(ApiModel):
    """A value that texts refer to as `{{args.<name>}}`. Without value and valueFrom the run has to give one."""

    name: Name
    """The name that texts refer to."""
    value: str | None = None
    """The value; in a template, the one that holds when the run gives none."""
    value_from: ArgumentSource | None = None

    @model_validator(mode="after")
    def _not_both(self) -> "Argument":
        if self.value is not None and self.value_from is not None:
            raise ValueError(f"argument {self.name!r} has both value and valueFrom; give one of them")
        return self


class DryRun(ApiModel):
    """Metrics that are measured and reported, and never decide."""

    metric_name: Name
    """A regular expression that has to match a metric's whole name."""


class MeasurementRetention(ApiModel):
    """How many measurements of a metric the run's status keeps; 10 without an entry."""

    metric_name: Name
    """A regular expression that has to match a metric's whole name."""
    limit: Annotated[int, Field(ge=1, le=1000)]
    """How many."""


class TemplateRef(ApiModel):
    """Another template whose metrics and arguments join."""

    template_name: Name
    """The template's name."""
    cluster_scope: bool = False
    """It is a ClusterAnalysisTemplate."""


Age = Annotated[int, Field(ge=0, le=int(LONGEST.total_seconds()))]
"""Seconds, ten years at most."""


class TtlStrategy(ApiModel):
    """When a finished run is deleted. The more special entry wins."""

    seconds_after_completion: Age | None = None
    """After any end."""
    seconds_after_success: Age | None = None
    """After Successful."""
    seconds_after_failure: Age | None = None
    """After Failed."""


class AnalysisTemplateSpec(ApiModel):
    """Metrics and their arguments, to be joined with those of other templates."""

    metrics: Annotated[tuple[Metric, ...], Field(max_length=100)] = ()
    """What is measured."""
    args: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    """Values that texts refer to."""
    dry_run: Annotated[tuple[DryRun, ...], Field(max_length=100)] = ()
    """Metrics that never decide."""
    measurement_retention: Annotated[tuple[MeasurementRetention, ...], Field(max_length=100)] = ()
    """How much the status keeps."""
    templates: Annotated[tuple[TemplateRef, ...], Field(max_length=100)] = ()
    """Other templates that join, to any depth."""

    @model_validator(mode="after")
    def _names(self) -> "AnalysisTemplateSpec":
        if not self.metrics and not self.templates:
            raise ValueError("a template has metrics or templates; found neither")
        _unique((metric.name for metric in self.metrics), "metric")
        _unique((arg.name for arg in self.args), "argument")
        return self


class AnalysisTemplate(ApiModel):
    """Measurements that AnalysisRuns of its namespace are made from."""

    spec: AnalysisTemplateSpec


class ClusterAnalysisTemplate(ApiModel):
    """Measurements that AnalysisRuns of every namespace are made from."""

    spec: AnalysisTemplateSpec


class AnalysisRunSpec(ApiModel):
    """A frozen copy of the joined templates, with every argument given."""

    metrics: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=100)]
    """What is measured."""
    args: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    """Values that texts refer to."""
    dry_run: Annotated[tuple[DryRun, ...], Field(max_length=100)] = ()
    """Metrics that never decide."""
    measurement_retention: Annotated[tuple[MeasurementRetention, ...], Field(max_length=100)] = ()
    """How much the status keeps."""
    terminate: bool = False
    """End the run now: what was measured so far decides."""
    ttl_strategy: TtlStrategy | None = None
    """When the finished run is deleted; never when absent."""

    @model_validator(mode="after")
    def _names(self) -> "AnalysisRunSpec":
        _unique((metric.name for metric in self.metrics), "metric")
        _unique((arg.name for arg in self.args), "argument")
        return self


class Measurement(StatusModel):
    """One value, and what it means."""

    phase: MetricPhase
    """What the conditions make of the value."""
    value: str = ""
    """As the provider gave it, written as JSON."""
    message: str = ""
    """Why, where that is not plain."""
    started_at: Instant | None = None
    """When it began."""
    finished_at: Instant | None = None
    """When it had its value."""
    resume_at: Instant | None = None
    """When an unfinished measurement (a Job) is looked at again."""
    metadata: dict[str, str] = {}
    """Such as the resolved query and the server's warnings."""


class MetricResult(StatusModel):
    """What the measurements of one metric add up to."""

    name: str
    """The metric's name."""
    phase: MetricPhase
    """Where the metric stands."""
    message: str = ""
    """Why, in one sentence."""
    measurements: tuple[Measurement, ...] = ()
    """The newest, newest last; measurementRetention says how many."""
    count: int = 0
    """Measurements that gave a value; errors do not count."""
    successful: int = 0
    """Of these, how many were Successful."""
    failed: int = 0
    """Of these, how many Failed."""
    inconclusive: int = 0
    """Of these, how many were Inconclusive."""
    error: int = 0
    """Measurements that gave no value."""
    consecutive_error: int = 0
    """Errors since the last value."""
    consecutive_success: int = 0
    """Successes since the last other measurement."""
    dry_run: bool = False
    """It never decides."""
    metadata: dict[str, str] = {}
    """What the provider says of the metric."""


class RunSummary(StatusModel):
    """How many metrics ended in which phase."""

    count: int = 0
    """All metrics."""
    successful: int = 0
    """Those that succeeded."""
    failed: int = 0
    """Those that failed."""
    inconclusive: int = 0
    """Those that could not be decided."""
    error: int = 0
    """Those that could not be measured."""


class AnalysisRunStatus(StatusModel):
    """What was measured, and the verdict. Written by the controller alone."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: MetricPhase = "Pending"
    """Where the run stands."""
    message: str = ""
    """Why, in one sentence."""
    started_at: Instant | None = None
    """When it began."""
    completed_at: Instant | None = None
    """When it ended."""
    metric_results: tuple[MetricResult, ...] = ()
    """Each metric, in order."""
    run_summary: RunSummary = RunSummary()
    """The metrics that decide."""
    dry_run_summary: RunSummary | None = None
    """The metrics that do not."""
    conditions: tuple[Condition, ...] = ()
    """Completed, and whether it can be measured at all."""


class AnalysisRun(ApiModel):
    """One run of measurements, and the evidence that stays after a rollback."""

    spec: AnalysisRunSpec
    status: AnalysisRunStatus = AnalysisRunStatus()
