"""Sightings: how requests are split, as the gateway counts them, between the judge's ticks.

While somebody waits to see a change of weights, the gateway's counters are read as they are, as often as asked. That is
no evidence: the judge reads at instants that can be read again. A window begins with a scrape that was made after the
change was known to be in effect, so that it holds no request from before.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from analysis import counters
from analysis.counters import Counters
from analysis.measure import Measurer
from analysis.providers.provider import ProviderError
from analysis.samples import ArmTick, Reading, Traffic
from analysis.spec import Comparison, Key


@dataclass(slots=True)
class _Sight:
    """What is known of one change of weights."""

    comparison: Comparison
    since: datetime
    """When it was known to be in effect."""
    base: Counters | None = None
    began: datetime | None = None
    window: Traffic | None = None

    def take(self, reading: Reading, scraped: datetime) -> bool:
        """Add what was counted by the time of a scrape; say whether that is anything new."""
        if scraped < self.since:
            return False
        if self.base is None or self.began is None:
            self.base, self.began = counters.advance(Counters(), replace(reading, at=0))[0], scraped
            return False
        if scraped <= (self.window.at if self.window is not None else self.began):
            return False
        _, tick = counters.advance(self.base, replace(reading, at=1))
        if tick is None:
            return False
        stable, canary = _requests(tick.stable), _requests(tick.canary)
        self.window = Traffic(stable_requests=stable, canary_requests=canary, since=self.began, at=scraped)
        return True


def _requests(arm: ArmTick) -> int:
    return arm.gateway.requests if arm.gateway is not None else 0


class Sightings:
    """Reads what the gateway counts of the changes that somebody waits to see."""

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer
        self._sights: dict[Key, _Sight] = {}
        self._waiting: set[Key] = set()
        self._wanted = asyncio.Event()

    def expect(self, comparison: Comparison, *, at: datetime) -> None:
        """Look at a change of weights from now on, which is known to be in effect `at` this instant.

        Copies are not counted at the gateway, so there is nothing to be seen of them.
        """
        if comparison.mirrored or not (comparison.stable.services and comparison.canary.services):
            return self.forget(comparison.key)
        known = self._sights.get(comparison.key)
        if known is None or known.comparison != comparison:
            self._sights[comparison.key] = _Sight(comparison, at)
        self._waiting.add(comparison.key)
        self._wanted.set()
        return None

    def enough(self, comparison: Comparison) -> None:
        """Look no more; what was seen is kept as long as the comparison and its weights are the same."""
        known = self._sights.get(comparison.key)
        if known is not None and known.comparison != comparison:
            del self._sights[comparison.key]
        self._stop(comparison.key)

    def forget(self, key: Key) -> None:
        """Drop what was seen; an unknown key is ignored."""
        self._sights.pop(key, None)
        self._stop(key)

    def _stop(self, key: Key) -> None:
        self._waiting.discard(key)
        if not self._waiting:
            self._wanted.clear()

    def traffic(self, key: Key) -> Traffic | None:
        """Requests of each arm since the last change of weights; None while there is nothing to tell."""
        known = self._sights.get(key)
        return known.window if known is not None else None

    @property
    def awaited(self) -> frozenset[Key]:
        """Whose changes are looked at."""
        return frozenset(self._waiting)

    async def wanted(self) -> None:
        """Wait until somebody waits."""
        await self._wanted.wait()

    async def look(self, at: datetime) -> frozenset[Key]:
        """Read what is counted; the keys of which something new is seen.

        Where Prometheus does not answer nothing is seen: the judge's tick tells of that.
        """
        sights = [self._sights[key] for key in sorted(self._waiting)]
        try:
            scraped, readings = await self._measurer.counted([one.comparison for one in sights], at)
        except ProviderError:
            return frozenset()
        if scraped is None:
            return frozenset()
        moment, seen = datetime.fromtimestamp(scraped, UTC), set()
        for one in sights:
            key = one.comparison.key
            if self._sights.get(key) is one and one.take(readings[key], moment):
                seen.add(key)
        return frozenset(seen)
