"""The counters of one comparison in a row: which series they are is said once, by a layout, and then values suffice.

While a comparison has the same series its readings share one layout, and what happened between two of them is one
subtraction, of all comparisons together. Only where no value fell, and the series are the same: all else goes by the
rules of `counters`, which say the same of such rows, too.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from analysis import counters, layout, tally
from analysis.counters import ArmCounters, Counters
from analysis.layout import ArmLayout, Layout, PodLayout, Spread
from analysis.samples import ArmReading, Half, Reading
from analysis.tables import Numbers
from analysis.tally import Tally


class Row(NamedTuple):
    """A reading that stays as it came; what it says by name is told to who asks."""

    at: int
    layout: Layout
    values: Numbers

    @property
    def stable(self) -> ArmReading:
        """Raw counters of stable."""
        return self.layout.stable.reading(self.values.tolist(), 0)

    @property
    def canary(self) -> ArmReading:
        """Raw counters of the canary."""
        return self.layout.canary.reading(self.values.tolist(), self.layout.stable.width)

    @property
    def reading(self) -> Reading:
        """All of it by name."""
        return Reading(self.at, self.stable, self.canary)


def laid_out(reading: Reading) -> Row | None:
    """The row of a reading; None where it has signals, which no row holds."""
    if reading.stable.signals or reading.canary.signals:
        return None
    (stable, values), (canary, more) = _laid_out(reading.stable), _laid_out(reading.canary)
    return Row(reading.at, Layout(stable, canary), np.array([*values, *more]))


def _laid_out(arm: ArmReading) -> tuple[ArmLayout, list[float]]:
    pods, values = [], []
    for name in sorted(arm.pods):
        codes, edges = arm.pods[name].codes, sorted(arm.pods[name].buckets.items())
        pods.append(PodLayout(name, tuple(codes), tuple([edge for edge, _ in edges])))
        values += [*codes.values(), *[value for _, value in edges]]
    for outcomes in arm.gateways.values():
        values += outcomes.values()
    return ArmLayout(tuple(pods), tuple([(name, tuple(each)) for name, each in arm.gateways.items()])), values


_NONE = Counters()
_NO_VALUES: Numbers = np.zeros(0)


class Counted(NamedTuple):
    """What was counted of a comparison: the counters by name, and the row that was added since by subtraction."""

    at: int | None = None
    base: Counters = _NONE
    spread: Spread | None = None
    values: Numbers = _NO_VALUES

    @property
    def counters(self) -> Counters:
        """The last values, by name."""
        if self.spread is None or self.base.at == self.at:
            return self.base
        row, base = Row(self.at or 0, self.spread.layout, self.values), self.base
        return Counters(self.at, _newer(base.stable, row.stable), _newer(base.canary, row.canary))


def advance_all(told: Sequence[tuple[Counted, Reading | Row]]) -> list[tuple[Counted, Tally | None]]:
    """What happened to each of many comparisons since its last reading: `counters.advance`'s tick, None for a first.

    Raises ValueError when a reading is not later than the last one.
    """
    rows = {at: (counted, row) for at, (counted, row) in enumerate(told) if isinstance(row, Row)}
    risen = _risen({at: (counted, row) for at, (counted, row) in rows.items() if _follows(counted, row)})
    return [risen.get(at) or _advance(counted, reading) for at, (counted, reading) in enumerate(told)]


def _follows(counted: Counted, row: Row) -> bool:
    """Whether a row may be held against the last one by subtraction."""
    known = counted.spread
    return known is not None and row.layout is known.layout and row.at > (counted.at or 0) and row.values.size > 0


def _risen(told: Mapping[int, tuple[Counted, Row]]) -> dict[int, tuple[Counted, Tally]]:
    """The ticks of those rows in which nothing fell. All numbers are whole, so that sums are exact in any order."""
    if not told:
        return {}
    each = [(at, counted, row, counted.spread) for at, (counted, row) in told.items() if counted.spread is not None]
    widths = [len(row.values) for _, _, row, _ in each]
    risen = np.concatenate([row.values for _, _, row, _ in each])
    risen -= np.concatenate([counted.values for _, counted, _, _ in each])
    starts = [*accumulate([spread.shape.width for *_, spread in each], initial=0)]
    places = np.concatenate([spread.places for *_, spread in each]) + np.repeat(starts[:-1], widths)
    rows = np.bincount(places, weights=np.rint(risen), minlength=starts[-1]).astype(np.float64, copy=False)
    rows[starts[:-1]] = 0  # where it went that does not count
    least = np.minimum.reduceat(risen, [*accumulate(widths, initial=0)][:-1]).tolist()
    found = {}
    for (at, counted, row, spread), (start, stop), fell in zip(each, pairwise(starts), least, strict=True):
        if fell >= 0:
            said = Tally(
                row.at, row.at - (counted.at or 0), spread.shape, rows[start:stop], partial(_halves, counted, row)
            )
            found[at] = Counted(row.at, counted.base, spread, row.values), said
    return found


def _halves(counted: Counted, row: Row) -> tuple[Half, Half]:
    """What two halves of stable's pods did, by the rules."""
    _, tick = counters.advance(counted.counters, row.reading)
    if tick is None:
        raise AssertionError("a row that follows another is a tick")
    return tick.stable.halves


def _advance(counted: Counted, told: Reading | Row) -> tuple[Counted, Tally | None]:
    """By the rules, name by name."""
    reading = told.reading if isinstance(told, Row) else told
    base, tick = counters.advance(counted.counters, reading)
    said = None if tick is None else tally.of(tick)
    if not isinstance(told, Row):
        return Counted(reading.at, base), said
    values = np.array([*_values(told.layout.stable, base.stable), *_values(told.layout.canary, base.canary)])
    return Counted(reading.at, base, layout.spread(told.layout, base), values), said


def _values(layout: ArmLayout, last: ArmCounters) -> list[float]:
    """What is remembered of the series of a layout, in its order."""
    found: list[float] = []
    for name, codes, edges in layout.pods:
        pod, _ = last.pods[name]
        found += [*[pod.codes[code] for code in codes], *[pod.buckets[edge] for edge in edges]]
    for name, outcomes in layout.gateways:
        found += [last.gateways[name][outcome] for outcome in outcomes]
    return found


def _newer(last: ArmCounters, now: ArmReading) -> ArmCounters:
    pods, gateways = dict(last.pods), dict(last.gateways)
    for name, pod in now.pods.items():
        before, half = pods[name]
        pods[name] = counters.merged(before, pod), half
    for name, outcomes in now.gateways.items():
        gateways[name] = {**gateways[name], **outcomes}
    return ArmCounters(pods, gateways, last.signals)
