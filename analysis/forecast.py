"""How long the judge will need, before a rollout: from stable's traffic and the information that requests carry.

No judge with the false-alarm probability alpha finds a change sooner, on average, than after ln(1/alpha) nats of
information against the nearest point of the rollback line; one request carries w·kl(θ_C, z_C) + (1-w)·kl(θ_S, z_S)
nats, w being the canary's share of requests (Wald; the bound of every sequential test of power one). For promotion the
same holds with beta and the promote line. Our judge takes longer by factors that were measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt
from typing import Literal

from analysis.checks import Check, is_required
from analysis.information import LEAST, SOONEST, information, seconds
from analysis.judges.parts import choose_edges
from analysis.outlook import outlook
from analysis.spec import ErrorRate, Latency, Line, Metric, Plan
from analysis.usual import Habits

CATCH_OVERHEAD = 1.8
"""Our median time to find a change over the bound: 1.6 to 1.8 in docs/judge.md, "Reading it honestly"."""
PROMOTE_OVERHEAD = 2.1
"""Our median time to find an equal canary good over the bound: 0.9 to 2.1, `python -m bench.forecast`."""
_TAIL = 0.05
"""A slower canary is looked for at the lowest edge that at most this share of stable's requests exceed."""
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


def smallest(line: Line, stable: float, look: Look, nats: float) -> float | None:
    """The smallest share of bad requests at which a canary is found worse in the time of a look; None if none is.

    `stable` is stable's share (0..1), `nats` the logarithm of the evidence that is needed. It is a median, with the
    overhead that was measured of our judge.
    """
    reach = look.requests * max(look.seconds, SOONEST) / (CATCH_OVERHEAD * nats)
    low, high = min(line.at(stable), 1.0), 1.0
    if information(line, high, stable, look.share) * reach < 1:
        return None
    for _ in range(24):
        middle = sqrt(max(low, LEAST) * high)
        if information(line, middle, stable, look.share) * reach < 1:
            low = middle
        else:
            high = middle
    return high


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
    return forecast(replace(habits, requests=2 * habits.requests), plan, 0.5)


def start(habits: Habits, plan: Plan, allowed: float, least: float, needed: float) -> float | None:
    """The smallest proposed weight from `least` on at which an equal canary has the evidence in `allowed` seconds."""
    fits = [share for share in WEIGHTS if share >= least and _found(habits, plan, share, needed) <= allowed]
    return min(fits, default=None)


def better_weights(shares: Sequence[float], first: float) -> tuple[float, ...]:
    """The weights of a plan from `first` on, with `first` in front."""
    return (first, *sorted({share for share in shares if share > first}))


def _found(habits: Habits, plan: Plan, share: float, needed: float) -> float:
    """Seconds until so much evidence speaks for an equal canary in all that is required, as far as it can be told."""
    nats, found = PROMOTE_OVERHEAD * log(needed), [SOONEST, seconds(plan.min_samples, share * habits.requests)]
    for metric in plan.metrics:
        if not is_required(metric.action, metric.required):
            continue
        if isinstance(metric, Check):
            told = outlook(metric, habits, plan, share, needed=needed)
            found += [] if told is None else [told.good]
        else:
            each = [_below(line, stable, share) for line, stable in _promoting(metric, habits)]
            found.append(seconds(nats, min(each, default=0.0) * habits.requests))
    return max(found)


def _promoting(metric: Metric, habits: Habits) -> Iterator[tuple[Line, float]]:
    """What a metric has to be below to be good, and stable's share of it: each comparison, and a ceiling."""
    ceiling = () if metric.max is None else (Line(0, metric.max),)
    if isinstance(metric, ErrorRate):
        yield from [(line, habits.errors) for line in (metric.lines.promote, *ceiling)]
        return
    yield from [(metric.lines.promote, habits.slow[edge]) for edge in judged_edges(habits)]
    longest = metric.slower_than.total_seconds() if metric.slower_than is not None else 0.0
    clearing = max([edge for edge in habits.slow if edge <= longest], default=None)
    yield from [(line, 1.0 if clearing is None else habits.slow[clearing]) for line in ceiling]


def _below(line: Line, stable: float, share: float) -> float:
    """Nats of a request that an equal canary lies below the line; 0 where it does not."""
    return information(line, stable, stable, share) if stable < line.at(stable) else 0.0


def _catch(habits: Habits, plan: Plan, share: float, change: Change) -> float:
    kind = ErrorRate if change.of == "errors" else Latency
    edge = tail(habits)
    if change.of == "slow" and edge is None:
        return inf
    stable = habits.errors if change.of == "errors" or edge is None else habits.slow[edge]
    canary, found = change.share(stable), [inf]
    for metric in plan.compared:
        if isinstance(metric, kind):
            nats = CATCH_OVERHEAD * log(plan.needed_by(metric))
            each = [information(line, canary, stable, share) for line in _blaming(metric) if canary > line.at(stable)]
            found += [max(SOONEST, seconds(nats, carried * habits.requests)) for carried in each]
    return min(found)


def _blaming(metric: Metric) -> Iterator[Line]:
    """What failed requests are caught above, and slow ones at any edge; a ceiling of latency has an edge of its own."""
    yield metric.lines.rollback
    if isinstance(metric, ErrorRate) and metric.max is not None:
        yield Line(0, metric.max)
