"""What the requests of a deployment were like, from the counters that Prometheus kept."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import dropwhile

from analysis import counters
from analysis.checks import Check, ClientErrorRate, OutlierRate, Reward, ShadowAgreement
from analysis.counters import Counters
from analysis.measure import Measurer
from analysis.samples import ArmTick, Count, Latencies, Reading, Tick
from analysis.signals import agreement, drift, reward, shares
from analysis.spec import Arm, Comparison, ErrorRate, Plan
from analysis.usual import Answers, Counted, Habits

STEP = 60
"""Seconds between two readings."""


async def habits(
    measurer: Measurer,
    stable: Arm,
    start: datetime,
    end: datetime,
    *,
    canary: Arm | None = None,
    beside: bool = True,
    checks: Sequence[Check] = (),
) -> Habits | None:
    """What orchestrators counted between two instants; None when they counted no request of stable.

    Shares are stable's; a canary that serves `beside` it adds its requests to those per second, and one that gets
    copies does not. `checks` are what is looked for beside requests. Raises ProviderError.
    """
    key, plan = (stable.namespace, stable.deployment), Plan(metrics=(ErrorRate(), *checks))
    comparison = Comparison(key=key, stable=stable, canary=canary or stable, plan=plan, started_at=start)
    found = await measurer.replay([comparison], start, end, STEP)
    counted = ticks(found[key])
    if canary is None:
        counted = [tick._replace(canary=ArmTick()) for tick in counted]
    return summed(counted, beside=canary is not None and beside, checks=checks)


def ticks(readings: Iterable[Reading]) -> list[Tick]:
    """What happened between the readings, as the judge counts it, since stable is there.

    A revision that became stable ten minutes ago had no requests before: spread over an hour they would be a sixth.
    """
    last, found = Counters(), []
    for reading in dropwhile(lambda each: not each.stable.pods, readings):
        last, tick = counters.advance(last, reading)
        if tick is not None:
            found.append(tick)
    return found


def summed(found: Sequence[Tick], *, beside: bool, checks: Iterable[Check] = ()) -> Habits | None:
    """Habits over some ticks; `beside` says whether the canary's requests are others than stable's."""
    served, both, seconds = Count(), 0, 0
    slow: dict[float, Count] = {}
    for tick in found:
        served = served.plus(tick.stable.served)
        both += tick.stable.served.requests + (tick.canary.served.requests if beside else 0)
        seconds += tick.seconds
        _add(slow, tick.stable.latencies)
    if not seconds or served.share is None:
        return None
    slower = {edge: count.share for edge, count in slow.items() if count.share is not None}
    return Habits(
        both / seconds, served.share, slower, _counted(found, checks, beside=beside), _answers(found, beside=beside)
    )


def _counted(found: Sequence[Tick], checks: Iterable[Check], *, beside: bool) -> dict[str, Counted]:
    """What each check counts; nothing of one that counts nothing of stable."""
    seconds, counted = sum([tick.seconds for tick in found]), {}
    for check in checks:
        stable, canary = Count(), Count()
        for tick in found:
            mine, theirs = _bad(check, tick)
            stable, canary = stable.plus(theirs), canary.plus(mine)
        if stable.share is not None:
            both = stable.requests + (canary.requests if beside else 0)
            counted[check.name] = Counted(both / seconds, min(1.0, max(0.0, stable.share)))
    return counted


def _bad(check: Check, tick: Tick) -> tuple[Count, Count]:
    """Of canary and stable, what a check counts in a tick, and what of it is bad."""
    canary, stable = tick.canary, tick.stable
    match check:
        case ClientErrorRate():
            return Count(canary.served.requests, canary.refused), Count(stable.served.requests, stable.refused)
        case OutlierRate():
            return shares.rows(canary), shares.rows(stable)
        case Reward():
            return reward.losses(check, canary), reward.losses(check, stable)
        case ShadowAgreement():  # the canary's orchestrators count how often stable differs from itself
            pair = agreement.counted(ShadowAgreement(), canary).pair
            return Count(), Count(pair.stable_requests, pair.stable_bad)
        case _:
            return Count(), Count()


def _answers(found: Sequence[Tick], *, beside: bool) -> Answers | None:
    """Stable's answers by class, or by bin of the score where nobody counts classes."""
    for what in ("class", "score"):
        kinds: dict[str, float] = {}
        others = 0.0
        for tick in found:
            for kind, count in drift.counts_of(what, tick.stable, tick.stable)[0].items():
                kinds[kind] = kinds.get(kind, 0.0) + count
            others += sum(drift.counts_of(what, tick.canary, tick.canary)[0].values())
        if total := sum(kinds.values()):
            rate = (total + (others if beside else 0)) / sum([tick.seconds for tick in found])
            return Answers(rate, {kind: count / total for kind, count in sorted(kinds.items())})
    return None


def _add(slow: dict[float, Count], latencies: Latencies) -> None:
    for edge in latencies.within:
        slow[edge] = slow.get(edge, Count()).plus(latencies.slower(edge))
