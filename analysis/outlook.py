"""What can be foretold of the typed checks: how soon each notices a change, and finds an equal canary good.

Seconds are what the strongest alternative of a check needs by itself (`analysis.information`), times what was measured
beside it: learning what is usual and how noisy it is, and the cap. They are medians, from when the weight is there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from analysis.checks import (
    Check,
    ClientErrorRate,
    OutlierRate,
    PredictionDrift,
    Reward,
    ShadowAgreement,
    TrafficSplit,
)
from analysis.information import Stake, Worse, better, counted_until, seconds
from analysis.judges import sentences
from analysis.signals import agreement, drift, reward, shares, split
from analysis.signals.agreement import Table
from analysis.spec import Plan
from analysis.usual import Habits


class Overhead(NamedTuple):
    """Our median time over that of the strongest alternative, where this is a minute or more.

    The largest that `python -m bench.forecast` measures, rounded up; 1 where nothing is waited for but samples.
    """

    catch: float
    good: float


OVERHEAD: Mapping[str, Overhead] = {
    ClientErrorRate().name: Overhead(1.3, 1.1),
    OutlierRate().name: Overhead(1.2, 2.4),
    Reward().name: Overhead(1.4, 1.4),
    ShadowAgreement().name: Overhead(2.5, 2.1),
    TrafficSplit().name: Overhead(1.9, 1.0),
    PredictionDrift().name: Overhead(2.7, 1.0),
}


SOONEST = 150.0
"""Seconds below which nothing is foretold of a check: it learns first how noisy what it counts is.

No median of `bench.forecast` is longer whose strongest alternative needs less than a minute.
"""


class Noticed(NamedTuple):
    """A change, in words, and the seconds until it is noticed; `inf` is never."""

    change: str
    after: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What to expect of one check at one weight."""

    metric: str
    good: float
    """Seconds until an equal canary is found good by it; `inf` is never."""
    noticed: tuple[Noticed, ...]


class Change(NamedTuple):
    """How a canary may be otherwise."""

    words: str
    canary: float | Mapping[str, float]
    """Its share of bad ones, 0..1; its odds of a request over the weight's; or its answers, shares by kind."""
    stakes: Sequence[Stake]
    """The check's bets, for each that is counted; none where the check lets such a change pass."""


class Told(NamedTuple):
    """What a check sees of a canary."""

    rate: float
    """What it counts a second, of both arms."""
    changes: Sequence[Change]
    equal: Sequence[Sequence[Stake]]
    """The bets that an equal canary is good enough, of each question that good needs."""
    least: float
    """Seconds that it takes at the least to be good: samples, and what has to settle."""
    settles: float = 0.0
    """Seconds after a change of the weight in which nothing is judged."""


def outlook(metric: Check, habits: Habits, plan: Plan, share: float, *, needed: float) -> Outlook | None:
    """What to expect where the canary gets `share` (0..1); None where nobody counts what the check looks at.

    `needed` is the promote evidence that good needs.
    """
    if unknown(metric, habits):
        return None
    seen, over = told(metric, habits, plan, share), OVERHEAD[metric.name]
    noticed = []
    for change in seen.changes:
        after = over.catch * seconds(counted_until(change.stakes, plan.needed_by(metric)), seen.rate)
        noticed.append(Noticed(change.words, seen.settles + max(SOONEST, after)))
    good = [max(SOONEST, over.good * seconds(counted_until(each, needed), seen.rate)) for each in seen.equal]
    return Outlook(metric.name, max([seen.least, *good]), tuple(noticed))


def told(metric: Check, habits: Habits, plan: Plan, share: float) -> Told:
    """What a check of which something is counted sees of a canary that gets `share` (0..1)."""
    return _TELLS[type(metric)](metric, habits, plan, share)


def unknown(metric: Check, habits: Habits) -> str:
    """Why nothing can be foretold of a check; nothing where something can."""
    if metric.name in habits.counted or isinstance(metric, TrafficSplit):
        return ""
    if isinstance(metric, PredictionDrift):
        return "" if habits.answers else "stable's orchestrators counted neither classes nor scores"
    return _UNCOUNTED[type(metric)]


_UNCOUNTED: Mapping[type, str] = {
    ShadowAgreement: "no copy was compared, which only a canary's orchestrators do while it gets copies",
    Reward: "nobody sent feedback on stable's answers",
    OutlierRate: "stable's orchestrators counted no rows",
    ClientErrorRate: "stable had no requests",
}


def _shares(metric: ClientErrorRate | OutlierRate, habits: Habits, plan: Plan, share: float) -> Told:
    rate, stable = habits.counted[metric.name]
    sides = [(side, side.statement.question) for side in shares.begin(metric).sides]
    what, changes = "outliers" if isinstance(metric, OutlierRate) else "refused", []
    for by, canary in (("x2", min(1.0, 2 * stable)), ("+5 points", min(1.0, stable + 0.05))):
        stakes = [
            stake
            for side, asked in sides
            if not side.swapped and canary > asked.lines.rollback.at(stable)
            for stake in Worse(asked, stable, share, weight=side.weight).of(canary)
        ]
        changes.append(Change(f"{what} {by} ({sentences.share(canary)})", canary, stakes))
    equal = [better(asked, stable, stable, 1 - share if side.swapped else share) for side, asked in sides]
    return Told(rate, changes, equal, seconds(plan.min_samples, share * rate))


def _reward(metric: Reward, habits: Habits, plan: Plan, share: float) -> Told:
    rate, stable = habits.counted[metric.name]
    asked, changes = reward.begin(metric, 0).statement.question, []
    for part in (2 * metric.tolerance, 5 * metric.tolerance):
        canary = min(1.0, stable + part)
        words = f"a mean reward lower by {part * (metric.high - metric.low):.3g}"
        stakes = Worse(asked, stable, share).of(canary) if canary > asked.lines.rollback.at(stable) else []
        changes.append(Change(words, canary, stakes))
    equal = [better(asked, stable, stable, share)]
    return Told(rate, changes, equal, seconds(plan.min_samples, share * rate))


def _agreement(metric: ShadowAgreement, habits: Habits, plan: Plan, share: float) -> Told:
    rate, floor = habits.counted[metric.name]
    begun, changes = agreement.begin(metric), []
    for more in (0.05, 0.15):
        canary = min(1.0, floor + more)
        line = begun.lines.rollback
        stakes = _copies(begun.worse.parts, agreement.gains(agreement.stakes(line), line, apart(canary, floor)))
        words = f"differing answers +{100 * more:g} points ({sentences.share(canary)})"
        changes.append(Change(words, canary, stakes))
    line = begun.lines.promote
    equal = _copies(begun.better.parts, agreement.gains(agreement.safe_stakes(line), line, apart(floor, floor)))
    return Told(rate, changes, [equal], seconds(plan.min_samples, rate))


_COPIES = 10**9


def apart(canary: float, stable: float) -> Table:
    """Copies whose two differences exclude each other as far as they can: with these shares no bet gains less."""
    both = max(0.0, canary + stable - 1)
    return Table(*[round(_COPIES * part) for part in (both, canary - both, stable - both, 1 - canary - stable + both)])


def _copies(weights: Iterable[float], gained: Iterable[float]) -> list[Stake]:
    return [Stake(weight, each / _COPIES) for weight, each in zip(weights, gained, strict=True)]


def _traffic(metric: TrafficSplit, habits: Habits, plan: Plan, share: float) -> Told:
    weights, bets = split.Split(metric).wealth.parts, split.bets(share, metric.tolerance)
    changes = []
    for factor in (1.5, 3.0):
        each = []
        for odds in (factor, 1 / factor):
            there = split.with_odds(share, odds)
            gained = [there * hit + (1 - there) * miss for hit, miss in bets]
            each.append((odds, [Stake(*one) for one in zip(weights, gained, strict=True)]))
        odds, stakes = max(each, key=lambda one: counted_until(one[1], plan.needed))
        changes.append(Change(f"odds of a request x{factor:g}, or 1/{factor:g}", odds, stakes))
    least = split.GRACE + seconds(plan.min_samples, habits.requests)
    return Told(habits.requests, changes, [], least, settles=split.GRACE)


def _drift(metric: PredictionDrift, habits: Habits, plan: Plan, share: float) -> Told:
    if habits.answers is None:
        raise ValueError("without answers nothing is told of them")
    rate, stable = habits.answers
    most = max(stable, key=lambda kind: (stable[kind], kind))
    changes = []
    for part in (0.2, 0.5):
        canary = moved(stable, most, part)
        matters = drift.index(canary, stable) >= metric.max
        words = f"{100 * part:g} % of the answers {most} become others"
        changes.append(Change(words, canary, _learnt(metric, canary, stable, share) if matters else []))
    chance = (len(stable) - 1) / ((1 - share) * metric.max)  # so many answers until chance alone shows less
    return Told(rate, changes, [], seconds(max(plan.min_samples, chance), share * rate))


def _learnt(
    metric: PredictionDrift, canary: Mapping[str, float], stable: Mapping[str, float], share: float
) -> list[Stake]:
    """The bets once both distributions are known; classes or scores alone are half of the evidence."""
    begun = drift.Drift(metric)
    family = begun.families[0]
    counts = [{kind: part * each for kind, each in arm.items()} for part, arm in ((share, canary), (1 - share, stable))]
    past = [{kind: _COPIES * each for kind, each in arm.items()} for arm in counts]
    known = replace(family, canary=past[0], stable=past[1])
    gained = [drift.gain(degree, known, *counts) for degree in drift.DEGREES]
    return [Stake(weight / len(begun.families), each) for weight, each in zip(family.wealth.parts, gained, strict=True)]


def moved(stable: Mapping[str, float], kind: str, part: float) -> dict[str, float]:
    """The distribution where a part (0..1) of one kind goes to the others as they are, or to a new one."""
    others = {each: share for each, share in stable.items() if each != kind and share > 0} or {"": 1.0}
    lost, left = part * stable[kind], sum(others.values())
    dealt = {each: stable.get(each, 0.0) + lost * share / left for each, share in others.items()}
    return {**stable, **dealt, kind: stable[kind] - lost}


_TELLS: Mapping[type, Callable[[Any, Habits, Plan, float], Told]] = {
    ClientErrorRate: _shares,
    OutlierRate: _shares,
    Reward: _reward,
    ShadowAgreement: _agreement,
    TrafficSplit: _traffic,
    PredictionDrift: _drift,
}
