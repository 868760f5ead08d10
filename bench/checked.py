"""Seeded traffic that the typed checks look at: ticks of a stable and a canary, and when a check said what."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from analysis import session
from analysis.checks import Check, ClientErrorRate, OutlierRate, PredictionDrift, Reward, ShadowAgreement, TrafficSplit
from analysis.samples import ArmTick, Count, Tick
from analysis.signals.split import with_odds
from analysis.spec import Arm, Comparison, Plan, Shift
from analysis.usual import Habits
from analysis.verdict import Verdict
from bench.agreement import joint
from bench.traces import START, TICK

LONGEST = 7200
"""Seconds after which a run is given up."""
_LEARNT = 60
"""Ticks of stable alone before the canary."""
Canary = float | Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """A check, what is usual, and the canary's share of what it counts."""

    name: str
    metric: Check
    habits: Habits
    weight: float
    spread: float = 1.0
    """How far rewards lie apart: 1 where each is the least or the greatest, near 0 where all are the mean."""


def plan(case: Case) -> Plan:
    """The check alone, which has to be good."""
    return Plan(warmup=timedelta(0), metrics=(replace(case.metric, required=True),))


def said_after(case: Case, canary: Canary, wanted: Verdict, seed: int) -> int:
    """Seconds until the check said so; LONGEST where it did not."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name}/{canary}".encode()), seed])
    arm, at = Arm("bench", "bench"), datetime.fromtimestamp(START, UTC)
    shifts = (Shift(at=at - timedelta(hours=1), share=case.weight),)
    watched = Comparison(key=("a", "b"), stable=arm, canary=arm, plan=plan(case), started_at=at, shifts=shifts)
    state = session.begin(watched)
    for now in range((1 - _LEARNT) * TICK, LONGEST + 1, TICK):
        weight = case.weight if now > 0 else 0.0
        state = session.step(state, _tick(case, canary, weight, now, rng))
        if session.standing(state).metrics[0] is wanted:
            return now
    return LONGEST


def _tick(case: Case, canary: Canary, weight: float, now: int, rng: np.random.Generator) -> Tick:
    odds = canary if isinstance(case.metric, TrafficSplit) and isinstance(canary, float) else 1.0
    rate = case.habits.counted[case.metric.name].rate if case.metric.name in case.habits.counted else _rate(case)
    total = int(rng.poisson(rate * TICK))
    mine = int(rng.binomial(total, with_odds(weight, odds))) if weight else 0
    if isinstance(case.metric, ShadowAgreement):
        mine = total if weight else 0
    return Tick(START + now, TICK, _arm(case, None, total - mine, rng), _arm(case, canary, mine, rng))


def _rate(case: Case) -> float:
    return case.habits.answers.rate if case.habits.answers else case.habits.requests


def _arm(case: Case, canary: Canary | None, number: int, rng: np.random.Generator) -> ArmTick:
    """What one arm counts of so many: stable's where no canary is given."""
    match case.metric:
        case TrafficSplit():
            return ArmTick(served=Count(number))
        case PredictionDrift():
            answers = case.habits.answers
            shares = canary if isinstance(canary, Mapping) else answers.shares if answers else {}
            drawn = rng.multinomial(number, list(shares.values()))
            return ArmTick(signals={("class", kind): float(count) for kind, count in zip(shares, drawn, strict=True)})
        case ShadowAgreement():
            return _copies(case, canary, number, rng)
    share = canary if isinstance(canary, float) else case.habits.counted[case.metric.name].share
    bad = int(rng.binomial(number, share))
    match case.metric:
        case ClientErrorRate():
            return ArmTick(served=Count(number), refused=bad)
        case OutlierRate():
            return ArmTick(signals={("row", ""): float(number), ("outlier", ""): float(bad)})
        case Reward() as metric:
            lost = case.spread * bad + (1 - case.spread) * number * share
            rewards = number * metric.high - lost * (metric.high - metric.low)
            return ArmTick(served=Count(number), signals={("feedback", ""): float(number), ("reward", ""): rewards})
    raise AssertionError(case.metric)


def _copies(case: Case, canary: Canary | None, number: int, rng: np.random.Generator) -> ArmTick:
    """Two classes, as in `bench.agreement`: the canary answers some more requests the other way round."""
    if canary is None or not number:
        return ArmTick()
    floor = case.habits.counted[case.metric.name].share
    extra = float(canary) - floor if isinstance(canary, float) else 0.0
    drawn = rng.multinomial(number, joint(floor, extra))
    both, alone, theirs, none = map(float, drawn)
    counted = {"both/disagree": both, "both/canary": alone, "both/stable": theirs, "both/agree": none}
    counted |= {"canary/disagree": both + alone, "canary/agree": theirs + none}
    return ArmTick(signals={("compare", pair): count for pair, count in counted.items()})
