"""The typed checks beside failed requests and latency: what each holds for wrong, and what is done about it then."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Action = Literal["abort", "pause", "warn"]
"""What a bad finding does: the canary is rolled back, a person is asked, or it is only said."""


def check_share(name: str, value: float | None) -> None:
    """Raise ValueError naming the field when a share of requests lies outside 0..1."""
    if value is not None and not 0 < value < 1:
        raise ValueError(f"{name} is a share of requests and must lie between 0 and 1, such as 0.02; got {value}")


def is_required(action: Action, required: bool | None) -> bool:
    """Whether a good verdict needs this check: those that abort do, unless it is said otherwise."""
    return action == "abort" if required is None else required


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """The canary's share of requests against its weight: routing that is not as configured makes arms unequal.

    A share is as configured while its odds lie within a factor `tolerance` of the weight's.
    """

    tolerance: float = 1.25
    action: Action = "pause"
    required: bool | None = None

    def __post_init__(self) -> None:
        if not 1 < self.tolerance <= 10:
            raise ValueError(
                f"traffic.tolerance is a factor above 1 and at most 10, such as 1.25; got {self.tolerance}"
            )

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "traffic"


@dataclass(frozen=True, slots=True)
class PredictionDrift:
    """Classes and scores that the canary answers with, against stable's of the same time.

    Bad needs the evidence and a difference of at least `max`, as a population stability index.
    """

    max: float = 0.05
    action: Action = "warn"
    required: bool | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max <= 100:
            raise ValueError(
                f"predictionDrift.max is a population stability index above 0, such as 0.05; got {self.max}"
            )

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "predictionDrift"


@dataclass(frozen=True, slots=True)
class ShadowAgreement:
    """Answers to copied requests that differ from stable's, against how much its answers differ among themselves.

    With `max` they are held against this share alone.
    """

    max: float | None = None
    action: Action = "pause"
    required: bool | None = None

    def __post_init__(self) -> None:
        check_share("shadowAgreement.max", self.max)

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "shadowAgreement"


@dataclass(frozen=True, slots=True)
class Reward:
    """The mean reward of feedback, canary against stable. Rewards lie within `low`..`high`.

    What is reported sooner than `delay` after the start is dropped. A canary may lose `tolerance` of the range.
    """

    low: float = 0.0
    high: float = 1.0
    tolerance: float = 0.02
    delay: timedelta = timedelta(0)
    action: Action = "pause"
    required: bool | None = None

    def __post_init__(self) -> None:
        if not -1e9 <= self.low < self.high <= 1e9:
            raise ValueError(f"reward needs low < high, both within ±1e9, got {self.low} and {self.high}")
        if not 0 < self.tolerance < 0.3:
            raise ValueError(f"reward.tolerance is a part of the range, above 0 and below 0.3; got {self.tolerance}")
        if self.delay < timedelta(0):
            raise ValueError(f"reward.delay must not be negative, got {self.delay}")

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "reward"


@dataclass(frozen=True, slots=True)
class OutlierRate:
    """Rows that are marked as outliers. Both arms get the same inputs, so a difference is a fault of the routing."""

    max: float | None = None
    action: Action = "pause"
    required: bool | None = None

    def __post_init__(self) -> None:
        check_share("outlierRate.max", self.max)

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "outlierRate"


@dataclass(frozen=True, slots=True)
class ClientErrorRate:
    """Requests that are answered as the client's fault, such as 400 or gRPC INVALID_ARGUMENT, canary against stable.

    Both arms have the same clients, so a canary that refuses more takes other inputs than stable does.
    """

    max: float | None = None
    action: Action = "warn"
    required: bool | None = None

    def __post_init__(self) -> None:
        check_share("clientErrorRate.max", self.max)

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "clientErrorRate"


Check = TrafficSplit | PredictionDrift | ShadowAgreement | Reward | OutlierRate | ClientErrorRate
