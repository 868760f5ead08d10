"""All running comparisons, one tick for all of them.

The judgement of a comparison is a function of the comparison and of what Prometheus holds: each session is fed at
instants that are multiples of `step`, from half an hour before its start. Whatever lies behind (a comparison that is
tracked again after a restart of the program, ticks that Prometheus could not answer) is read with range queries at
the same instants.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import nsmallest

from analysis import columns, preflight, session
from analysis.columns import Counted, Row
from analysis.counters import Counters
from analysis.measure import Measurer
from analysis.preflight import Found
from analysis.providers.provider import ProviderError
from analysis.samples import Reading, Traffic
from analysis.session import Session, Standing
from analysis.spec import Arm, Comparison, Key
from analysis.verdict import Judgement, Verdict

_GROUP = 20
"""Comparisons that are replayed together."""
_TOGETHER = 100
"""Comparisons that are judged in one go, between which others get the loop."""
_WINDOW = 300
"""Instants that one range query reads."""
_LOOK_AGAIN = 300
"""Seconds after which missing series are looked for again under other labels; for others they are at once."""


@dataclass(slots=True)
class _Tracked:
    """A comparison, how far it has been read, what that says, and why the last reading failed if it did."""

    comparison: Comparison
    session: Session
    counted: Counted = field(default_factory=Counted)
    failure: str = ""
    judgement: Judgement | None = None
    """What is known, once somebody asked since the last reading."""
    verdicts: Standing | None = None
    shown: Judgement | None = None
    """What was known when its figures were looked at last."""
    looked_at: int = 0

    @property
    def counters(self) -> Counters:
        """The last values of its counters."""
        return self.counted.counters

    @property
    def series(self) -> Counters:
        """Counters that tell which series there are, and what signals say: of other values they may be older ones."""
        base = self.counted.base
        return self.counters if base.stable.signals or base.canary.signals else base

    @property
    def standing(self) -> tuple[object, ...]:
        """What nobody may miss when it changes: the verdicts, and that reading fails."""
        return self.failure, self.verdicts


class Monitor:
    """Holds a session for each tracked comparison and feeds it at instants that are multiples of `step`.

    `step` is a whole number of seconds, at least the scrape interval. An instant is read once it is `settle` old:
    until then a scrape that began before it may not have been stored. `lag` tells how far the clock of Prometheus is
    behind the one that `tick` is called by: so much longer an instant is waited for.
    """

    def __init__(
        self,
        measurer: Measurer,
        *,
        step: timedelta = timedelta(seconds=10),
        settle: timedelta = timedelta(seconds=2),
        figures: int = 50,
        lag: Callable[[], timedelta] = timedelta,
    ) -> None:
        self._step = int(step.total_seconds())
        if self._step < 1 or timedelta(seconds=self._step) != step:
            raise ValueError(f"step must be a whole number of seconds, got {step}")
        self._settle, self._lag = settle, lag
        self._figures = figures
        self._measurer = measurer
        self._tracked: dict[Key, _Tracked] = {}
        self._missed: frozenset[Arm] = frozenset()
        self._found, self._looked_at = Found(), 0
        self._lock = asyncio.Lock()

    def track(self, comparison: Comparison) -> None:
        """Judge this comparison from now on.

        Tracking it again with a new step change keeps its evidence; with anything else changed, it is replayed.
        """
        known = self._tracked.get(comparison.key)
        if known is not None:
            same = replace(comparison, restarts=(), shifts=(), mirrored=False)
            kept = session.with_restarts(known.session, comparison)
            if same == replace(known.comparison, restarts=(), shifts=(), mirrored=False) and kept is not None:
                known.comparison, known.session, known.judgement = comparison, kept, None
                known.verdicts = session.standing(kept)
                return
        begun = session.begin(comparison)
        self._tracked[comparison.key] = _Tracked(comparison, begun, verdicts=session.standing(begun))

    def untrack(self, key: Key) -> None:
        """Forget a comparison; an unknown key is ignored."""
        self._tracked.pop(key, None)

    def judgement(self, key: Key) -> Judgement | None:
        """What is known of a comparison; None when it is not tracked."""
        tracked = self._tracked.get(key)
        return None if tracked is None else self._judgement(tracked)

    def traffic(self, key: Key) -> Traffic | None:
        """Requests by arm in the last window; None before the first reading."""
        tracked = self._tracked.get(key)
        return None if tracked is None else session.traffic(tracked.session, mirrored=tracked.comparison.mirrored)

    async def tick(self, at: datetime) -> frozenset[Key]:
        """Read and judge everything up to `at`; the keys whose verdict changed, or a figure since it was looked at.

        Of those where only figures move at most `figures` are looked at in a tick, the longest forgotten ones first.
        """
        async with self._lock:
            end = int((at - self._settle - self._lag()).timestamp()) // self._step * self._step
            before = {key: tracked.standing for key, tracked in self._tracked.items()}
            due = [tracked for tracked in self._tracked.values() if self._next(tracked) <= end]
            live = [tracked for tracked in due if self._next(tracked) == end]
            behind = sorted((tracked for tracked in due if self._next(tracked) < end), key=self._next)
            try:
                await self._read(live, end)
                for first in range(0, len(behind), _GROUP):
                    await self._catch_up(behind[first : first + _GROUP], end)
            except ProviderError as error:
                for tracked in due:
                    if self._next(tracked) <= end:
                        tracked.failure, tracked.judgement = str(error), None
            else:
                await self._look_around(end)
            held = {key: tracked for key, tracked in self._tracked.items() if key in before}
            changed = {key for key, tracked in held.items() if tracked.standing != before[key]}
            return frozenset(changed | self._moved([one for key, one in held.items() if key not in changed], end))

    def _moved(self, tracked: Sequence[_Tracked], end: int) -> set[Key]:
        """Of some comparisons, those that are looked at now and whose figures are others than the last time."""
        found = set()
        for one in nsmallest(self._figures, tracked, key=lambda one: one.looked_at):
            judgement, one.looked_at = self._judgement(one), end
            if one.shown is None or replace(one.shown, updated_at=None) != replace(judgement, updated_at=None):
                one.shown = judgement
                found.add(one.comparison.key)
        return found

    async def _look_around(self, end: int) -> None:
        """Ask once for all comparisons of which series are missing whether those are there under other labels."""
        late = [
            one for one in self._tracked.values() if one.comparison.started_at.timestamp() + preflight.PATIENCE <= end
        ]
        missed = frozenset([arm for one in late for arm in preflight.missed(one.comparison, one.counted.base)])
        if missed <= self._missed and (not missed or end < self._looked_at + _LOOK_AGAIN):
            return
        try:
            found = await self._measurer.whereabouts(missed, _moment(end))
        except ProviderError:
            return  # it only tells more of what is missing; the next tick asks again
        self._missed, self._found, self._looked_at = missed, found, end
        for one in late:
            one.judgement = None

    def _judgement(self, tracked: _Tracked) -> Judgement:
        if tracked.judgement is None:
            judgement = session.judge(tracked.session)
            if tracked.failure and judgement.verdict is not Verdict.BAD:
                message = f"metrics could not be read: {tracked.failure}"
                judgement = replace(judgement, verdict=Verdict.ERROR, message=message)
            seen = tracked.series
            looked = preflight.look(tracked.comparison, tracked.session, seen, self._found, failure=tracked.failure)
            tracked.judgement = replace(judgement, preflight=looked)
        return tracked.judgement

    def _next(self, tracked: _Tracked) -> int:
        """The next instant that a comparison is to be read at."""
        if tracked.counted.at is not None:
            return tracked.counted.at + self._step
        started = int(tracked.comparison.started_at.timestamp())
        return (started - session.HISTORY) // self._step * self._step

    async def _read(self, live: Sequence[_Tracked], end: int) -> None:
        if live:
            readings = await self._measurer.read([tracked.comparison for tracked in live], _moment(end))
            await self._feed(live, {key: (reading,) for key, reading in readings.items()})

    async def _catch_up(self, group: Sequence[_Tracked], end: int) -> None:
        start = min(self._next(tracked) for tracked in group)
        while start <= end:
            last = min(end, start + (_WINDOW - 1) * self._step)
            comparisons = [tracked.comparison for tracked in group]
            await self._feed(group, await self._measurer.replay(comparisons, _moment(start), _moment(last), self._step))
            start = last + self._step

    async def _feed(self, group: Sequence[_Tracked], readings: Mapping[Key, Sequence[Reading | Row]]) -> None:
        for first in range(0, len(group), _TOGETHER):
            part = group[first : first + _TOGETHER]
            for at in zip(*[readings[tracked.comparison.key] for tracked in part], strict=True):
                _advance(
                    [(one, reading) for one, reading in zip(part, at, strict=True) if reading.at >= self._next(one)]
                )
            for tracked in part:
                tracked.failure, tracked.judgement, tracked.verdicts = "", None, session.standing(tracked.session)
            await asyncio.sleep(0)  # others want the loop, too


def _advance(readings: Sequence[tuple[_Tracked, Reading | Row]]) -> None:
    due = []
    advanced = columns.advance_all([(tracked.counted, reading) for tracked, reading in readings])
    for (tracked, _), (counted, tick) in zip(readings, advanced, strict=True):
        tracked.counted = counted
        if tick is not None:
            due.append((tracked, tick))
    stepped = session.step_all([(tracked.session, tick) for tracked, tick in due])
    for (tracked, _), after in zip(due, stepped, strict=True):
        tracked.session = after


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
