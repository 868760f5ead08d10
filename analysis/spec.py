"""What is judged: the arms, the comparison of two of them, and the plan of the judge with its defaults."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from analysis.checks import Action, Check, check_share, is_required

Key = tuple[str, str]
"""Namespace and name of the rollout that a comparison belongs to."""


@dataclass(frozen=True, slots=True)
class Line:
    """The border `canary = ratio * stable + offset` between two bad-request shares (both within 0..1)."""

    ratio: float
    offset: float

    def __post_init__(self) -> None:
        if self.ratio < 0 or not 0 <= self.offset < 1:
            raise ValueError(
                f"a line needs ratio >= 0 and 0 <= offset < 1, got ratio {self.ratio}, offset {self.offset}"
            )
        if self.ratio == 0 and self.offset == 0:
            raise ValueError("a line with ratio 0 is a ceiling and needs an offset > 0: no share lies below 0")

    def at(self, stable: float) -> float:
        """The canary's share on the line where stable's is `stable`."""
        return self.ratio * stable + self.offset


@dataclass(frozen=True, slots=True)
class Lines:
    """Above `rollback` a canary is bad, below `promote` it is good; between them nobody minds."""

    rollback: Line
    promote: Line


def ceiling(most: float) -> Lines:
    """A share of one's own that the canary is held against, alone."""
    return Lines(rollback=Line(0, most), promote=Line(0, most))


RUN_LENGTH = 259_200.0
"""Ticks from one false alarm of the change detector to the next, on average: a month of ticks of ten seconds."""

DOUBT = 1.5
"""While the evidence that the canary is worse stands this high in a metric, that metric is not found good."""


class Bar(NamedTuple):
    """What a metric has to have to be found good."""

    promote_needed: float
    step_needed: float
    min_samples: int

    def cleared(self, samples: int, *, better: float, worse: float) -> tuple[bool, bool]:
        """Whether so much is promising, and whether it is good.

        Args:
            samples: since the last step change.
            better: evidence that the canary is good enough, how many to one.
            worse: evidence that it is worse.
        """
        promising = samples >= self.min_samples and better >= self.step_needed and worse < DOUBT
        return promising, promising and better >= self.promote_needed


STEP_BETA = 1 / 6
"""Unless it is said otherwise: what a step that only raises the weight may get wrong."""

ERROR_LINES = Lines(rollback=Line(1.1, 0.0005), promote=Line(1.5, 0.005))
SLOW_LINES = Lines(rollback=Line(1.1, 0.001), promote=Line(1.25, 0.01))


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Requests that fail, canary against stable, and against a ceiling of one's own when `max` (a share) is given."""

    max: float | None = None
    lines: Lines = ERROR_LINES
    action: Action = "abort"
    required: bool | None = None

    def __post_init__(self) -> None:
        check_share("errorRate.max", self.max)

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "errorRate"


@dataclass(frozen=True, slots=True)
class Latency:
    """Requests slower than a histogram edge, canary against stable, at every edge that can tell them apart.

    With `slower_than` and `max`, the share of requests slower than `slower_than` is also held against the ceiling
    `max`.
    """

    slower_than: timedelta | None = None
    max: float | None = None
    lines: Lines = SLOW_LINES
    action: Action = "abort"
    required: bool | None = None

    def __post_init__(self) -> None:
        check_share("latency.max", self.max)
        if (self.slower_than is None) != (self.max is None):
            raise ValueError("latency.slowerThan and latency.max belong together: give both or neither")
        if self.slower_than is not None and self.slower_than <= timedelta(0):
            raise ValueError(f"latency.slowerThan must be longer than 0, got {self.slower_than}")

    @property
    def name(self) -> str:
        """The name that findings carry."""
        return "latency"


Metric = ErrorRate | Latency
"""What the judge compares between the arms' requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """From `at` on this share of live requests, 0..1, was for the canary; None where no share can be said."""

    at: datetime
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a canary is judged. The defaults are meant to be right for most."""

    judge: Literal["sequential", "threshold", "mannWhitney", "change"] = "sequential"
    """change: a detector that watches for a change after the rollout, and finds nobody better or worse before one."""
    alpha: float = 0.01
    """Probability that a good revision is rolled back, over the whole rollout and all metrics."""
    beta: float = 0.05
    """Probability, for each metric, that a revision beyond the promote line is found good."""
    step_beta: float | None = None
    """Probability, for each metric, that such a revision is found promising, which raises its weight and no more.

    From `beta` (each step asks for as much as the promotion) to 1; when absent 1/6, or `beta` where that is larger.
    """
    warmup: timedelta = timedelta(seconds=60)
    """What is measured this soon after `Comparison.started_at` is dropped."""
    min_samples: int = 100
    """Canary requests that a good verdict needs at least, counted since the last step change."""
    metrics: tuple[Metric | Check, ...] = field(default=(ErrorRate(), Latency()))
    window: timedelta = timedelta(minutes=5)
    """The threshold judge looks at this much of the past."""

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 1e-9 <= value <= 0.5:
                raise ValueError(f"{name} must be within 1e-9 <= {name} <= 0.5, got {value}")
        if self.step_beta is not None and not self.beta <= self.step_beta <= 1:
            raise ValueError(
                f"stepBeta must be within beta <= stepBeta <= 1, here {self.beta:g} to 1: a step that only raises the "
                f"weight never asks for more than the promotion; got {self.step_beta:g}"
            )
        if self.min_samples < 1:
            raise ValueError(f"minSamples must be at least 1, got {self.min_samples}")
        if self.warmup < timedelta(0):
            raise ValueError(f"warmup must not be negative, got {self.warmup}")
        if not self.metrics:
            raise ValueError("metrics must name at least one check, such as errorRate or latency")
        if self.judge == "threshold" and all(metric.max is None for metric in self.compared):
            raise ValueError("the threshold judge needs `max` in at least one of errorRate and latency")
        if self.judge == "mannWhitney" and any(metric.max is not None for metric in self.compared):
            raise ValueError("the Mann-Whitney judge compares with stable alone and knows no `max`: leave it out")
        if not any(is_required(metric.action, metric.required) for metric in self.metrics):
            names = ", ".join(metric.name for metric in self.metrics)
            raise ValueError(
                f"of the metrics {names} none is required, so that nothing could make the canary good: "
                "add errorRate or latency, or say `required: true`"
            )

    @property
    def compared(self) -> tuple[Metric, ...]:
        """The metrics that are compared request by request."""
        return tuple([metric for metric in self.metrics if isinstance(metric, ErrorRate | Latency)])

    @property
    def aborting(self) -> int:
        """How many metrics roll back: they share alpha."""
        return sum([metric.action == "abort" for metric in self.metrics])

    @property
    def needed(self) -> float:
        """Evidence at which the canary is rolled back: 1/alpha to one."""
        return 1 / self.alpha

    def needed_by(self, metric: Metric | Check) -> float:
        """Evidence at which one metric is bad. Those that roll back share alpha, each other one has its own.

        Failed requests and latency have their parts together, and the mean of their evidence needs it.
        """
        if metric.action != "abort":
            return self.needed
        together = sum([one.action == "abort" for one in self.compared]) if metric in self.compared else 1
        return self.needed * self.aborting / together

    @property
    def alarm_needed(self) -> float:
        """Evidence at which the detector of a change alarms: a false alarm each RUN_LENGTH ticks at most."""
        return RUN_LENGTH

    @property
    def promote_needed(self) -> float:
        """Evidence at which a metric is found good: 1/beta to one."""
        return 1 / self.beta

    @property
    def step_needed(self) -> float:
        """Evidence at which a metric is promising: 1/stepBeta to one, and never more than a good one's."""
        return min(1 / (self.step_beta or STEP_BETA), self.promote_needed)

    @property
    def bar(self) -> Bar:
        """What a metric has to have to be found good."""
        return Bar(self.promote_needed, self.step_needed, self.min_samples)

    @property
    def nats(self) -> float:
        """The evidence to roll back as a logarithm, with what the mixture of alternatives and metrics costs."""
        return math.log(1 / self.alpha) + 3


@dataclass(frozen=True, slots=True)
class Arm:
    """One revision, as the metrics name it."""

    namespace: str
    deployment: str
    """The label `deployment_name` of the orchestrator's metrics."""
    services: tuple[str, ...] = ()
    """The labels `destination_service_name` at the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A canary and the stable revision that serves beside it."""

    key: Key
    stable: Arm
    canary: Arm
    plan: Plan
    started_at: datetime
    """When the canary's pods became ready. Timezone-aware."""
    restarts: tuple[datetime, ...] = ()
    """When steps changed: the judge looks for late regressions from each of them."""
    mirrored: bool = False
    """The canary gets copies of requests, which the gateway does not count."""
    shifts: tuple[Shift, ...] = ()
    """What the canary's share of live requests was, and since when."""

    def __post_init__(self) -> None:
        for at in (self.started_at, *self.restarts):
            if at.tzinfo is None:
                raise ValueError(f"{self.key[0]}/{self.key[1]}: times must carry a timezone, got {at.isoformat()}")
