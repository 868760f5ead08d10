"""A past window of any two deployments, judged by the judge: what it would have said, and when.

The monitor is fed the instants of the window one after the other, from what range queries bring; it alone judges.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from analysis.checks import Check, ShadowAgreement, TrafficSplit
from analysis.columns import Row
from analysis.measure import Labels, Measurer
from analysis.monitor import Monitor
from analysis.providers.provider import Provider
from analysis.samples import ArmReading, Reading, Signal
from analysis.spec import Comparison, Key, Metric, Plan
from analysis.verdict import Finding, Judgement, Verdict

_AHEAD = 300
"""Instants that are read at once."""


class ReplayError(Exception):
    """A window cannot be judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Left:
    """A check that is not replayed, and why."""

    metric: str
    why: str


@dataclass(frozen=True, slots=True)
class Window:
    """What the judge said at each instant of a window; it ends where the canary is found bad."""

    judgements: tuple[Judgement, ...]
    left: tuple[Left, ...] = ()
    """Checks of the plan that a past window cannot carry: no judgement speaks of them."""

    @property
    def last(self) -> Judgement:
        """What was said in the end."""
        return self.judgements[-1]

    def first(self, verdict: Verdict) -> datetime | None:
        """When a verdict was given first; None when it never was."""
        return next((one.updated_at for one in self.judgements if one.verdict is verdict), None)

    @property
    def asks(self) -> bool:
        """Whether a metric that pauses was bad: a person would have been asked."""
        return any(self.spoke(one.metric) for one in self.last.findings if one.action == "pause")

    def spoke(self, metric: str) -> tuple[datetime | None, Finding] | None:
        """When a metric first was bad, and what it said then; None when it never was."""
        said = [(each.updated_at, one) for each in self.judgements for one in each.findings if one.metric == metric]
        return next(((at, one) for at, one in said if one.verdict is Verdict.BAD), None)

    def thinned(self, rows: int) -> tuple[Judgement, ...]:
        """At most about `rows` judgements, evenly in time, and those where the verdict changed; always the last."""
        every = max(1, -(-len(self.judgements) // max(1, rows)))
        before: Verdict | None = None
        kept = []
        for number, one in enumerate(self.judgements):
            if number % every == 0 or one is self.last or one.verdict is not before:
                kept.append(one)
            before = one.verdict
        return tuple(kept)


async def replay(
    provider: Provider, comparison: Comparison, until: datetime, *, step: timedelta, labels: Labels | None = None
) -> Window:
    """Judge a comparison from its start until `until`, as a live judge would have that looks every `step`.

    Where stable and canary are the same deployment, the two halves of its pods are compared. A check that the window
    cannot carry is left out, and is not required then; the others need the evidence that they need beside it.

    Raises:
        ReplayError: a step's worth of time does not lie between start and end, metrics could not be read, a
            deployment that is to be halved has fewer than two pods, or nothing that is required can be replayed.
        ValueError: `step` is no whole number of seconds.
    """
    left = tuple(_left(comparison))
    comparison = replace(comparison, plan=_without(comparison.plan, left))
    halved = _halved(comparison)
    if halved:  # only orchestrators tell which pod served: at the gateway both halves are one
        arm = replace(comparison.stable, services=())
        comparison = replace(comparison, stable=arm, canary=arm, shifts=())
    measurer = _Recorded(provider, until, int(step.total_seconds()), labels, halved=halved)
    monitor = Monitor(measurer, step=step, settle=timedelta(0))
    monitor.track(comparison)
    said: list[Judgement] = []
    for at in _instants(comparison.started_at, until, int(step.total_seconds())):
        await monitor.tick(at)
        judgement = monitor.judgement(comparison.key)
        if judgement is None or judgement.verdict is Verdict.ERROR:
            raise ReplayError(judgement.message if judgement else "the comparison is not tracked")
        said.append(_about(judgement, left))
        if judgement.verdict is Verdict.BAD:
            break
    if not said:
        raise ReplayError(f"there is no instant to look at between start and end: they must lie {step} apart at least")
    if halved and 0 < measurer.pods < 2:
        raise ReplayError(f"{comparison.stable.deployment} has one pod in this time: halves need two at least")
    return Window(tuple(said), left)


def _halved(comparison: Comparison) -> bool:
    return comparison.stable == comparison.canary


def _left(comparison: Comparison) -> Iterator[Left]:
    """What the judge knew when it happened, and the metrics do not tell."""
    halved = _halved(comparison)
    for metric in comparison.plan.metrics:
        if isinstance(metric, TrafficSplit):
            if halved:
                yield Left(metric.name, "halves of one deployment have no weight")
            elif not any(shift.share for shift in comparison.shifts):
                yield Left(metric.name, "the canary's weight in this time is not known")
        elif isinstance(metric, ShadowAgreement) and halved:
            yield Left(metric.name, "half of a deployment's pods compares nothing with the other half")


def _without(plan: Plan, left: Sequence[Left]) -> Plan:
    """The plan, which does not require what is left out. It stays there, since its part of alpha was its own."""
    names = {one.metric for one in left}

    def free(metric: Metric | Check) -> Metric | Check:
        return replace(metric, required=False) if metric.name in names else metric

    try:
        return replace(plan, metrics=tuple(map(free, plan.metrics)))
    except ValueError:
        reasons = "; ".join([f"{one.metric}: {one.why}" for one in left])
        raise ReplayError(f"nothing that the plan requires can be replayed: {reasons}") from None


def _about(judgement: Judgement, left: Sequence[Left]) -> Judgement:
    names = {one.metric for one in left}
    return replace(judgement, findings=tuple([one for one in judgement.findings if one.metric not in names]))


def _instants(start: datetime, until: datetime, step: int) -> list[datetime]:
    first = -(-int(start.timestamp()) // step) * step
    return [datetime.fromtimestamp(at, UTC) for at in range(first, int(until.timestamp()) + 1, step)]


class _Recorded(Measurer):
    """Answers instant by instant from windows that it reads ahead; halves a deployment's pods if asked to."""

    def __init__(self, provider: Provider, until: datetime, step: int, labels: Labels | None, *, halved: bool) -> None:
        super().__init__(provider, labels=labels)
        self._until, self._step = until, step
        self._ahead: dict[int, dict[Key, Reading | Row]] = {}
        self._sides: dict[str, int] | None = {} if halved else None

    @property
    def pods(self) -> int:
        """How many pods were seen of a deployment that is halved."""
        return len(self._sides or {})

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading | Row]:
        """The raw counters at one instant."""
        moment = int(at.timestamp())
        if moment not in self._ahead:
            last = min(self._until, at + timedelta(seconds=(_AHEAD - 1) * self._step))
            found = await self.replay(comparisons, at, last, self._step)
            self._ahead = {}
            for key, readings in found.items():
                for reading in readings:
                    self._ahead.setdefault(reading.at, {})[key] = reading
        return self._ahead[moment]

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        """The raw counters at start, start + step, ..., end."""
        found = await super().replay(comparisons, start, end, step)
        if self._sides is None:
            return found
        return {key: self._split(readings) for key, readings in found.items()}

    def _split(self, readings: Sequence[Reading]) -> tuple[Reading, ...]:
        """Every other pod of those that are read at once, in the order of their names, plays the canary."""
        sides = self._sides if self._sides is not None else {}
        for pod in sorted({pod for one in readings for pod in one.stable.pods.keys() | one.stable.signals.keys()}):
            sides.setdefault(pod, len(sides) % 2)
        return tuple([_split(reading, sides) for reading in readings])


def _split(reading: Reading, sides: Mapping[str, int]) -> Reading:
    pods, signals = reading.stable.pods, reading.stable.signals
    halves = [
        ArmReading(
            {pod: found for pod, found in pods.items() if sides[pod] == side},
            signals={pod: _own(found) for pod, found in signals.items() if sides[pod] == side},
        )
        for side in (0, 1)
    ]
    return Reading(reading.at, *halves)


def _own(counted: Mapping[Signal, float]) -> Mapping[Signal, float]:
    """What a pod counts of its own answers: copies that it compared with another deployment's are left out."""
    return {signal: value for signal, value in counted.items() if signal[0] != "compare"}
