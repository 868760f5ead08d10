"""What the judge can see of a rollout, and how its evidence went: parts of the status."""

from typing import Literal

from controller.api.meta import Duration, Instant, StatusModel
from controller.api.percent import Seen

ANALYSIS_READY = "AnalysisReady"
"""The condition that says whether the canary can be judged; it is there while one is compared."""

STALLED = "Stalled"
"""The condition that says why a rollout does not go on by itself; it is there while that is so."""


class Smallest(StatusModel):
    """From which share of bad requests on a canary is found worse at one weight, in the time that its steps have."""

    weight: Seen
    """Percent of live requests that the canary has then."""
    mirror: Seen = 0
    """Percent of live requests that are copied to it then."""
    share: float | None = None
    """0 to 1, as a median; absent where no share would be found in the time."""


class ComparedStatus(StatusModel):
    """One comparison of the judge."""

    name: str
    """The check, such as errorRate."""
    slower_than: Duration | None = None
    """With latency: the histogram bucket's edge."""
    stable: float = 0
    """Stable's share of bad requests, 0 to 1."""
    smallest: tuple[Smallest, ...] = ()


class PreflightStatus(StatusModel):
    """Whether the canary can be judged at all, and what could be seen: kept until the traffic is another."""

    ready: Literal["True", "False", "Unknown"] = "Unknown"
    reason: str = ""
    """Such as Measured, NoSeries, LabelMissing, NoTraffic, NoHistogram, NoUsableBucket, NoSignal."""
    message: str = ""
    """What is missing and how to get it; else what could be seen."""
    requests: float = 0
    """Live requests per second."""
    compared: tuple[ComparedStatus, ...] = ()


class CurvePoint(StatusModel):
    """What the judge knew at one instant; the lists are in the order of the curve's metrics."""

    at: Instant
    weight: Seen = 0
    """Percent of live requests that the canary had."""
    observed: float | None = None
    """Percent that it was seen to take."""
    worse: tuple[float, ...] = ()
    """Evidence that the canary is worse, how many to one, as log10."""
    good: tuple[float, ...] = ()
    """Evidence that it is good enough, likewise."""


class Curve(StatusModel):
    """How the evidence went: at most 48 points, among them the first, the last and each line's highest."""

    metrics: tuple[str, ...] = ()
    points: tuple[CurvePoint, ...] = ()
