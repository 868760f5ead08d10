"""The Mann-Whitney judge, as Kayenta has it: one point a minute and arm, the points of both arms by their ranks.

A point is a minute's share of failed requests, or its 99th percentile of latency. Every five points the shift between
the arms is estimated (Hodges and Lehmann) with its 98 % confidence interval, by inverting the rank-sum test with
corrections for ties and continuity. A metric is High, and the canary bad, when the lower limit lies above a quarter of
the estimate. The looks are repeated without a correction, and a minute counts the same whatever it served: there is
no promise. It is here for those who are used to it, and to be measured beside the others.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, sqrt
from typing import NamedTuple

from analysis.judges import sentences
from analysis.judges.view import View
from analysis.samples import Latencies, Pair
from analysis.spec import ErrorRate, Metric, Plan
from analysis.verdict import Finding, Verdict

POINT = 60
"""Seconds that a point stands for."""
EVERY = 5
"""Points between two looks."""
_KEPT = 120
_Z = 2.3263478740408408
"""Of 98 % confidence, two-sided."""
_TOLERANCE = 0.25
_QUANTILE = 0.99


class Shift(NamedTuple):
    """How much higher the canary's points lie: the estimate and its confidence limits."""

    estimate: float
    low: float
    high: float


class Series(NamedTuple):
    """One metric: the minute that is being filled, the points of both arms, and what the last look found."""

    metric: Metric
    counts: Pair = Pair()
    canary: Latencies = Latencies()
    stable: Latencies = Latencies()
    points: tuple[tuple[float, float], ...] = ()
    requests: Pair = Pair()
    verdict: Verdict = Verdict.INCONCLUSIVE
    shift: Shift | None = None


@dataclass(frozen=True, slots=True)
class MannWhitney:
    """The state of the judge. `bad` is final."""

    plan: Plan
    series: tuple[Series, ...]
    seconds: int = 0
    """Of the minute that is being filled."""
    minutes: int = 0
    bad: bool = False


def begin(plan: Plan) -> MannWhitney:
    """The judge before the first tick."""
    return MannWhitney(plan, tuple(Series(metric) for metric in plan.compared))


def step(judge: MannWhitney, view: View) -> MannWhitney:
    """One tick."""
    if judge.bad or not view.judged:
        return judge
    series = tuple(_count(each, view) for each in judge.series)
    seconds, minutes = judge.seconds + view.seconds, judge.minutes
    if seconds < POINT:
        return MannWhitney(judge.plan, series, seconds, minutes)
    series, minutes = tuple(_point(each) for each in series), minutes + 1
    if minutes % EVERY == 0:
        series = tuple(_look(each, judge.plan) for each in series)
    bad = any(each.verdict is Verdict.BAD for each in series)
    return MannWhitney(judge.plan, series, 0, minutes, bad)


def findings(judge: MannWhitney) -> tuple[Finding, ...]:
    """What each metric says."""
    return tuple(_finding(each) for each in judge.series)


def _count(series: Series, view: View) -> Series:
    if isinstance(series.metric, ErrorRate):
        pair = view.errors
        return series._replace(counts=series.counts.plus(pair), requests=series.requests.plus(pair))
    canary, stable = view.canary.latencies, view.stable.latencies
    return series._replace(
        canary=_sum(series.canary, canary),
        stable=_sum(series.stable, stable),
        requests=series.requests.plus(Pair(canary.total, 0, stable.total, 0)),
    )


def _sum(first: Latencies, second: Latencies) -> Latencies:
    edges = first.within.keys() & second.within.keys() if first.within else second.within.keys()
    return Latencies(
        first.total + second.total,
        {edge: first.within.get(edge, 0) + second.within[edge] for edge in sorted(edges)},
    )


def _point(series: Series) -> Series:
    """End a minute. One in which an arm served nothing is no point."""
    if isinstance(series.metric, ErrorRate):
        canary, bad, stable, stable_bad = series.counts
        point = (bad / canary, stable_bad / stable) if canary and stable else None
    else:
        mine, theirs = quantile(_QUANTILE, series.canary), quantile(_QUANTILE, series.stable)
        point = (mine, theirs) if mine is not None and theirs is not None else None
    points = (*series.points, point)[-_KEPT:] if point is not None else series.points
    return series._replace(counts=Pair(), canary=Latencies(), stable=Latencies(), points=points)


def quantile(share: float, latencies: Latencies) -> float | None:
    """A quantile in seconds, interpolated within its bucket, the highest edge beyond it; None without requests."""
    rank, low, below = share * latencies.total, 0.0, 0
    if not latencies.total or not latencies.within:
        return None
    for edge, within in sorted(latencies.within.items()):
        if within >= rank and within > below:
            return low + (edge - low) * (rank - below) / (within - below)
        low, below = edge, within
    return low


def _look(series: Series, plan: Plan) -> Series:
    if len(series.points) < EVERY or series.requests.canary_requests < plan.min_samples:
        return series._replace(verdict=Verdict.INCONCLUSIVE, shift=None)
    canary, stable = [one for one, _ in series.points], [other for _, other in series.points]
    found = shift(canary, stable)
    worse = found is not None and found.low > _TOLERANCE * abs(found.estimate) and sum(canary) >= sum(stable)
    return series._replace(verdict=Verdict.BAD if worse else Verdict.GOOD, shift=found)


def shift(experiment: Sequence[float], control: Sequence[float]) -> Shift | None:
    """How far the experiment lies above the control; None when there is nothing to tell apart."""
    if not experiment or not control or len({*experiment, *control}) == 1 or sorted(experiment) == sorted(control):
        return None
    least, most = min(experiment) - max(control), max(experiment) - min(control)

    def z(moved: float) -> float:
        return _z([one - moved for one in experiment], control)

    return Shift(_root(z, 0.0, least, most), _root(z, _Z, least, most), _root(z, -_Z, least, most))


def _z(experiment: Sequence[float], control: Sequence[float]) -> float:
    """The standardised rank sum of the experiment, corrected for ties and continuity; NaN when all are tied."""
    size, other = len(experiment), len(control)
    together = size + other
    ties = Counter([*experiment, *control])
    ranks, below = {}, 0
    for value in sorted(ties):
        ranks[value] = below + (ties[value] + 1) / 2
        below += ties[value]
    excess = sum(ranks[value] for value in experiment) - size * (size + 1) / 2 - size * other / 2
    tied = sum(count**3 - count for count in ties.values()) / (together * (together - 1))
    spread = sqrt(size * other / 12 * (together + 1 - tied))
    continuity = 0.5 if excess > 0 else -0.5 if excess < 0 else 0.0
    return (excess - continuity) / spread if spread else float("nan")


def _root(z: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where the falling step function z comes to a target; the end of the range where it does not."""
    if z(low) <= target:
        return low
    if z(high) >= target:
        return high
    for _ in range(40):
        middle = (low + high) / 2
        value = z(middle)
        if isnan(value) or value == target:
            return middle
        low, high = (middle, high) if value > target else (low, middle)
    return (low + high) / 2


def _finding(series: Series) -> Finding:
    canary, stable = _means(series)
    errors = isinstance(series.metric, ErrorRate)
    subject = "failed requests, mean of minutes" if errors else "99th percentile of latency, mean of minutes"
    written = sentences.share if errors else sentences.edge
    if canary is None or stable is None:
        words = f"{subject}: no minute in which both arms served"
    else:
        words = f"{subject}: {written(canary)} against {written(stable)} on stable, {len(series.points)} points"
    reason = {Verdict.BAD: "higher", Verdict.GOOD: "not higher"}.get(series.verdict, f"looked at every {EVERY} points")
    return Finding(
        metric=series.metric.name,
        verdict=series.verdict,
        message=f"{words}, {reason}",
        canary=canary if errors else None,
        stable=stable if errors else None,
        evidence=0.0 if series.shift is None else max(0.0, series.shift.low),
        needed=0.0 if series.shift is None else _TOLERANCE * abs(series.shift.estimate),
        promote_evidence=1.0 if series.verdict is Verdict.GOOD else 0.0,
        promote_needed=1.0,
        canary_requests=series.requests.canary_requests,
        stable_requests=series.requests.stable_requests,
    )


def _means(series: Series) -> tuple[float | None, float | None]:
    count = len(series.points)
    if not count:
        return None, None
    return sum(one for one, _ in series.points) / count, sum(other for _, other in series.points) / count
