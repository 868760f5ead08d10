"""What the requests of a deployment were like, from the counters that Prometheus kept."""

from collections.abc import Iterable
from datetime import datetime

from analysis import counters
from analysis.counters import Counters
from analysis.forecast import Habits
from analysis.measure import Measurer
from analysis.samples import Count, Latencies, Reading, Tick
from analysis.spec import Arm, Comparison, Plan

STEP = 60
"""Seconds between two readings."""


async def habits(
    measurer: Measurer, stable: Arm, start: datetime, end: datetime, *, canary: Arm | None = None
) -> Habits | None:
    """What orchestrators counted between two instants; None when they counted no request of stable.

    Shares are stable's; a canary that serves beside it adds its requests to those per second. Raises ProviderError.
    """
    key = (stable.namespace, stable.deployment)
    comparison = Comparison(key=key, stable=stable, canary=canary or stable, plan=Plan(), started_at=start)
    found = await measurer.replay([comparison], start, end, STEP)
    return summed(ticks(found[key]), beside=canary is not None)


def ticks(readings: Iterable[Reading]) -> list[Tick]:
    """What happened between the readings, as the judge counts it."""
    last, found = Counters(), []
    for reading in readings:
        last, tick = counters.advance(last, reading)
        if tick is not None:
            found.append(tick)
    return found


def summed(found: Iterable[Tick], *, beside: bool) -> Habits | None:
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
    shares = {edge: count.share for edge, count in slow.items()}
    return Habits(both / seconds, served.share, {edge: share for edge, share in shares.items() if share is not None})


def _add(slow: dict[float, Count], latencies: Latencies) -> None:
    for edge in latencies.within:
        slow[edge] = slow.get(edge, Count()).plus(latencies.slower(edge))
