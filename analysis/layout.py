"""Which series a comparison has, in which order, and what each of them counts: said once, and then values suffice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis import counters, tally
from analysis.counters import ArmCounters, Counters
from analysis.samples import ArmReading, PodReading
from analysis.tables import Places
from analysis.tally import Shape, Stand

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


_NOBODY = ArmLayout((), ())


class Layout(NamedTuple):
    """What the values of a row are: stable's, then the canary's."""

    stable: ArmLayout
    canary: ArmLayout


Halves = tuple[dict[float, None], dict[float, None]]
"""The histogram edges of both halves of an arm's pods, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Where each increment of a row is counted in a tally's row, and what stands where in that."""

    layout: Layout
    places: Places
    shape: Shape


def spread(layout: Layout, last: Counters) -> Spread:
    """Where increments are counted; what does not count goes to the tally's first number."""
    stable, canary = _edges(layout.stable, last.stable), _edges(layout.canary, last.canary)
    shape = tally.shape(
        present=(
            bool(layout.stable.pods or layout.stable.gateways),
            bool(layout.canary.pods or layout.canary.gateways),
        ),
        at_gateway=(bool(layout.stable.gateways), bool(layout.canary.gateways)),
        edges=(_common(stable), _common(canary)),
    )
    places = [
        *_arm(layout.stable, last.stable, stable, shape.stable.within, tally.STABLE),
        *_arm(layout.canary, last.canary, canary, shape.canary.within, tally.CANARY),
    ]
    return Spread(layout, np.array(places, dtype=np.intp), shape)


def _edges(layout: ArmLayout, last: ArmCounters) -> Halves:
    """The histogram edges of both halves of an arm's pods."""
    found: Halves = {}, {}
    for name, _, edges in layout.pods:
        found[last.pods[name][1]].update(dict.fromkeys([edge for edge in edges if edge != _INFINITY]))
    return found


def _common(halves: Halves) -> tuple[float, ...]:
    """Those of both, where both have some."""
    first, second = halves
    return tuple([edge for edge in first if edge in second] if first and second else first or second)


def _arm(
    layout: ArmLayout, last: ArmCounters, halves: Halves, within: Mapping[float, int], stand: Stand
) -> Iterator[int]:
    """Where each increment of an arm is counted."""
    for name, codes, edges in layout.pods:
        for code in codes:
            bad, refused = counters.orchestrator_outcome(code), counters.orchestrator_refusal(code)
            yield _end(stand.pods.start, bad=bad, refused=refused)
        shown = within and halves[last.pods[name][1]]  # a half without edges tells nothing of latency
        for edge in edges:
            yield within.get(edge, tally.NOTHING) if edge != _INFINITY else stand.timed if shown else tally.NOTHING
    for outcome in [each for _, outcomes in layout.gateways for each in outcomes]:
        bad, refused = counters.gateway_outcome(*outcome), counters.gateway_refusal(*outcome)
        yield _end(stand.gateway.start, bad=bad, refused=refused)


def _end(first: int, *, bad: bool | None, refused: bool) -> int:
    """Where a request is counted by how it ended: answered, failed, refused, or not at all."""
    return tally.NOTHING if bad is None else first + (2 if refused else bad)
