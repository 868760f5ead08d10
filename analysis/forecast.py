"""How long the judge will need, before a rollout: from stable's traffic, and what its own bets gain of each request.

A change is found once the strongest alternative carries the evidence by itself (`analysis.information`); an equal
canary is good once each question's does. Our judge takes longer by factors that were measured: it learns first what
is usual and how noisy it is, and no tick may gain more than the cap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Literal

from analysis.checks import Check, ClientErrorRate, OutlierRate, is_required
from analysis.information import LEAST, SOONEST, Worse, better, counted_until, seconds
from analysis.judges import emergency
from analysis.judges.parts import EXPECTED_ERRORS, EXPECTED_SLOW, choose_edges
from analysis.judges.question import Question
from analysis.outlook import outlook
from analysis.spec import ErrorRate, Metric, Plan, ceiling
from analysis.usual import Habits

CATCH_OVERHEAD = 1.9
"""Our median time to find a change over that of the strongest alternative: `python -m bench.forecast`."""
PROMOTE_OVERHEAD = 2.0
"""Our median time to find an equal canary good over that of the strongest alternative: the same."""
_TAIL = 0.05
"""A slower canary is looked for at the lowest edge that at most this share of stable's requests exceed."""
_COPIED = (ClientErrorRate().name, OutlierRate().name)
"""Checks that count more where requests are copied: nobody sends feedback on copies."""
WEIGHTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.33, 0.5)
"""Weights that are proposed."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a canary may differ: `factor` times as many bad requests, and `points` (a share, 0..1) more."""

    of: Literal["errors", "slow"]
    factor: float = 1.0
    points: float = 0.0

    def share(self, stable: float) -> float:
        """The canary's share of bad requests where stable's is `stable`."""
        return min(1.0, stable * self.factor + self.points)


@dataclass(frozen=True, slots=True)
class Look:
    """How much a judge sees at one weight."""

    share: float
    """The canary's share of all requests that are judged, 0..1."""
    requests: float
    """Requests per second, of both arms together."""
    seconds: float
    """How long it looks."""


CHANGES = (
    *[Change("errors", factor=factor) for factor in (1.2, 1.5, 2.0, 5.0, 10.0)],
    Change("errors", points=0.01),
    *[Change("slow", points=points) for points in (0.005, 0.01, 0.05)],
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect at one weight, in seconds from when the rollout would begin there; `inf` is never."""

    share: float
    step: float
    """Until an equal canary is promising in all metrics, which raises its weight."""
    promote: float
    """Until an equal canary is found good in all metrics."""
    caught: tuple[float, ...]
    """Until each of CHANGES is found; `inf` too where a change stays below the rollback line."""


def smallest(plan: Plan, metric: Metric, stable: float, look: Look, *, edges: int = 1) -> float | None:
    """The smallest share of bad requests at which a canary is found worse in the time of a look; None if none is.

    `stable` is stable's share (0..1), at one of so many histogram edges. It is a median, with the overhead that was
    measured of our judge.
    """
    asked, weight = compared_by(plan, metric, edges)
    reach, needed = look.requests * max(look.seconds, SOONEST) / CATCH_OVERHEAD, plan.needed_by(metric)
    bets = Worse(asked, stable, look.share, weight=weight)

    def found(canary: float) -> bool:
        return counted_until(bets.of(canary), needed) <= reach

    low, high = min(metric.lines.rollback.at(stable), 1.0), 1.0
    if not found(high):
        return None
    for _ in range(24):
        middle = sqrt(max(low, LEAST) * high)
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def compared_by(plan: Plan, metric: Metric, edges: int) -> tuple[Question, float]:
    """What a metric asks of a canary beside stable, and the weight of it in the evidence, at one of so many edges.

    The judge's emergency has its part of the evidence, the metrics that roll back share the rest, and a metric's own
    ceiling takes half of its.
    """
    together = sum([one.action == "abort" for one in plan.compared]) if metric.action == "abort" else 1
    weight = (1 - emergency.SHARE) / together / (1 if metric.max is None else 2)
    if isinstance(metric, ErrorRate):
        return Question(metric.lines, EXPECTED_ERRORS), weight
    return Question(metric.lines, EXPECTED_SLOW, alternatives=6), weight / max(1, edges)


def tail(habits: Habits) -> float | None:
    """The judged edge at which a slower canary is looked for; None when no edge can tell."""
    edges = judged_edges(habits)
    thin = [edge for edge in edges if habits.slow[edge] <= _TAIL]
    return min(thin, default=max(edges, default=None))


def judged_edges(habits: Habits) -> tuple[float, ...]:
    """The histogram edges that the judge would choose."""
    return choose_edges(sorted(habits.slow.items()))


def forecast(habits: Habits, plan: Plan, share: float) -> Forecast:
    """What to expect where the canary gets `share` (0..1) of all requests."""
    step, promote = (_found(habits, plan, share, needed) for needed in (plan.step_needed, plan.promote_needed))
    return Forecast(share, step, promote, tuple([_catch(habits, plan, share, one) for one in CHANGES]))


def shadow(habits: Habits, plan: Plan) -> Forecast:
    """What to expect of a shadow that gets a copy of every request: as many as stable, and twice as many in all."""
    twice = {name: one._replace(rate=2 * one.rate) for name, one in habits.counted.items() if name in _COPIED}
    answers = habits.answers and habits.answers._replace(rate=2 * habits.answers.rate)
    doubled = replace(habits, requests=2 * habits.requests, counted={**habits.counted, **twice}, answers=answers)
    return forecast(doubled, plan, 0.5)


def start(habits: Habits, plan: Plan, allowed: float, least: float, needed: float) -> float | None:
    """The smallest proposed weight from `least` on at which an equal canary has the evidence in `allowed` seconds."""
    fits = [share for share in WEIGHTS if share >= least and _found(habits, plan, share, needed) <= allowed]
    return min(fits, default=None)


def better_weights(shares: Sequence[float], first: float) -> tuple[float, ...]:
    """The weights of a plan from `first` on, with `first` in front."""
    return (first, *sorted({share for share in shares if share > first}))


def _found(habits: Habits, plan: Plan, share: float, needed: float) -> float:
    """Seconds until so much evidence speaks for an equal canary in all that is required, as far as it can be told."""
    found = [SOONEST, seconds(plan.min_samples, share * habits.requests)]
    for metric in plan.metrics:
        if not is_required(metric.action, metric.required):
            continue
        if isinstance(metric, Check):
            told = outlook(metric, habits, plan, share, needed=needed)
            found += [] if told is None else [told.good]
        else:
            each = [
                counted_until(better(asked, stable, stable, share), needed) for asked, stable in _asked(metric, habits)
            ]
            found.append(PROMOTE_OVERHEAD * seconds(max(each, default=inf), habits.requests))
    return max(found)


def _asked(metric: Metric, habits: Habits) -> Iterator[tuple[Question, float]]:
    """What a metric has to be below to be good, and stable's share of it: each comparison, and a ceiling."""
    own = () if metric.max is None else (ceiling(metric.max),)
    if isinstance(metric, ErrorRate):
        yield from [(Question(lines, EXPECTED_ERRORS), habits.errors) for lines in (metric.lines, *own)]
        return
    yield from [(Question(metric.lines, EXPECTED_SLOW), habits.slow[edge]) for edge in judged_edges(habits)]
    longest = metric.slower_than.total_seconds() if metric.slower_than is not None else 0.0
    clearing = max([edge for edge in habits.slow if edge <= longest], default=None)
    yield from [(Question(lines, EXPECTED_SLOW), 1.0 if clearing is None else habits.slow[clearing]) for lines in own]


def _catch(habits: Habits, plan: Plan, share: float, change: Change) -> float:
    edges = judged_edges(habits)
    edge = tail(habits)
    if change.of == "slow" and edge is None:
        return inf
    stable = habits.errors if change.of == "errors" or edge is None else habits.slow[edge]
    canary, found = change.share(stable), [inf]
    for metric in plan.compared:
        if isinstance(metric, ErrorRate) != (change.of == "errors"):
            continue
        asked, weight = compared_by(plan, metric, len(edges))
        stakes = Worse(asked, stable, share, weight=weight).of(canary)
        if isinstance(metric, ErrorRate) and metric.max is not None:  # a ceiling of latency has an edge of its own
            own = Question(ceiling(metric.max), EXPECTED_ERRORS)
            stakes += Worse(own, stable, share, weight=weight).of(canary)
        after = seconds(counted_until(stakes, plan.needed_by(metric)), habits.requests)
        found.append(max(SOONEST, CATCH_OVERHEAD * after))
    return min(found)
