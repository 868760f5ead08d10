"""The counters of one comparison in a row: which series they are is said once, by a layout, and then values suffice.

While a comparison has the same series its readings share one layout, and what happened between two of them is one
subtraction. Only where no value fell, and the series are the same: all else goes by the rules of `counters`, which
say the same of such rows, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import sub
from typing import NamedTuple

from analysis import counters
from analysis.counters import ArmCounters, Counters
from analysis.samples import ArmReading, ArmTick, Count, Half, Latencies, PodReading, Reading, Tick

Outcome = tuple[str, str, str]
"""Response code, response flags and gRPC status."""
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


class Row(Reading):
    """A reading that stays as it came; what it says by name is told to who asks."""

    __slots__ = ("layout", "values")
    layout: Layout
    values: tuple[float, ...]

    def __init__(self, at: int, layout: Layout, values: tuple[float, ...]) -> None:
        object.__setattr__(self, "at", at)
        object.__setattr__(self, "layout", layout)
        object.__setattr__(self, "values", values)

    @property
    def stable(self) -> ArmReading:
        """Raw counters of stable."""
        return self.layout.stable.reading(self.values, 0)

    @property
    def canary(self) -> ArmReading:
        """Raw counters of the canary."""
        return self.layout.canary.reading(self.values, self.layout.stable.width)


def laid_out(reading: Reading) -> Row | None:
    """The row of a reading; None where it has signals, which no row holds."""
    if reading.stable.signals or reading.canary.signals:
        return None
    (stable, values), (canary, more) = _laid_out(reading.stable), _laid_out(reading.canary)
    return Row(reading.at, Layout(stable, canary), (*values, *more))


def _laid_out(arm: ArmReading) -> tuple[ArmLayout, list[float]]:
    pods, values = [], []
    for name in sorted(arm.pods):
        codes, edges = arm.pods[name].codes, sorted(arm.pods[name].buckets.items())
        pods.append(PodLayout(name, tuple(codes), tuple([edge for edge, _ in edges])))
        values += [*codes.values(), *[value for _, value in edges]]
    for outcomes in arm.gateways.values():
        values += outcomes.values()
    return ArmLayout(tuple(pods), tuple([(name, tuple(each)) for name, each in arm.gateways.items()])), values


class _HalfSums(NamedTuple):
    """Where the increments of one half of an arm's pods stand in a row."""

    served: tuple[int, ...]
    bad: tuple[int, ...]
    timed: tuple[int, ...]
    edges: tuple[float, ...]
    within: tuple[slice, ...]

    def half(self, risen: Sequence[int]) -> Half:
        if len(self.within) == 1:
            within = dict(zip(self.edges, risen[self.within[0]], strict=True))
        else:
            within = dict(
                zip(self.edges, map(sum, zip(*[risen[each] for each in self.within], strict=True)), strict=True)
            )
        timed = sum([risen[at] for at in self.timed])
        return Half(_count(risen, self.served, self.bad), Latencies(timed, within))


_EMPTY = Half()


class _ArmSums(NamedTuple):
    """The same of one arm; `gateway` is where its requests and the bad ones among them stand.

    `refused` is where those stand that clients are to blame for, at the pods and at the gateway.
    """

    present: bool
    halves: tuple[_HalfSums | None, _HalfSums | None]
    gateway: tuple[tuple[int, ...], tuple[int, ...]] | None
    refused: tuple[tuple[int, ...], tuple[int, ...]]

    def tick(self, risen: Sequence[int]) -> ArmTick:
        first, second = [_EMPTY if half is None else half.half(risen) for half in self.halves]
        gateway = None if self.gateway is None else _count(risen, *self.gateway)
        pods, gateways = self.refused
        refused = (sum([risen[at] for at in pods]), sum([risen[at] for at in gateways]))
        return counters.arm_tick(first, second, present=self.present, gateway=gateway, refused=refused)


class _Sums(NamedTuple):
    """How the increments of a row add up, and whose they are."""

    layout: Layout
    stable: _ArmSums
    canary: _ArmSums


_NONE = Counters()


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of a comparison: the counters by name, and the row that was added since by subtraction."""

    at: int | None = None
    base: Counters = _NONE
    sums: _Sums | None = None
    values: Sequence[float] = ()

    @property
    def counters(self) -> Counters:
        """The last values, by name."""
        if self.sums is None or self.base.at == self.at:
            return self.base
        row, base = Row(self.at or 0, self.sums.layout, tuple(self.values)), self.base
        return Counters(self.at, _newer(base.stable, row.stable), _newer(base.canary, row.canary))


def advance(counted: Counted, reading: Reading) -> tuple[Counted, Tick | None]:
    """What happened since the last reading, as `counters.advance` says it; None for the first.

    Raises ValueError when the reading is not later than the last one.
    """
    sums = counted.sums
    if (
        sums is not None
        and isinstance(reading, Row)
        and reading.layout is sums.layout
        and reading.at > (counted.at or 0)
    ):
        risen = list(map(sub, reading.values, counted.values))
        if min(risen, default=0.0) >= 0:
            whole, seconds = list(map(round, risen)), reading.at - (counted.at or 0)
            added = Tick(reading.at, seconds, sums.stable.tick(whole), sums.canary.tick(whole))
            return Counted(reading.at, counted.base, sums, reading.values), added
    base, tick = counters.advance(counted.counters, reading)
    if not isinstance(reading, Row):
        return Counted(reading.at, base), tick
    layout = reading.layout
    stable = _summed(layout.stable, base.stable, 0)
    canary = _summed(layout.canary, base.canary, layout.stable.width)
    if stable is None or canary is None:
        return Counted(reading.at, base), tick
    values = [*_values(layout.stable, base.stable), *_values(layout.canary, base.canary)]
    return Counted(reading.at, base, _Sums(layout, stable, canary), values), tick


def _count(risen: Sequence[int], requests: Iterable[int], bad: Iterable[int]) -> Count:
    return Count(sum([risen[at] for at in requests]), sum([risen[at] for at in bad]))


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


def _summed(layout: ArmLayout, last: ArmCounters, start: int) -> _ArmSums | None:
    """How an arm's increments add up, its values from `start` on; None where pods of one half have different edges."""
    halves: list[_HalfSums | None] = [None, None]
    refused: tuple[int, ...] = ()
    for name, codes, edges in layout.pods:
        middle, end, half = start + len(codes), start + len(codes) + len(edges), last.pods[name][1]
        outcomes = [(start + number, counters.orchestrator_outcome(code)) for number, code in enumerate(codes)]
        refused += tuple([start + number for number, code in enumerate(codes) if counters.orchestrator_refusal(code)])
        served = tuple([at for at, bad in outcomes if bad is not None])
        timed = tuple([middle + number for number, edge in enumerate(edges) if edge == _INFINITY])
        within = slice(middle, end - len(timed))
        one = _HalfSums(
            served, tuple([at for at, bad in outcomes if bad]), timed, edges[: len(edges) - len(timed)], (within,)
        )
        known, start = halves[half], end
        if known is not None and known.edges != one.edges:
            return None
        halves[half] = (
            one
            if known is None
            else _HalfSums(
                known.served + one.served,
                known.bad + one.bad,
                known.timed + one.timed,
                one.edges,
                known.within + one.within,
            )
        )
    requests: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    turned: tuple[int, ...] = ()
    for _, each in layout.gateways:
        found = [(start + number, counters.gateway_outcome(*outcome)) for number, outcome in enumerate(each)]
        requests += tuple([at for at, bad in found if bad is not None])
        failed += tuple([at for at, bad in found if bad])
        turned += tuple([start + number for number, one in enumerate(each) if counters.gateway_refusal(*one)])
        start += len(each)
    gateway = (requests, failed) if layout.gateways else None
    present = bool(layout.pods or layout.gateways)
    return _ArmSums(present, (halves[0], halves[1]), gateway, (refused, turned))
