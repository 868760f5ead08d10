"""The threshold judge: the canary's share of bad requests in a window against a ceiling; no data never pass."""

from dataclasses import dataclass

from analysis.judges import sentences
from analysis.judges.view import View
from analysis.samples import Count
from analysis.spec import ErrorRate, Metric, Plan
from analysis.verdict import Finding, Verdict

Bounds = tuple[Count, Count]
"""Bad requests at least and at most: they differ where `slowerThan` lies between two histogram edges."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The judged ticks of the window: (end, counts of each metric with a ceiling), oldest first."""

    plan: Plan
    ticks: tuple[tuple[int, tuple[Bounds, ...]], ...] = ()
    bad: bool = False


def begin(plan: Plan) -> Threshold:
    """The judge before the first tick."""
    return Threshold(plan)


def step(judge: Threshold, view: View) -> Threshold:
    """One tick."""
    if judge.bad or not view.judged:
        return judge
    oldest = view.at - judge.plan.window.total_seconds()
    counts = tuple(_bounds(metric, view) for metric in _ceilings(judge.plan))
    ticks = (*[tick for tick in judge.ticks if tick[0] > oldest], (view.at, counts))
    stepped = Threshold(judge.plan, ticks)
    bad = any(finding.verdict is Verdict.BAD for finding in findings(stepped))
    return Threshold(judge.plan, ticks, bad=bad)


def findings(judge: Threshold) -> tuple[Finding, ...]:
    """What each metric with a ceiling says."""
    return tuple(_finding(judge, index, metric) for index, metric in enumerate(_ceilings(judge.plan)))


def _ceilings(plan: Plan) -> tuple[Metric, ...]:
    return tuple(metric for metric in plan.compared if metric.max is not None)


def _bounds(metric: Metric, view: View) -> Bounds:
    if isinstance(metric, ErrorRate):
        count = Count(view.errors.canary_requests, view.errors.canary_bad)
        return count, count
    latencies, limit = view.canary.latencies, metric.slower_than.total_seconds() if metric.slower_than else 0.0
    above = min([edge for edge in latencies.within if edge >= limit], default=None)
    below = max([edge for edge in latencies.within if edge <= limit], default=None)
    least = Count(latencies.total, 0) if above is None else latencies.slower(above)
    most = Count(latencies.total, latencies.total) if below is None else latencies.slower(below)
    return least, most


def _finding(judge: Threshold, index: int, metric: Metric) -> Finding:
    least, most = Count(), Count()
    for _, counts in judge.ticks:
        least, most = least.plus(counts[index][0]), most.plus(counts[index][1])
    ceiling = metric.max or 0.0
    requests, needed = least.requests, judge.plan.min_samples
    low, high = least.share, most.share
    if requests < needed or low is None or high is None:
        verdict, shown = Verdict.INCONCLUSIVE, least
        reason = f"needs at least {needed:,} requests in the window"
    elif low > ceiling:
        verdict, shown, reason = Verdict.BAD, least, "too many"
    elif high <= ceiling:
        verdict, shown, reason = Verdict.GOOD, most, "good enough"
    else:
        verdict, shown, reason = Verdict.INCONCLUSIVE, least, "no histogram edge is near enough to slowerThan to tell"
    value = shown.share
    found = (
        "none on the canary"
        if value is None
        else f"{sentences.share(value)} against at most {sentences.share(ceiling)}"
    )
    return Finding(
        metric=metric.name,
        verdict=verdict,
        message=f"{_subject(metric)}: {found}, {requests:,} requests, {reason}",
        canary=value,
        canary_requests=requests,
        evidence=0.0 if value is None else value / ceiling,
        needed=1.0,
        promote_needed=1.0,
        promote_evidence=1.0 if verdict is Verdict.GOOD else 0.0,
    )


def _subject(metric: Metric) -> str:
    if isinstance(metric, ErrorRate) or metric.slower_than is None:
        return "failed requests"
    return f"requests slower than {sentences.edge(metric.slower_than.total_seconds())}"
