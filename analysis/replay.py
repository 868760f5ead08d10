"""A past window of any two deployments, judged by the judge: what it would have said, and when.

The monitor is fed the instants of the window one after the other, from what range queries bring; it alone judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from analysis.columns import Row
from analysis.measure import Labels, Measurer
from analysis.monitor import Monitor
from analysis.providers.provider import Provider
from analysis.samples import ArmReading, Reading
from analysis.spec import Comparison, Key
from analysis.verdict import Judgement, Verdict

_AHEAD = 300
"""Instants that are read at once."""


class ReplayError(Exception):
    """A window cannot be judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the judge said at each instant of a window; it ends where the canary is found bad."""

    judgements: tuple[Judgement, ...]

    @property
    def last(self) -> Judgement:
        """What was said in the end."""
        return self.judgements[-1]

    def first(self, verdict: Verdict) -> datetime | None:
        """When a verdict was given first; None when it never was."""
        return next((one.updated_at for one in self.judgements if one.verdict is verdict), None)

    def thinned(self, rows: int) -> tuple[Judgement, ...]:
        """At most about `rows` judgements, evenly in time, and those where the verdict changed; always the last."""
        every = max(1, -(-len(self.judgements) // max(1, rows)))
        before: Verdict | None = None
        kept = []
        for number, one in enumerate(self.judgements):
            if number % every == 0 or one is self.last or one.verdict is not before:
                kept.append(one)
            before = one.verdict
        return tuple(kept)


async def replay(
    provider: Provider, comparison: Comparison, until: datetime, *, step: timedelta, labels: Labels | None = None
) -> Window:
    """Judge a comparison from its start until `until`, as a live judge would have that looks every `step`.

    Where stable and canary are the same deployment, the two halves of its pods are compared.

    Raises:
        ReplayError: a step's worth of time does not lie between start and end, metrics could not be read, or a
            deployment that is to be halved has fewer than two pods.
        ValueError: `step` is no whole number of seconds.
    """
    halved = comparison.stable == comparison.canary
    if halved:  # only orchestrators tell which pod served: at the gateway both halves are one
        arm = replace(comparison.stable, services=())
        comparison = replace(comparison, stable=arm, canary=arm)
    measurer = _Recorded(provider, until, int(step.total_seconds()), labels, halved=halved)
    monitor = Monitor(measurer, step=step, settle=timedelta(0))
    monitor.track(comparison)
    said: list[Judgement] = []
    for at in _instants(comparison.started_at, until, int(step.total_seconds())):
        await monitor.tick(at)
        judgement = monitor.judgement(comparison.key)
        if judgement is None or judgement.verdict is Verdict.ERROR:
            raise ReplayError(judgement.message if judgement else "the comparison is not tracked")
        said.append(judgement)
        if judgement.verdict is Verdict.BAD:
            break
    if not said:
        raise ReplayError(f"there is no instant to look at between start and end: they must lie {step} apart at least")
    if halved and 0 < measurer.pods < 2:
        raise ReplayError(f"{comparison.stable.deployment} has one pod in this time: halves need two at least")
    return Window(tuple(said))


def _instants(start: datetime, until: datetime, step: int) -> list[datetime]:
    first = -(-int(start.timestamp()) // step) * step
    return [datetime.fromtimestamp(at, UTC) for at in range(first, int(until.timestamp()) + 1, step)]


class _Recorded(Measurer):
    """Answers instant by instant from windows that it reads ahead; halves a deployment's pods if asked to."""

    def __init__(self, provider: Provider, until: datetime, step: int, labels: Labels | None, *, halved: bool) -> None:
        super().__init__(provider, labels=labels)
        self._until, self._step = until, step
        self._ahead: dict[int, dict[Key, Reading | Row]] = {}
        self._sides: dict[str, int] | None = {} if halved else None

    @property
    def pods(self) -> int:
        """How many pods were seen of a deployment that is halved."""
        return len(self._sides or {})

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading | Row]:
        """The raw counters at one instant."""
        moment = int(at.timestamp())
        if moment not in self._ahead:
            last = min(self._until, at + timedelta(seconds=(_AHEAD - 1) * self._step))
            found = await self.replay(comparisons, at, last, self._step)
            self._ahead = {}
            for key, readings in found.items():
                for reading in readings:
                    self._ahead.setdefault(reading.at, {})[key] = reading
        return self._ahead[moment]

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        """The raw counters at start, start + step, ..., end."""
        found = await super().replay(comparisons, start, end, step)
        if self._sides is None:
            return found
        return {key: self._split(readings) for key, readings in found.items()}

    def _split(self, readings: Sequence[Reading]) -> tuple[Reading, ...]:
        """Every other pod of those that are read at once, in the order of their names, plays the canary."""
        sides = self._sides if self._sides is not None else {}
        for pod in sorted({pod for reading in readings for pod in reading.stable.pods}):
            sides.setdefault(pod, len(sides) % 2)
        return tuple([_halved(reading, sides) for reading in readings])


def _halved(reading: Reading, sides: Mapping[str, int]) -> Reading:
    halves = [
        ArmReading({pod: found for pod, found in reading.stable.pods.items() if sides[pod] == side}) for side in (0, 1)
    ]
    return Reading(reading.at, *halves)
