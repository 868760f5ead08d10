"""How long the judge will need, before a rollout: from stable's traffic and the information that requests carry.

No judge with the false-alarm probability alpha finds a change sooner, on average, than after ln(1/alpha) nats of
information against the nearest point of the rollback line; one request carries w·kl(θ_C, z_C) + (1-w)·kl(θ_S, z_S)
nats, w being the canary's share of requests (Wald; the bound of every sequential test of power one). For promotion the
same holds with beta and the promote line. Our judge takes longer by factors that were measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Literal

from analysis.judges.halfplane import nearest
from analysis.judges.parts import choose_edges
from analysis.spec import ErrorRate, Latency, Line, Plan

CATCH_OVERHEAD = 1.8
"""Our median time to find a change over the bound: 1.6 to 1.8 in docs/judge.md, "Reading it honestly"."""
PROMOTE_OVERHEAD = 2.1
"""Our median time to find an equal canary good over the bound: 0.9 to 2.1, `python -m bench.forecast`."""
SOONEST = 20.0
"""Seconds below which nothing is promised: the cap lets no single tick of ten seconds decide."""
_LEAST = 1e-6
"""A share that was never seen to be bad is taken for this one."""
_TAIL = 0.05
"""A slower canary is looked for at the lowest edge that at most this share of stable's requests exceed."""
WEIGHTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.33, 0.5)
"""Weights that are proposed."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the requests of a deployment are like."""

    requests: float
    """Requests per second, of both arms together."""
    errors: float
    """Share of failed requests, 0..1."""
    slow: Mapping[float, float]
    """By histogram edge (seconds): the share of requests that are slower."""


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


def information(line: Line, canary: float, stable: float, share: float) -> float:
    """Nats that a request carries against the nearest point of the line; 0 where a side of it has no requests.

    `share` is the canary's share of requests; `canary` and `stable` are shares of bad requests, all of them 0..1.
    """
    if not 0 < share < 1:
        return 0.0
    canary, stable = _within(canary), _within(stable)
    point = nearest(line, canary, stable, share / (1 - share))
    if point is None:
        return 0.0
    return share * _kl(canary, _within(line.at(point))) + (1 - share) * _kl(stable, _within(point))


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
        middle = sqrt(max(low, _LEAST) * high)
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
    doubled = Habits(2 * habits.requests, habits.errors, habits.slow)
    return forecast(doubled, plan, 0.5)


def start(habits: Habits, plan: Plan, allowed: float, least: float, needed: float) -> float | None:
    """The smallest proposed weight from `least` on at which an equal canary has the evidence in `allowed` seconds."""
    fits = [share for share in WEIGHTS if share >= least and _found(habits, plan, share, needed) <= allowed]
    return min(fits, default=None)


def better_weights(shares: Sequence[float], first: float) -> tuple[float, ...]:
    """The weights of a plan from `first` on, with `first` in front."""
    return (first, *sorted({share for share in shares if share > first}))


def _found(habits: Habits, plan: Plan, share: float, needed: float) -> float:
    """Seconds until so much evidence speaks for an equal canary in all metrics."""
    nats, found = log(needed), [SOONEST]
    for metric in plan.compared:
        edges = judged_edges(habits) if isinstance(metric, Latency) else ()
        shares = [habits.errors] if isinstance(metric, ErrorRate) else [habits.slow[edge] for edge in edges]
        found += [inf] if not shares else []
        for each in shares:
            carried = information(metric.lines.promote, each, each, share) * habits.requests
            found.append(_seconds(PROMOTE_OVERHEAD * nats, carried))
    return max(*found, _seconds(plan.min_samples, share * habits.requests))


def _catch(habits: Habits, plan: Plan, share: float, change: Change) -> float:
    kind = ErrorRate if change.of == "errors" else Latency
    edge = tail(habits)
    if change.of == "slow" and edge is None:
        return inf
    stable = habits.errors if change.of == "errors" or edge is None else habits.slow[edge]
    found = [inf]
    for metric in plan.compared:
        line, canary = metric.lines.rollback, change.share(stable)
        if isinstance(metric, kind) and canary > line.at(stable):
            carried = information(line, canary, stable, share) * habits.requests
            found.append(max(SOONEST, _seconds(CATCH_OVERHEAD * log(plan.needed), carried)))
    return min(found)


def _seconds(needed: float, per_second: float) -> float:
    return needed / per_second if per_second > 0 else inf


def _within(share: float) -> float:
    return min(max(share, _LEAST), 1 - _LEAST)


def _kl(a: float, b: float) -> float:
    return a * log(a / b) + (1 - a) * log((1 - a) / (1 - b))
