"""The counters of one comparison in a row: which series they are is said once, by a layout, and then values suffice.

While a comparison has the same series its readings share one layout, and what happened between two of them is one
subtraction, of all comparisons together. Only where no value fell, and the series are the same: all else goes by the
rules of `counters`, which say the same of such rows, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import counters
from analysis.counters import ArmCounters, Counters
from analysis.samples import ArmReading, ArmTick, Count, Half, Latencies, PodReading, Reading, Tick

Outcome = tuple[str, str, str]
"""Response code, response flags and gRPC status."""
Numbers = NDArray[np.float64]
_INFINITY = float("inf")


class PodLayout(NamedTuple):
    """One orchestrator: the values of its codes come first, then those of its edges in rising order."""

    name: str
    codes: tuple[str, ...]
    edges: tuple[float, ...]


class ArmLayout(NamedTuple):
    """One arm: its pods in the order of their names, then what gateways count of it."""

    pods: tuple[PodLayout, ...]
    gateways: tuple[tuple[str, tuple[Outcome, ...]], ...]

    def reading(self, values: Sequence[float], start: int) -> ArmReading:
        """What the values from `start` on say, by name."""
        pods, gateways = {}, {}
        for name, codes, edges in self.pods:
            middle, end = start + len(codes), start + len(codes) + len(edges)
            counted = dict(zip(codes, values[start:middle], strict=True))
            pods[name] = PodReading(counted, dict(zip(edges, values[middle:end], strict=True)))
            start = end
        for name, outcomes in self.gateways:
            gateways[name] = dict(zip(outcomes, values[start : start + len(outcomes)], strict=True))
            start += len(outcomes)
        return ArmReading(pods, gateways)

    @property
    def width(self) -> int:
        """How many values it takes."""
        pods = sum([len(pod.codes) + len(pod.edges) for pod in self.pods])
        return pods + sum([len(outcomes) for _, outcomes in self.gateways])


class Layout(NamedTuple):
    """What the values of a row are: stable's, then the canary's."""

    stable: ArmLayout
    canary: ArmLayout


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


_ENDS = 3
"""Sums of how requests ended: answered, failed, and refused as the client's fault."""


def _ended(sums: Sequence[int], start: int) -> Count:
    answered, failed, refused = sums[start : start + _ENDS]
    return Count(answered + failed + refused, failed)


class _HalfSums(NamedTuple):
    """Where the sums of one half of an arm's pods stand: how requests ended, the timed ones, and those of each edge."""

    start: int
    edges: tuple[float, ...]

    def half(self, sums: Sequence[int]) -> Half:
        timed = self.start + _ENDS
        within = dict(zip(self.edges, sums[timed + 1 : timed + 1 + len(self.edges)], strict=True))
        return Half(_ended(sums, self.start), Latencies(sums[timed], within))


_EMPTY = Half()


class _ArmSums(NamedTuple):
    """The same of one arm; `gateway` is where those stand of how requests ended there."""

    present: bool
    halves: tuple[_HalfSums | None, _HalfSums | None]
    gateway: int | None

    def tick(self, sums: Sequence[int]) -> ArmTick:
        first, second = [_EMPTY if half is None else half.half(sums) for half in self.halves]
        gateway = None if self.gateway is None else _ended(sums, self.gateway)
        starts = [half.start for half in self.halves if half is not None]
        at_pods = sum([sums[start + _ENDS - 1] for start in starts])
        refused = at_pods, 0 if self.gateway is None else sums[self.gateway + _ENDS - 1]
        return counters.arm_tick(first, second, present=self.present, gateway=gateway, refused=refused)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """To which sum each increment of a row belongs, and what the sums are. The first one is of what does not count."""

    layout: Layout
    places: NDArray[np.intp]
    size: int
    stable: _ArmSums
    canary: _ArmSums


_NONE = Counters()
_NO_VALUES: Numbers = np.zeros(0)


class Counted(NamedTuple):
    """What was counted of a comparison: the counters by name, and the row that was added since by subtraction."""

    at: int | None = None
    base: Counters = _NONE
    sums: _Sums | None = None
    values: Numbers = _NO_VALUES

    @property
    def counters(self) -> Counters:
        """The last values, by name."""
        if self.sums is None or self.base.at == self.at:
            return self.base
        row, base = Row(self.at or 0, self.sums.layout, self.values), self.base
        return Counters(self.at, _newer(base.stable, row.stable), _newer(base.canary, row.canary))


def advance_all(told: Sequence[tuple[Counted, Reading | Row]]) -> list[tuple[Counted, Tick | None]]:
    """What happened to each of many comparisons since its last reading: `counters.advance`'s ticks, None for a first.

    Raises ValueError when a reading is not later than the last one.
    """
    rows = {at: (counted, row) for at, (counted, row) in enumerate(told) if isinstance(row, Row)}
    risen = _risen({at: (counted, row) for at, (counted, row) in rows.items() if _follows(counted, row)})
    return [risen.get(at) or _advance(counted, reading) for at, (counted, reading) in enumerate(told)]


def _follows(counted: Counted, row: Row) -> bool:
    """Whether a row may be held against the last one by subtraction."""
    known = counted.sums
    return known is not None and row.layout is known.layout and row.at > (counted.at or 0) and row.values.size > 0


def _risen(told: Mapping[int, tuple[Counted, Row]]) -> dict[int, tuple[Counted, Tick]]:
    """The ticks of those rows in which nothing fell. All numbers are whole, so that sums are exact in any order."""
    if not told:
        return {}
    each = list(told.items())
    known = [counted.sums for _, (counted, _) in each if counted.sums is not None]
    widths, sizes = [len(sums.places) for sums in known], [sums.size for sums in known]
    starts, bases = [0, *accumulate(widths)], [0, *accumulate(sizes)]
    risen = np.concatenate([row.values for _, (_, row) in each])
    risen -= np.concatenate([counted.values for _, (counted, _) in each])
    places = np.concatenate([sums.places for sums in known]) + np.repeat(bases[:-1], widths)
    added = np.bincount(places, weights=np.rint(risen), minlength=bases[-1]).astype(np.int64).tolist()
    found = {}
    for number, least in enumerate(np.minimum.reduceat(risen, starts[:-1]).tolist()):
        if least >= 0:
            (at, (counted, row)), sums = each[number], known[number]
            mine = added[bases[number] : bases[number + 1]]
            tick = Tick(row.at, row.at - (counted.at or 0), sums.stable.tick(mine), sums.canary.tick(mine))
            found[at] = Counted(row.at, counted.base, sums, row.values), tick
    return found


def _advance(counted: Counted, told: Reading | Row) -> tuple[Counted, Tick | None]:
    """By the rules, name by name."""
    reading = told.reading if isinstance(told, Row) else told
    base, tick = counters.advance(counted.counters, reading)
    if not isinstance(told, Row):
        return Counted(reading.at, base), tick
    layout = told.layout
    values = np.array([*_values(layout.stable, base.stable), *_values(layout.canary, base.canary)])
    return Counted(reading.at, base, _sums(layout, base), values), tick


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


class _Places:
    """Hands out sums, while a row is gone through."""

    def __init__(self) -> None:
        self.each: list[int] = []
        self.size = 1

    def take(self, count: int) -> int:
        start, self.size = self.size, self.size + count
        return start

    def end(self, start: int, *, bad: bool | None, refused: bool) -> None:
        """Have the next value counted as answered, failed or refused, or not at all."""
        self.each.append(0 if bad is None else start + (_ENDS - 1 if refused else bad))


def _sums(layout: Layout, last: Counters) -> _Sums:
    places = _Places()
    stable = _arm_sums(layout.stable, last.stable, places)
    canary = _arm_sums(layout.canary, last.canary, places)
    return _Sums(layout, np.array(places.each, dtype=np.intp), places.size, stable, canary)


def _arm_sums(layout: ArmLayout, last: ArmCounters, places: _Places) -> _ArmSums:
    halves = [_half_sums([pod for pod in layout.pods if last.pods[pod.name][1] == half], places) for half in (0, 1)]
    for name, codes, edges in layout.pods:
        half = halves[last.pods[name][1]]
        if half is None:
            raise AssertionError("each pod has its half")
        for code in codes:
            bad, refused = counters.orchestrator_outcome(code), counters.orchestrator_refusal(code)
            places.end(half.start, bad=bad, refused=refused)
        timed = half.start + _ENDS
        places.each += [timed if edge == _INFINITY else timed + 1 + half.edges.index(edge) for edge in edges]
    gateway = places.take(_ENDS) if layout.gateways else None
    for outcome in [each for _, outcomes in layout.gateways for each in outcomes]:
        bad, refused = counters.gateway_outcome(*outcome), counters.gateway_refusal(*outcome)
        places.end(gateway or 0, bad=bad, refused=refused)
    return _ArmSums(bool(layout.pods or layout.gateways), (halves[0], halves[1]), gateway)


def _half_sums(pods: Sequence[PodLayout], places: _Places) -> _HalfSums | None:
    if not pods:
        return None
    edges = tuple(dict.fromkeys([edge for pod in pods for edge in pod.edges if edge != _INFINITY]))
    return _HalfSums(places.take(_ENDS + 1 + len(edges)), edges)
