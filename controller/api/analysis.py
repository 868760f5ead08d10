"""AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun (`rollouts.seldon.io/v1alpha1`): measurements of one's own.

Field names and limits are those of Argo Rollouts, so that its templates can be carried over. What is ours is `noData`:
what a measurement without a value counts as. Texts may hold `{{args.name}}`, which the run's arguments fill in.
"""

from collections.abc import Hashable, Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from controller.api.meta import ApiModel, Condition, Instant, StatusModel

_TEMPLATED = r".*\{\{.+\}\}.*"

MetricPhase = Literal["Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Count = int | Annotated[str, StringConstraints(pattern=rf"^(-?[0-9]+|{_TEMPLATED})$", max_length=253)]
"""A whole number, or a text that becomes one: `"{{args.count}}"`."""
Interval = Annotated[
    str, StringConstraints(pattern=rf"^(([0-9]+(\.[0-9]+)?(h|m|s|ms))+|{_TEMPLATED})$", max_length=253)
]
"""A duration such as `30s` or `1h30m`, or a text that becomes one: `"{{args.interval}}"`."""
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def _exactly_one(model: ApiModel, what: str) -> None:
    """Raise ValueError unless one field, and only one, is set."""
    fields = type(model).model_fields
    given = [fields[name].alias or name for name in fields if getattr(model, name) is not None]
    if len(given) != 1:
        names = ", ".join(field.alias or name for name, field in fields.items())
        raise ValueError(f"{what} has exactly one of {names}; found {', '.join(given) or 'none'}")


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
    key: Name


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
        _exactly_one(self, "valueFrom")
        return self


class Argument(ApiModel):
    """A value that texts refer to as `{{args.<name>}}`. Without value and valueFrom the run has to give one."""

    name: Name
    value: str | None = None
    value_from: ArgumentSource | None = None

    @model_validator(mode="after")
    def _not_both(self) -> "Argument":
        if self.value is not None and self.value_from is not None:
            raise ValueError(f"argument {self.name!r} has both value and valueFrom; give one of them")
        return self


class Header(ApiModel):
    """One HTTP header of a request."""

    key: Name
    value: str = ""


class BasicAuth(ApiModel):
    """A user name and a password, as arguments that come from a secret."""

    username: str = ""
    password: str = ""


class OAuth2(ApiModel):
    """Client credentials that are exchanged for a bearer token."""

    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    scopes: tuple[str, ...] = ()


class Authentication(ApiModel):
    """How a request identifies itself; a bearer token of one's own is a header."""

    basic_auth: BasicAuth | None = None
    oauth2: Annotated[OAuth2 | None, Field(alias="oauth2")] = None


class RangeQuery(ApiModel):
    """Ask for a range of time instead of one instant."""

    start: str
    """Such as `now() - duration("10m")`."""
    end: str
    step: Interval


class PrometheusMetric(ApiModel):
    """A PromQL query. A scalar gives a number, a vector a list of numbers."""

    query: Annotated[str, StringConstraints(min_length=1)]
    address: str = ""
    """Such as `http://prometheus.istio-system:9090`; the controller's own when empty."""
    timeout: Annotated[int, Field(ge=1)] | None = None
    """Seconds to wait for the answer; 30 when absent."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    headers: tuple[Header, ...] = ()
    authentication: Authentication | None = None
    range_query: RangeQuery | None = None


class WebMetric(ApiModel):
    """A JSON answer of an HTTP service."""

    url: Annotated[str, StringConstraints(min_length=1)]
    method: Literal["GET", "POST", "PUT"] = "GET"
    headers: tuple[Header, ...] = ()
    body: str = ""
    """Sent as it stands; with POST and PUT only."""
    json_body: dict[str, Any] | None = None
    """Sent as JSON; with POST and PUT only, and not beside `body`."""
    json_path: str = ""
    """Where the value stands in the answer, such as `{$.data.ok}`; the whole answer when empty."""
    timeout_seconds: Count | None = None
    """Seconds to wait for the answer; 10 when absent."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    authentication: Authentication | None = None

    @model_validator(mode="after")
    def _one_body(self) -> "WebMetric":
        if self.body and self.json_body is not None:
            raise ValueError("web has both body and jsonBody; give one of them")
        if self.method == "GET" and (self.body or self.json_body is not None):
            raise ValueError("web sends a body with POST or PUT; found method GET")
        return self


class JobMetadata(ApiModel):
    """Labels and annotations of the Job."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class JobMetric(ApiModel):
    """A Kubernetes Job: complete is Successful, failed is Failed."""

    metadata: JobMetadata | None = None
    spec: dict[str, Any]
    """The spec of a `batch/v1` Job."""


class MetricProvider(ApiModel):
    """Where a value comes from: exactly one of its fields."""

    prometheus: PrometheusMetric | None = None
    web: WebMetric | None = None
    job: JobMetric | None = None

    @model_validator(mode="after")
    def _one(self) -> "MetricProvider":
        _exactly_one(self, "provider")
        return self


class Metric(ApiModel):
    """What is measured, how often, and what its values mean."""

    name: Name
    provider: MetricProvider
    success_condition: Expression | None = None
    """An expression over `result`, such as `result[0] >= 0.95`. Alone: false is Failed."""
    failure_condition: Expression | None = None
    """An expression over `result`. Alone: false is Successful. With successCondition: neither true is Inconclusive."""
    interval: Interval | None = None
    """Time between measurements. Without interval and count there is one."""
    initial_delay: Interval | None = None
    """Time from the run's start to the first measurement."""
    count: Count | None = None
    """How many measurements; more than one needs an interval. With an interval alone, it goes on until it is ended."""
    failure_limit: Count | None = None
    """The metric fails when more measurements than this failed: 0 when absent, -1 for no limit."""
    inconclusive_limit: Count | None = None
    """The metric is inconclusive when more measurements than this are: 0 when absent."""
    consecutive_error_limit: Count | None = None
    """The metric ends with Error when more measurements than this in a row had an error: 4 when absent."""
    consecutive_success_limit: Count | None = None
    """The metric succeeds when this many measurements in a row did: off when absent or 0."""
    no_data: Literal["Error", "Inconclusive", "Failed"] = "Error"
    """What a measurement without a value is (no series, an empty vector, NaN). It never counts as Successful."""

    @model_validator(mode="after")
    def _limits(self) -> "Metric":
        whole = _whole(self.count)
        if whole is not None and whole > 1 and self.interval is None:
            raise ValueError(f"metric {self.name!r} has count {whole}; more than one needs an interval")
        failures, successes = _whole(self.failure_limit) or 0, _whole(self.consecutive_success_limit) or 0
        if whole is not None and whole < max(failures, 0) + successes:
            raise ValueError(
                f"metric {self.name!r} has count {whole}, which can reach neither limit; "
                f"expected at least failureLimit + consecutiveSuccessLimit = {max(failures, 0) + successes}"
            )
        if failures < 0 and self.consecutive_success_limit in (0, "0"):
            raise ValueError(f"metric {self.name!r} has both failureLimit and consecutiveSuccessLimit switched off")
        return self


def _whole(value: int | str | None) -> int | None:
    """Return a count that is known before the arguments are, else None."""
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


class DryRun(ApiModel):
    """Metrics that are measured and reported, and never decide."""

    metric_name: Name
    """A regular expression that has to match a metric's whole name."""


class MeasurementRetention(ApiModel):
    """How many measurements of a metric the run's status keeps; 10 without an entry."""

    metric_name: Name
    """A regular expression that has to match a metric's whole name."""
    limit: Annotated[int, Field(ge=1, le=1000)]


class TemplateRef(ApiModel):
    """Another template whose metrics and arguments join."""

    template_name: Name
    cluster_scope: bool = False
    """It is a ClusterAnalysisTemplate."""


class TtlStrategy(ApiModel):
    """When a finished run is deleted. The more special entry wins."""

    seconds_after_completion: Annotated[int, Field(ge=0)] | None = None
    seconds_after_success: Annotated[int, Field(ge=0)] | None = None
    seconds_after_failure: Annotated[int, Field(ge=0)] | None = None


class AnalysisTemplateSpec(ApiModel):
    """Metrics and their arguments, to be joined with those of other templates."""

    metrics: Annotated[tuple[Metric, ...], Field(max_length=100)] = ()
    args: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    dry_run: Annotated[tuple[DryRun, ...], Field(max_length=100)] = ()
    measurement_retention: Annotated[tuple[MeasurementRetention, ...], Field(max_length=100)] = ()
    templates: Annotated[tuple[TemplateRef, ...], Field(max_length=100)] = ()

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
    args: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    dry_run: Annotated[tuple[DryRun, ...], Field(max_length=100)] = ()
    measurement_retention: Annotated[tuple[MeasurementRetention, ...], Field(max_length=100)] = ()
    terminate: bool = False
    """End the run now: what was measured so far decides."""
    ttl_strategy: TtlStrategy | None = None

    @model_validator(mode="after")
    def _names(self) -> "AnalysisRunSpec":
        _unique((metric.name for metric in self.metrics), "metric")
        _unique((arg.name for arg in self.args), "argument")
        return self


class Measurement(StatusModel):
    """One value, and what it means."""

    phase: MetricPhase
    value: str = ""
    """As the provider gave it, written as JSON."""
    message: str = ""
    started_at: Instant | None = None
    finished_at: Instant | None = None
    resume_at: Instant | None = None
    """When an unfinished measurement (a Job) is looked at again."""
    metadata: dict[str, str] = {}
    """Such as the resolved query and the server's warnings."""


class MetricResult(StatusModel):
    """What the measurements of one metric add up to."""

    name: str
    phase: MetricPhase
    message: str = ""
    measurements: tuple[Measurement, ...] = ()
    """The newest, newest last; measurementRetention says how many."""
    count: int = 0
    """Measurements that gave a value; errors do not count."""
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    dry_run: bool = False
    metadata: dict[str, str] = {}


class RunSummary(StatusModel):
    """How many metrics ended in which phase."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


class AnalysisRunStatus(StatusModel):
    """What was measured, and the verdict. Written by the controller alone."""

    observed_generation: int = 0
    phase: MetricPhase = "Pending"
    message: str = ""
    started_at: Instant | None = None
    completed_at: Instant | None = None
    metric_results: tuple[MetricResult, ...] = ()
    run_summary: RunSummary = RunSummary()
    dry_run_summary: RunSummary | None = None
    conditions: tuple[Condition, ...] = ()


class AnalysisRun(ApiModel):
    """One run of measurements, and the evidence that stays after a rollback."""

    spec: AnalysisRunSpec
    status: AnalysisRunStatus = AnalysisRunStatus()
