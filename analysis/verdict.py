"""What the judge answers: a closed set of verdicts, each with its reason."""

from collections.abc import Iterable
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
    step_needed: float | None = None
    """Evidence that it is good enough for the next weight, at most `promote_needed`; None: as much as that."""
    promising: bool = False
    """Found neither good nor bad, it has enough for the next weight."""
    canary_requests: int = 0
    stable_requests: int = 0
    phi: float | None = None
    """How much noisier than chance what the figures are of is: 1 is not at all; None where it is not learned."""
    action: Action = "abort"
    """What a bad verdict of this metric does."""
    required: bool = True
    """Whether a good verdict on the canary needs this metric's."""

    @property
    def near(self) -> bool:
        """Good, or not yet and promising: what was not measured is neither."""
        return self.verdict is Verdict.GOOD or (self.verdict is Verdict.INCONCLUSIVE and self.promising)


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
    preflight: Preflight | None = None

    @property
    def promising(self) -> bool:
        """Good, or enough for the next weight in every required metric: never enough for a promotion by itself."""
        return is_promising(self.verdict, self.findings)


def is_promising(verdict: Verdict, findings: Iterable[Finding]) -> bool:
    """Whether the canary may get its next weight: good, or on the way to it in all that is required."""
    if verdict is not Verdict.INCONCLUSIVE:
        return verdict is Verdict.GOOD
    required = [finding.near for finding in findings if finding.required]
    return bool(required) and all(required)
