"""How a new revision takes over: canary, blue-green or shadow, as a person writes it."""

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from controller.api.meta import ApiModel, Duration
from controller.api.percent import Percent, Share
from controller.api.templates import FromTemplates

DEFAULT_WEIGHTS = (5, 25, 50)
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _given(model: ApiModel) -> list[str]:
    return [name for name in type(model).model_fields if getattr(model, name) is not None]


def _one_of(model: ApiModel, what: str) -> None:
    given = _given(model)
    if len(given) != 1:
        fields = ", ".join(field.alias or name for name, field in type(model).model_fields.items())
        raise ValueError(f"{what} has exactly one of {fields}; found {len(given)}")


class Pause(ApiModel):
    """Wait: for a duration, or without one for a person."""

    duration: Duration | None = None
    """How long; without it until a person resumes."""
    max_duration: Duration | None = None
    """Wait for a person no longer than this; `onTimeout` says what happens then."""
    on_timeout: Literal["promote", "abort"] | None = None
    """promote: go on to the next step. abort: roll back. Only a pause that a person added stops this clock."""

    @model_validator(mode="after")
    def _together(self) -> "Pause":
        if (self.max_duration is None) != (self.on_timeout is None):
            raise ValueError("maxDuration and onTimeout belong together: give both or neither")
        if self.duration is not None and self.max_duration is not None:
            raise ValueError("a pause has duration or maxDuration, not both")
        return self


class AnalysisStep(FromTemplates):
    """Wait here for the judge; with templates for their AnalysisRun, while the judge goes on."""

    min_duration: Duration | None = None
    """Stay at least this long, however soon the judge is satisfied."""
    max_duration: Duration | None = None
    """Without enough evidence by then (10m when absent) the rollout pauses for a person: none is promoted silently.

    Where the canary gets fewer than 10 requests a second, the time is first extended once, by as much again.
    With templates the step waits as long as its run goes on, when this is absent.
    """


class Webhook(ApiModel):
    """Ask a web service: an answer of 2xx opens the gate, any other or none keeps it closed."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
    """Gets a POST of JSON: `{namespace, name, revision, hash, step, weight}`. It is the controller who asks."""
    interval: Annotated[Duration, Field(ge=timedelta(seconds=1))] = Field(default="30s", validate_default=True)
    """How often it is asked while the gate is closed, at least 1s."""


class TimeWindow(ApiModel):
    """Hours in which the gate is open."""

    days: Annotated[tuple[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], ...], Field(max_length=7)] = ()
    """The days on which it opens; every day when empty."""
    start: ClockTime
    """When it opens, as HH:MM."""
    end: ClockTime
    """When it closes, as HH:MM; on the next day when it is not after `start`."""
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    """An IANA name, such as Europe/Berlin."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone; expected an IANA name such as Europe/Berlin") from None
        return value


class Approval(ApiModel):
    """A person opens the gate with the verb `approve`; it may be done before the gate is reached."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
    """What is approved, such as security-review."""


class Gate(ApiModel):
    """Go on only once it is open: exactly one of its fields. The judge goes on meanwhile."""

    webhook: Webhook | None = None
    windows: Annotated[tuple[TimeWindow, ...], Field(min_length=1, max_length=20)] | None = None
    """Open within any of these."""
    approval: Approval | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Gate":
        _one_of(self, "a gate")
        return self


class TextMatch(ApiModel):
    """A text, its beginning, or a regular expression (RE2) of the whole of it: exactly one."""

    exact: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """The whole text."""
    prefix: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """How it begins."""
    regex: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """A regular expression of the whole of it."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "TextMatch":
        _one_of(self, "a match of text")
        return self


class PathMatch(ApiModel):
    """A path below the rollout's own, such as `/api/v1.0/predictions`, or its beginning: exactly one."""

    exact: Annotated[str, Field(pattern=r"^/.*$", max_length=1024)] | None = None
    """The whole path."""
    prefix: Annotated[str, Field(pattern=r"^/.*$", max_length=1024)] | None = None
    """How it begins."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "PathMatch":
        _one_of(self, "a path")
        return self


class RouteMatch(ApiModel):
    """Which requests: all that is said here must hold."""

    headers: Annotated[dict[str, TextMatch], Field(max_length=10)] | None = None
    """By the header's name. gRPC metadata are headers, too."""
    cookies: Annotated[dict[str, TextMatch], Field(max_length=1)] | None = None
    """One cookie, by its name. Not beside a header `cookie`."""
    path: PathMatch | None = None
    """REST only."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] | None = None
    """REST only."""

    @model_validator(mode="after")
    def _something(self) -> "RouteMatch":
        if not (self.headers or self.cookies or self.path or self.method):
            raise ValueError("a match has at least one of headers, cookies, path, method")
        if self.cookies and any(name.lower() == "cookie" for name in self.headers or {}):
            raise ValueError("a match has cookies or a header `cookie`, not both")
        return self


class SetMirror(ApiModel):
    """Copy a share of live requests to the canary; users get the answers of whoever they asked."""

    percentage: Percent = 100
    """Percent of live requests that are copied, with at most two decimals."""
    match: Annotated[tuple[RouteMatch, ...], Field(max_length=10)] = ()
    """Copy only requests that match any of these, such as those that change nothing; all when empty."""


class HeaderRoute(ApiModel):
    """Requests that go to the canary whatever its weight."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
    """To change or remove it by a later step of the same name."""
    match: Annotated[tuple[RouteMatch, ...], Field(max_length=10)] = ()
    """Any of these; an empty list removes the route."""


class SetScale(ApiModel):
    """How many pods the canary has: exactly one of its fields. Predictors with an autoscaler are left to it."""

    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods for each predictor."""
    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Percent of the template's replicas, rounded up."""
    match_weight: bool | None = None
    """As large a part of the template's replicas as the canary's part of the traffic, rounded up."""
    auto: bool | None = None
    """As many as the template says again."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "SetScale":
        _one_of(self, "setScale")
        if self.match_weight is False or self.auto is False:
            raise ValueError("matchWeight and auto are true, or absent")
        return self


class Step(ApiModel):
    """One step of a canary: exactly one of its fields."""

    set_weight: Percent | None = None
    """Percent of live traffic for the canary, with at most two decimals, such as 0.5."""
    pause: Pause | None = None
    analysis: AnalysisStep | None = None
    set_mirror: SetMirror | None = None
    set_header_route: HeaderRoute | None = None
    """Requests that go to the canary whatever its weight: until removed, or the rollout ends."""
    set_scale: SetScale | None = None
    gate: Gate | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Step":
        _one_of(self, "a step")
        return self

    @property
    def kind(self) -> str:
        """The name of the one field that is set, in camelCase."""
        name = _given(self)[0]
        return type(self).model_fields[name].alias or name


class ProgressThreshold(ApiModel):
    """How many of the pods that it should have now are enough for the canary's next step: exactly one of its fields."""

    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Percent of the pods of each Deployment that are ready."""
    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Ready pods of each Deployment, or all of them where it should have fewer."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "ProgressThreshold":
        _one_of(self, "replicaProgressThreshold")
        return self


class CanaryStrategy(ApiModel):
    """Move live traffic to the new revision step by step."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=100)] | None = None
    """Taken in order. Without steps and weights: 5, 25 and 50 percent, each until the judge is satisfied."""
    weights: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=100)] | None = None
    """The short form, instead of steps: these weights, each until the judge is satisfied."""
    interval: Duration | None = None
    """With `weights`: stay at each at least this long."""
    dynamic_stable_scale: bool = False
    """Stable's pods go as the canary takes traffic, and come back before traffic does. Autoscaled ones are left."""
    replica_progress_threshold: ProgressThreshold | None = None
    """How many ready pods are enough for a step; all when absent. A weight of 100, a bake, the promotion need all."""
    judged_from_step: Annotated[int, Field(ge=0, le=100)] = 0
    """The first step, counted from 0, whose requests are judged; what comes before cannot end the rollout."""

    @model_validator(mode="after")
    def _one_form(self) -> "CanaryStrategy":
        if self.steps is not None and self.weights is not None:
            raise ValueError("a canary has steps or weights, not both")
        if self.interval is not None and self.weights is None:
            raise ValueError("interval belongs to weights")
        return self

    def plan(self) -> tuple[Step, ...]:
        """Return the steps, written out."""
        if self.steps is not None:
            return self.steps
        wait = Step(analysis=AnalysisStep(min_duration=self.interval))
        return tuple(step for weight in self.weights or DEFAULT_WEIGHTS for step in (Step(set_weight=weight), wait))


class UntilVerdict(ApiModel):
    """Until the judge has enough, one way or the other."""

    min_duration: Duration | None = None
    """Copy at least this long, however soon the judge is satisfied; a bad verdict ends it at once."""
    max_duration: Duration | None = None
    """Without enough evidence by then (10m when absent) the shadow ends; before a canary, a person is asked."""


class ShadowStrategy(ApiModel):
    """Copy live requests to the new revision and throw its answers away: no user sees it.

    What a model does beside answering (writing to a database, calling others) is done for copies, too.
    """

    percentage: Share = 100
    """Percent of live requests that are copied, with at most two decimals."""
    duration: Duration | None = None
    """Copy for this long, whatever the judge says; only a bad verdict ends it sooner. Not beside `untilVerdict`."""
    until_verdict: UntilVerdict | None = None
    """Copy until the judge has enough; so it is when `duration` is absent."""
    then: CanaryStrategy | None = None
    """Go on with these steps. Without it the shadow ends there, with its report in `status.shadow`."""

    @model_validator(mode="after")
    def _one_end(self) -> "ShadowStrategy":
        if self.duration is not None and self.until_verdict is not None:
            raise ValueError("a shadow has duration or untilVerdict, not both")
        return self


class PreviewHeader(ApiModel):
    """A header by which requests reach the new revision before the switch."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_]{0,62}$")] = "seldon-preview"
    """The header."""
    value: Annotated[str, Field(min_length=1, max_length=256)] = "true"
    """What it says."""


class PrePromotionAnalysis(FromTemplates):
    """Judge the new revision on copies of live requests before it gets any."""

    skip: bool = False
    """Do without: only pods, the automatic delay or a person stand before the switch."""
    percentage: Share = 100
    """Percent of live requests that are copied, with at most two decimals."""
    min_duration: Duration | None = None
    """Judge at least this long."""
    max_duration: Duration | None = None
    """Without enough evidence by then (10m when absent), the rollout pauses for a person."""

    @model_validator(mode="after")
    def _skips_nothing_asked_for(self) -> "PrePromotionAnalysis":
        if self.skip and self.templates:
            raise ValueError("prePromotionAnalysis has skip and templates: give one of them")
        return self


class PostPromotionAnalysis(FromTemplates):
    """Judge the new revision on live requests after the switch; stable gets copies, to be compared with."""

    percentage: Share = 100
    """Percent of live requests that are copied to stable."""
    min_duration: Duration | None = None
    """Judge at least this long."""
    max_duration: Duration | None = None
    """Without enough evidence by then (10m when absent), the rollout pauses for a person; stable stands until then."""


class BlueGreenStrategy(ApiModel):
    """Bring the new revision up beside the old one, try it, and switch all traffic in one write."""

    preview_header: PreviewHeader | None = None
    """Requests with this header reach the new revision before the switch. Its own path, in `status`, always does."""
    preview_replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods for each predictor before the switch; as many as the template says when absent, and always at the switch."""
    pre_promotion_analysis: PrePromotionAnalysis = PrePromotionAnalysis()
    auto_promotion_enabled: bool = True
    """Without it a person promotes."""
    auto_promotion_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 0
    """Seconds from a good pre-promotion analysis to the switch."""
    post_promotion_analysis: PostPromotionAnalysis | None = None
    """A bad verdict switches back. Nothing is judged after the switch when absent."""


class Strategy(ApiModel):
    """How a new revision takes over: exactly one of its fields."""

    canary: CanaryStrategy | None = None
    blue_green: BlueGreenStrategy | None = None
    shadow: ShadowStrategy | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Strategy":
        _one_of(self, "a strategy")
        return self

    @property
    def kind(self) -> Literal["canary", "blueGreen", "shadow"]:
        """The name of the one field that is set, in camelCase."""
        if self.canary is not None:
            return "canary"
        return "blueGreen" if self.blue_green is not None else "shadow"
