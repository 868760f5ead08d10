"""What both arms did in one tick, as numbers in a row: of many comparisons they stand one after the other.

A row begins with HEAD, and goes on with the requests within each histogram edge. Its first number is always 0: what
was not counted stands there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.samples import ArmTick, Count, Half, Latencies, Signal, Tick
from analysis.tables import Numbers, Places


class Stand(NamedTuple):
    """Where an arm's numbers stand in the head of a row."""

    pods: slice
    """At the orchestrators: answered, failed, refused as the client's fault, and those whose latency is known."""
    gateway: slice
    """At the gateway: answered, failed, refused."""

    @property
    def timed(self) -> int:
        """The requests whose latency is known."""
        return int(self.pods.stop) - 1


NOTHING = 0
ERRORS = slice(1, 5)
"""Canary's requests and those that did not fail, stable's: of the source that is believed, which a judge chooses."""
STABLE, CANARY = Stand(slice(5, 9), slice(13, 16)), Stand(slice(9, 13), slice(16, 19))
HEAD = 19
_HEAD = np.arange(HEAD).reshape(-1, 1)
_ERRORS = _HEAD[ERRORS]


class ArmShape(NamedTuple):
    """Which series of an arm there were, and where requests within a histogram edge (seconds) stand in the row."""

    present: bool
    at_gateway: bool
    within: Mapping[float, int]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What stands where in a row, beyond its head."""

    stable: ArmShape
    canary: ArmShape
    _known: dict[tuple[float | None, ...], Places] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return HEAD + len(self.stable.within) + len(self.canary.within)

    def pairs(self, edges: tuple[float | None, ...]) -> Places:
        """Where stand, for each edge, canary's requests and those within it, and stable's; without one, the errors."""
        known = self._known.get(edges)
        if known is None:
            known = np.hstack([_ERRORS if edge is None else self._at(edge) for edge in edges])
            self._known[edges] = known
        return known

    def _at(self, edge: float) -> Places:
        places = []
        for arm, stand in ((self.canary, CANARY), (self.stable, STABLE)):
            within = arm.within.get(edge)
            places += [NOTHING, NOTHING] if within is None else [stand.timed, within]
        return np.array(places).reshape(4, 1)


class Tally(NamedTuple):
    """One tick of one comparison: `seconds` up to `at` (whole seconds since 1970), and its row."""

    at: int
    seconds: int
    shape: Shape
    row: Numbers
    halves: Callable[[], tuple[Half, Half]]
    """What two halves of stable's pods did: nobody asks once the run has begun."""
    signals: tuple[Mapping[Signal, float], Mapping[Signal, float]] = ({}, {})
    """What the typed checks count, of stable and of the canary."""

    @property
    def arms(self) -> tuple[ArmTick, ArmTick]:
        """What stable and the canary did, by name; without the halves of their pods."""
        row = [int(each) for each in self.row.tolist()]
        stable, canary = self.signals
        return _arm(row, self.shape.stable, STABLE, stable), _arm(row, self.shape.canary, CANARY, canary)


def _arm(row: Sequence[int], shape: ArmShape, stand: Stand, signals: Mapping[Signal, float]) -> ArmTick:
    served, refused = _count(row[stand.pods])
    gateway, gateway_refused = _count(row[stand.gateway])
    latencies = Latencies(row[stand.timed], {edge: row[place] for edge, place in shape.within.items()})
    return ArmTick(
        shape.present,
        gateway if shape.at_gateway else None,
        served,
        latencies,
        signals=signals,
        refused=refused,
        gateway_refused=gateway_refused,
    )


def _count(ended: Sequence[int]) -> tuple[Count, int]:
    answered, failed, refused = ended[:3]
    return Count(answered + failed + refused, failed), refused


def shape(
    *, present: tuple[bool, bool], at_gateway: tuple[bool, bool], edges: tuple[Sequence[float], Sequence[float]]
) -> Shape:
    """What stands where, by what there is of stable and of the canary."""
    found, first = [], HEAD
    for arm, gateway, each in zip(present, at_gateway, edges, strict=True):
        found.append(ArmShape(arm, gateway, {edge: place for place, edge in enumerate(each, first)}))
        first += len(each)
    stable, canary = found
    return Shape(stable, canary)


def of(tick: Tick) -> Tally:
    """The tally of a tick that was counted by name."""
    arms = tick.stable, tick.canary
    found = shape(
        present=(arms[0].present, arms[1].present),
        at_gateway=(arms[0].gateway is not None, arms[1].gateway is not None),
        edges=([*arms[0].latencies.within], [*arms[1].latencies.within]),
    )
    row = [0.0] * HEAD
    for arm, stand in zip(arms, (STABLE, CANARY), strict=True):
        timed = arm.latencies.total if arm.latencies.within else 0  # without an edge nobody asks for it
        row[stand.pods] = [*_ended(arm.served, arm.refused), timed]
        row[stand.gateway] = _ended(arm.gateway or Count(), arm.gateway_refused)
        row += arm.latencies.within.values()
    return Tally(
        tick.at,
        tick.seconds,
        found,
        np.array(row, dtype=np.float64),
        partial(_same, tick.stable.halves),
        (tick.stable.signals, tick.canary.signals),
    )


def _same(halves: tuple[Half, Half]) -> tuple[Half, Half]:
    return halves


def _ended(count: Count, refused: int) -> list[float]:
    return [count.requests - count.bad - refused, count.bad, refused]


def beside(tallies: Sequence[Tally]) -> tuple[Numbers, Places]:
    """The rows of many tallies, one after the other, and where each of them begins."""
    ends = np.cumsum([len(each.row) for each in tallies])
    return np.concatenate([each.row for each in tallies]), np.concatenate([[0], ends[:-1]])


def heads(rows: Numbers, starts: Places) -> Numbers:
    """The heads of the rows that begin there: (number, row)."""
    found: Numbers = rows[starts + _HEAD]
    return found


def believe(rows: Numbers, starts: Places, errors: Numbers) -> None:
    """Write what counts as errors into the rows that begin there: canary's requests and bad ones, stable's."""
    canary, canary_bad, stable, stable_bad = errors
    rows[starts + _ERRORS] = [canary, canary - canary_bad, stable, stable - stable_bad]
