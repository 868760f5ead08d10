"""What the judge answers: a closed set of verdicts, each with its reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from analysis.checks import Action


class Verdict(StrEnum):
    """Good and Bad are statements about the canary; the others say why there is none."""

    GOOD = "Good"
    BAD = "Bad"
    INCONCLUSIVE = "Inconclusive"
    """Measured, and not enough yet to say more."""
    NO_DATA = "NoData"
    """There is nothing to measure: no series of an arm. Never a pass."""
    ERROR = "Error"
    """Measuring failed. Never a failure of the canary, and never a pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one metric says of the canary."""

    metric: str
    verdict: Verdict
    message: str
    canary: float | None = None
    """The canary's share of bad requests, 0..1."""
    stable: float | None = None
    """Stable's share of bad requests, 0..1."""
    evidence: float = 1.0
    """This metric's part of the joint evidence that the canary is worse: how many to one."""
    needed: float = 100.0
    """Joint evidence at which the canary is rolled back."""
    promote_evidence: float = 1.0
    """Evidence that the canary is good enough: how many to one."""
    promote_needed: float = 20.0
    step_needed: float = 20.0
    """Evidence that it is good enough for the next weight: at most `promote_needed`."""
    promising: bool = False
    """It is good, or has all that is good but for the evidence, and of that enough for the next weight."""
    canary_requests: int = 0
    stable_requests: int = 0
    action: Action = "abort"
    """What a bad verdict of this metric does."""
    required: bool = True
    """Whether a good verdict on the canary needs this metric's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether a comparison can be judged at all, and what its traffic is like."""

    ready: bool | None
    """None while it is not known."""
    reason: str
    """One word, such as NoSeries."""
    message: str
    """What is missing and how to get it; nothing where all is there."""
    requests: float = 0.0
    """Requests per second of both arms together, copies left out; two digits."""
    shares: tuple[tuple[str, float | None, float], ...] = ()
    """What is compared: the metric, its histogram edge (seconds), and stable's share of bad requests; two digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The judge's opinion of one comparison."""

    verdict: Verdict
    message: str
    findings: tuple[Finding, ...] = ()
    updated_at: datetime | None = None
    """The instant up to which metrics were read; None before the first reading."""
    promising: bool = False
    """Good, or enough for the next weight in every required metric: never enough for a promotion by itself."""
    preflight: Preflight | None = None
