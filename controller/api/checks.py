"""The typed checks of a rollout's analysis: what is looked at, and what a bad finding does."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from controller.api.meta import ApiModel, Duration


class ErrorRateCheck(ApiModel):
    """Requests that fail (5xx, time-outs, refused connections), canary against stable."""

    max: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A ceiling of one's own, as a share of requests such as 0.02; judged beside the comparison."""


class LatencyCheck(ApiModel):
    """Prediction latency, canary against stable, at every histogram edge that can tell them apart."""

    slower_than: Duration | None = None
    """With `max`: requests slower than this count as slow."""
    max: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A ceiling of one's own for the share of requests slower than `slowerThan`."""

    @model_validator(mode="after")
    def _together(self) -> "LatencyCheck":
        if (self.slower_than is None) != (self.max is None):
            raise ValueError("latency.slowerThan and latency.max belong together: give both or neither")
        return self


class TrafficCheck(ApiModel):
    """The canary's share of requests against its weight: is the routing as configured?"""

    tolerance: Annotated[float, Field(gt=1, le=10)] = 1.25
    """The factor within which the odds of the share may differ from the weight's."""


class PredictionDriftCheck(ApiModel):
    """Classes and scores in answers, canary against stable; counted where `seldon.io/prediction-metrics` is set."""

    max: Annotated[float, Field(gt=0, le=100)] = 0.05
    """The population stability index from which on a difference matters."""


class ShadowAgreementCheck(ApiModel):
    """Answers to copied requests, against stable's to the same ones; it needs a strategy that copies requests.

    The new revision's orchestrators ask stable, twice for each copy of the sample, and count who agrees with whom.
    """

    max: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of answers that may differ; without it, held against how often stable's own answers differ."""
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How far numbers may lie apart: as a part of the greater one, or of 1 where both are smaller."""
    per_second: Annotated[float, Field(ge=0.001, le=1000)] = 1
    """Copies of a pod that are compared in a second: each costs stable two requests."""
    share: Annotated[float, Field(ge=0.0001, le=1)] = 1
    """The share of the copies that is drawn before that."""


Reward = Annotated[float, Field(ge=-1e9, le=1e9)]


class RewardCheck(ApiModel):
    """The mean reward of feedback, canary against stable."""

    low: Reward = 0.0
    """The least reward that there is."""
    high: Reward = 1.0
    """The greatest reward that there is."""
    tolerance: Annotated[float, Field(gt=0, lt=0.3)] = 0.02
    """How much of the range the canary's mean may be lower."""
    delay: Duration = Field(default="0s", validate_default=True)
    """Feedback that comes sooner after the start is dropped: it is about earlier answers."""

    @model_validator(mode="after")
    def _range(self) -> "RewardCheck":
        if not self.low < self.high:
            raise ValueError(f"reward.low must be below reward.high, found {self.low:g} and {self.high:g}")
        return self


class OutlierRateCheck(ApiModel):
    """Rows marked as outliers, canary against stable both ways; counted where `seldon.io/prediction-metrics` is set."""

    max: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A ceiling of one's own, as a share of rows; judged beside the comparison."""


class ClientErrorRateCheck(ApiModel):
    """Requests refused as the client's fault (4xx but 499, gRPC INVALID_ARGUMENT and the like), canary against stable.

    Both get the same requests, so a canary that refuses more of them takes other inputs than stable does.
    """

    max: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A ceiling of one's own, as a share of requests; judged beside the comparison."""


class MetricCheck(ApiModel):
    """One typed check on the orchestrator's and the gateway's own metrics: exactly one of the checks."""

    error_rate: ErrorRateCheck | None = None
    latency: LatencyCheck | None = None
    traffic: TrafficCheck | None = None
    prediction_drift: PredictionDriftCheck | None = None
    shadow_agreement: ShadowAgreementCheck | None = None
    reward: RewardCheck | None = None
    outlier_rate: OutlierRateCheck | None = None
    client_error_rate: ClientErrorRateCheck | None = None
    action: Literal["abort", "pause", "warn"] | None = None
    """What a bad finding does: roll back, ask a person, or only say it. By default errorRate and latency abort,
    predictionDrift and clientErrorRate warn, the others pause."""
    required: bool | None = None
    """Whether a promotion needs this metric to be good; by default those that abort."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "MetricCheck":
        if sum(getattr(self, name) is not None for name in _CHECKS) != 1:
            raise ValueError(
                "a metric has exactly one of errorRate, latency, traffic, predictionDrift, shadowAgreement, reward, "
                "outlierRate, clientErrorRate"
            )
        return self


_CHECKS = (
    *("error_rate", "latency", "traffic", "prediction_drift", "shadow_agreement", "reward", "outlier_rate"),
    "client_error_rate",
)
