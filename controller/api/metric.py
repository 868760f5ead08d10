"""What an analysis measures (`rollouts.seldon.io/v1alpha1`): providers, conditions, counts and limits of one metric.

Field names and limits are those of Argo Rollouts, so that its templates can be carried over. What is ours is `noData`:
what a measurement without a value counts as. Texts may hold `{{args.name}}`, which the run's arguments fill in.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from controller.api.meta import ApiModel

_TEMPLATED = r".*\{\{.+\}\}.*"

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
_PART = r"(\.[0-9]{1,9})?"
_INTERVAL = (
    rf"^(([0-9]{{1,5}}{_PART}h|[0-9]{{1,7}}{_PART}m|[0-9]{{1,9}}{_PART}s|[0-9]{{1,12}}{_PART}ms)+|{_TEMPLATED})$"
)
_MOST = 2**31 - 1
"""Argo Rollouts' counts are 32 bits wide, too."""
_PATIENCE = 300
"""Seconds that an answer is waited for at most: a measurement keeps others from being made meanwhile."""


def _like(pattern: str, right: str) -> BeforeValidator:
    """Say what would be right where a text is not like a pattern, which the schema holds, too."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and not re.search(pattern, value, re.ASCII):
            raise ValueError(f"{value[:50]!r} cannot be read; expected {right}")
        return value

    return BeforeValidator(check)


def _bounded(digits: str, least: int, most: int) -> WithJsonSchema:
    """The schema of a whole number within bounds, or of a text that becomes one; validators bound those, too."""
    text = {"type": "string", "pattern": rf"^({digits}|{_TEMPLATED})$", "maxLength": 253}
    return WithJsonSchema({"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, text]})


_Number = int | Annotated[str, StringConstraints(max_length=253)]
_WHOLE = _like(rf"^(-?[0-9]{{1,10}}|{_TEMPLATED})$", "a whole number, or an argument such as {{args.count}}")
Count = Annotated[_Number, _WHOLE, _bounded("[0-9]{1,10}", 0, _MOST)]
"""A whole number, or a text that becomes one: `"{{args.count}}"`."""
Limit = Annotated[_Number, _WHOLE, _bounded("-1|[0-9]{1,10}", -1, _MOST)]
"""The same, or -1 for no limit."""
Seconds = Annotated[_Number, _WHOLE, _bounded("[0-9]{1,2}|[12][0-9]{2}|300", 0, _PATIENCE)]
"""How long to wait for an answer, as a count."""
Interval = Annotated[
    str,
    StringConstraints(pattern=_INTERVAL, max_length=253),
    _like(_INTERVAL, "a duration such as 30s, 5m or 1h30m, at most 87600h, or an argument such as {{args.interval}}"),
]
"""A duration such as `30s` or `1h30m`, or a text that becomes one: `"{{args.interval}}"`."""
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def exactly_one(model: ApiModel, what: str) -> None:
    """Raise ValueError unless one field, and only one, is set."""
    fields = type(model).model_fields
    given = [fields[name].alias or name for name in fields if getattr(model, name) is not None]
    if len(given) != 1:
        names = ", ".join(field.alias or name for name, field in fields.items())
        raise ValueError(f"{what} has exactly one of {names}; found {', '.join(given) or 'none'}")


class Header(ApiModel):
    """One HTTP header of a request."""

    key: Name
    """Its name."""
    value: str = ""
    """Its value; a secret comes by an argument."""


class BasicAuth(ApiModel):
    """A user name and a password, as arguments that come from a secret."""

    username: str = ""
    """The user name."""
    password: str = ""
    """The password, such as `{{args.password}}`."""


class OAuth2(ApiModel):
    """Client credentials that are exchanged for a bearer token."""

    token_url: str = ""
    """Where the token is given."""
    client_id: str = ""
    """Who asks."""
    client_secret: str = ""
    """The secret, such as `{{args.secret}}`."""
    scopes: tuple[str, ...] = ()
    """What is asked for."""


class Authentication(ApiModel):
    """How a request identifies itself; a bearer token of one's own is a header."""

    basic_auth: BasicAuth | None = None
    oauth2: Annotated[OAuth2 | None, Field(alias="oauth2")] = None


class RangeQuery(ApiModel):
    """Ask for a range of time instead of one instant."""

    start: str
    """Such as `now() - duration("10m")`."""
    end: str
    """Such as `now()`."""
    step: Interval
    """The time between two values."""

    @model_validator(mode="after")
    def _goes_on(self) -> "RangeQuery":
        if _NO_TIME.fullmatch(self.step):
            raise ValueError(f"rangeQuery has step {self.step}; expected one longer than 0")
        return self


class PrometheusMetric(ApiModel):
    """A PromQL query. A scalar gives a number, a vector a list of numbers."""

    query: Annotated[str, StringConstraints(min_length=1)]
    """The query."""
    address: str = ""
    """Such as `http://prometheus.istio-system:9090`; the controller's own when empty."""
    timeout: Annotated[int, Field(ge=1, le=_PATIENCE)] | None = None
    """Seconds to wait for the answer, 300 at most; 30 when absent."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    headers: tuple[Header, ...] = ()
    """Sent with the request."""
    authentication: Authentication | None = None
    range_query: RangeQuery | None = None


class WebMetric(ApiModel):
    """A JSON answer of an HTTP service."""

    url: Annotated[str, StringConstraints(min_length=1)]
    """Where to ask."""
    method: Literal["GET", "POST", "PUT"] = "GET"
    """How to ask; GET when absent."""
    headers: tuple[Header, ...] = ()
    """Sent with the request."""
    body: str = ""
    """Sent as it stands; with POST and PUT only."""
    json_body: dict[str, Any] | None = None
    """Sent as JSON; with POST and PUT only, and not beside `body`."""
    json_path: str = ""
    """Where the value stands in the answer, such as `{$.data.ok}`; the whole answer when empty."""
    timeout_seconds: Seconds | None = None
    """Seconds to wait for the answer, 300 at most; 10 when absent or 0."""
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

    @model_validator(mode="after")
    def _patience(self) -> "WebMetric":
        seconds = _whole(self.timeout_seconds)
        if seconds is not None and not 0 <= seconds <= _PATIENCE:
            raise ValueError(f"web has timeoutSeconds {seconds}; expected 1 to {_PATIENCE}, or 0 for 10")
        return self


class JobMetadata(ApiModel):
    """Labels and annotations of the Job."""

    labels: dict[str, str] = {}
    """Labels of the Job."""
    annotations: dict[str, str] = {}
    """Annotations of the Job."""


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
        exactly_one(self, "provider")
        return self


class Metric(ApiModel):
    """What is measured, how often, and what its values mean."""

    name: Name
    """Unique in its template and in the run."""
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
    failure_limit: Limit | None = None
    """The metric fails when more measurements than this failed: 0 when absent, -1 for no limit."""
    inconclusive_limit: Count | None = None
    """The metric is inconclusive when more measurements than this are: 0 when absent."""
    consecutive_error_limit: Count | None = None
    """The metric ends with Error when more measurements than this in a row had an error: 4 when absent."""
    consecutive_success_limit: Count | None = None
    """The metric succeeds when this many measurements in a row did: off when absent or 0."""
    no_data: Literal["Error", "Inconclusive", "Failed"] | None = None
    """What a measurement without a value is (no series, an empty vector, NaN, null).

    When absent: Error, unless a condition itself speaks of it by isNaN, isInf, isNil, len or default.
    """

    @model_validator(mode="after")
    def _limits(self) -> "Metric":
        for name, least in _LEAST.items():
            given = _whole(getattr(self, name))
            if given is not None and given < least:
                text = "-1 for no limit, or at least 0" if least < 0 else "at least 0"
                raise ValueError(f"metric {self.name!r} has {_called(name)} {given}; expected {text}")
            if given is not None and given > _MOST:
                raise ValueError(f"metric {self.name!r} has {_called(name)} {given}; expected at most {_MOST}")
        whole = _whole(self.count)
        if whole is not None and whole > 1 and self.interval is None:
            raise ValueError(f"metric {self.name!r} has count {whole}; more than one needs an interval")
        failures, successes = _whole(self.failure_limit) or 0, _whole(self.consecutive_success_limit)
        least = max(failures, 0) + (successes or 0)
        if whole and whole < least:
            raise ValueError(
                f"metric {self.name!r} has count {whole}, which can reach neither limit; "
                f"expected at least failureLimit + consecutiveSuccessLimit = {least}"
            )
        if failures < 0 and (successes == 0 or self.consecutive_success_limit is None):
            raise ValueError(
                f"metric {self.name!r} has both failureLimit and consecutiveSuccessLimit switched off, so that no "
                "value could make it fail; give one of them"
            )
        if self.interval is not None and _NO_TIME.fullmatch(self.interval):
            raise ValueError(f"metric {self.name!r} has interval {self.interval}; expected one longer than 0")
        return self


_LEAST = {
    "count": 0,
    "failure_limit": -1,
    "inconclusive_limit": 0,
    "consecutive_error_limit": 0,
    "consecutive_success_limit": 0,
}
_NO_TIME = re.compile(r"([0.]+[a-z]+)+")


def _called(name: str) -> str:
    return Metric.model_fields[name].alias or name


def _whole(value: int | str | None) -> int | None:
    """Return a count that is known before the arguments are, else None."""
    try:
        return None if value is None else int(value)
    except ValueError:
        return None
