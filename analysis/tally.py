"""What both arms did in one tick, as numbers in a row: of many comparisons they stand one after the other.

A row begins with HEAD, and goes on with the requests within each histogram edge. Its first number is always 0: what
was not counted stands there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from analysis import samples
from analysis.samples import Tick
from analysis.tables import Numbers, Places

NOTHING = 0
ERRORS = slice(1, 5)
"""Canary's requests and those that did not fail, stable's: of the source that is believed, which a judge chooses."""
STABLE, CANARY = slice(5, 9), slice(9, 13)
"""At the orchestrators: answered, failed, refused as the client's fault, and those whose latency is known."""
STABLE_GATEWAY, CANARY_GATEWAY = slice(13, 16), slice(16, 19)
"""At the gateway: answered, failed, refused."""
HEAD = 19

_HEAD = np.arange(HEAD).reshape(-1, 1)
_ERRORS = _HEAD[ERRORS]


class Seen(NamedTuple):
    """Which series there were."""

    stable: bool
    canary: bool
    stable_gateway: bool
    canary_gateway: bool


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What stands where in a row, beyond its head: by arm and histogram edge (seconds), requests within it."""

    seen: Seen
    stable: Mapping[float, int]
    canary: Mapping[float, int]
    _known: dict[tuple[float | None, ...], Places] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return HEAD + len(self.stable) + len(self.canary)

    def pairs(self, edges: tuple[float | None, ...]) -> Places:
        """Where stand, for each edge, canary's requests and those within it, and stable's; without one, the errors."""
        known = self._known.get(edges)
        if known is None:
            known = np.hstack([_ERRORS if edge is None else self._within(edge) for edge in edges])
            self._known[edges] = known
        return known

    def _within(self, edge: float) -> Places:
        canary, stable = self.canary.get(edge), self.stable.get(edge)
        return np.array(
            [
                [NOTHING if canary is None else CANARY.stop - 1],
                [canary or NOTHING],
                [NOTHING if stable is None else STABLE.stop - 1],
                [stable or NOTHING],
            ]
        )


class Tally(NamedTuple):
    """One tick of one comparison: `seconds` up to `at` (whole seconds since 1970), and its row."""

    at: int
    seconds: int
    shape: Shape
    row: Numbers
    told: Callable[[], Tick]
    """The same by name."""

    @property
    def tick(self) -> Tick:
        """The same by name."""
        return self.told()


def shape(seen: Seen, stable: tuple[float, ...], canary: tuple[float, ...]) -> Shape:
    """What stands where if arms have these histogram edges."""
    first = HEAD + len(stable)
    return Shape(
        seen,
        {edge: HEAD + number for number, edge in enumerate(stable)},
        {edge: first + number for number, edge in enumerate(canary)},
    )


def of(tick: Tick) -> Tally:
    """The tally of a tick that was counted by name."""
    stable, canary = tick.stable, tick.canary
    seen = Seen(stable.present, canary.present, stable.gateway is not None, canary.gateway is not None)
    found = shape(seen, tuple(stable.latencies.within), tuple(canary.latencies.within))
    row = [0.0] * found.width
    for arm, at_pods, at_gateway in ((stable, STABLE, STABLE_GATEWAY), (canary, CANARY, CANARY_GATEWAY)):
        timed = arm.latencies.total if arm.latencies.within else 0  # without an edge nobody asks for it
        row[at_pods] = [*_ended(*arm.served, arm.refused), timed]
        row[at_gateway] = _ended(*(arm.gateway or samples.NOTHING), arm.gateway_refused)
    row[HEAD:] = [*stable.latencies.within.values(), *canary.latencies.within.values()]
    return Tally(tick.at, tick.seconds, found, np.array(row, dtype=np.float64), lambda: tick)


def _ended(requests: int, failed: float, refused: int) -> list[float]:
    return [requests - failed - refused, failed, refused]


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
