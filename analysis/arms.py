"""What was seen of both arms of a comparison until now: which metrics tell outcomes, how much traffic there is.

The gateway's metrics see crashed pods and refused connections, but not mirrored copies. They are used while the
gateway counts at least half of what the canary's orchestrators serve, in a fading sum. The choice looks at requests and
never at outcomes.
"""

from typing import NamedTuple

import numpy as np

from analysis.tables import Columns, Numbers, frozen
from analysis.tally import CANARY, STABLE

MISSING = 3
"""This many ticks in a row without a series of an arm are no data; fewer may be a missed scrape."""
_MEMORY = 0.8
_PACE = 0.97
"""What a tick keeps of the pace: half is forgotten in 23 ticks."""
_WINDOW = 3
"""Ticks whose requests are remembered one by one."""

_SERVED = 5
_AT, _GATEWAY, _ORCHESTRATORS, _KNOWN, _JUDGED = range(5)
_ABSENT, _PACES, _ASKED, _RECENT = slice(5, 7), slice(7, 10), slice(10, 12), slice(12, 12 + _SERVED * _WINDOW)


class Served(NamedTuple):
    """Requests of one tick: at the gateway, and at the orchestrators (mirrored copies among them)."""

    since: int
    """The tick's begin, in seconds since the epoch."""
    gateway_stable: int
    gateway_canary: int
    stable: int
    canary: int


class Pace(NamedTuple):
    """Requests of both arms, and the seconds that they came in, in fading sums."""

    stable: float
    canary: float
    seconds: float


class Arms(NamedTuple):
    """What a column says."""

    at: int | None
    """The last tick's end, in seconds since the epoch; None before the first."""
    judged_ticks: int
    absent: tuple[int, int]
    """Ticks since stable and canary were last present."""
    recent: tuple[Served, ...]
    """Requests of the last ticks."""
    pace: Pace
    asked: tuple[int | None, int | None]
    """When stable and canary had their last request; None before the first."""


class Presence(NamedTuple):
    """Whether anything was read, and judged; and whether arms have series now, or had some lately."""

    read: bool
    judged: bool
    stable: bool
    canary: bool


class Outcomes(NamedTuple):
    """By comparison: canary's requests and the bad ones, stable's; the failed and the refused ones of the same."""

    failed: Numbers
    refused: Numbers


def begin() -> Columns:
    """Before the first tick."""
    table = np.zeros((_RECENT.stop, 1))
    table[[_AT, *range(_RECENT.stop)[_ASKED], *range(_RECENT.stop)[_RECENT]]] = np.nan
    table[_ABSENT] = MISSING
    return frozen(table)


def presence(column: Columns) -> Presence:
    """Of what a column says what verdicts hang on."""
    numbers = column.table[: _ABSENT.stop, column.start].tolist()
    stable, canary = numbers[_ABSENT]
    return Presence(numbers[_AT] == numbers[_AT], numbers[_JUDGED] > 0, stable < MISSING, canary < MISSING)


def read(column: Columns) -> Arms:
    """What a column says."""
    numbers = column.table[:, column.start].tolist()
    served = [numbers[_RECENT][first : first + _SERVED] for first in range(0, _SERVED * _WINDOW, _SERVED)]
    stable, canary = numbers[_ASKED]
    absent, missed = numbers[_ABSENT]
    return Arms(
        _moment(numbers[_AT]),
        int(numbers[_JUDGED]),
        (int(absent), int(missed)),
        tuple([Served(*map(int, each)) for each in served if each[0] == each[0]]),
        Pace(*numbers[_PACES]),
        (_moment(stable), _moment(canary)),
    )


def _moment(number: float) -> int | None:
    return None if number != number else int(number)


def step(table: Numbers, heads: Numbers, seen: Numbers, *, at: Numbers, seconds: Numbers, judged: Numbers) -> Outcomes:
    """One tick of many comparisons, in place; how its requests ended, from the source that sees more of the canary.

    Args:
        table: what was seen until now.
        heads: of the tallies.
        seen: 1 where there are series of stable, of the canary, of stable at the gateway, of the canary there.
        at: the tick's end, in seconds since the epoch. Raises ValueError where it is not later than the last.
        seconds: how long it was.
        judged: 1 where it is judged.
    """
    late = (at <= table[_AT]).nonzero()[0]
    if late.size:
        raise ValueError(f"ticks must go forward: got {at[late[0]]:.0f} after {table[_AT, late[0]]:.0f}")
    stable, canary = _ended(heads[STABLE.pods]), _ended(heads[CANARY.pods])
    theirs, mine = _ended(heads[STABLE.gateway]), _ended(heads[CANARY.gateway])
    table[_JUDGED] += judged
    table[_ABSENT] = np.where(seen[:2] > 0, 0, table[_ABSENT] + 1)
    _remember(table, np.array([theirs[0], mine[0], stable[0], canary[0]]), at, seconds)
    told = seen[2] + seen[3] > 0
    # A gateway that was missed returns with what it counted meanwhile: nothing is counted twice.
    waiting = (table[_KNOWN] > 0) & ~told
    table[_GATEWAY] = np.where(waiting, table[_GATEWAY], table[_GATEWAY] * _MEMORY + mine[0])
    table[_ORCHESTRATORS] = np.where(waiting, table[_ORCHESTRATORS], table[_ORCHESTRATORS] * _MEMORY + canary[0])
    table[_KNOWN] = np.maximum(table[_KNOWN], told)
    gateway = (table[_GATEWAY] > 0) & (2 * table[_GATEWAY] >= table[_ORCHESTRATORS])
    ended = np.where(waiting, 0.0, np.where(gateway, np.concatenate([mine, theirs]), np.concatenate([canary, stable])))
    return Outcomes(ended[[0, 1, 3, 4]], ended[[0, 2, 3, 5]])


def _ended(counted: Numbers) -> Numbers:
    """Requests, failed and refused ones, by comparison."""
    answered, failed, refused = counted[:3]
    return np.array([answered + failed + refused, failed, refused])


def _remember(table: Numbers, requests: Numbers, at: Numbers, seconds: Numbers) -> None:
    """The requests of a tick: at the gateway by stable and canary, and at the orchestrators."""
    asked = np.maximum(requests[:2], requests[2:])
    table[_AT], table[_ASKED] = at, np.where(asked > 0, at, table[_ASKED])
    table[_PACES] = _PACE * table[_PACES] + np.array([*asked, seconds])
    last = _RECENT.stop - _SERVED
    table[_RECENT.start : last] = table[_RECENT.start + _SERVED : _RECENT.stop]
    table[last : _RECENT.stop] = [at - seconds, *requests]
