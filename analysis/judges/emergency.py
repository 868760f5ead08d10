"""The emergency: a large part of the canary's requests fails at once, and stable's do not.

The cap on a tick's evidence makes the ordinary judge wait for several ticks. A small part of alpha is set aside for
a bet without a cap: block b of at least 50 canary requests (at most two ticks) stakes 1/(b(b+1)) of it, half on each
of two outcomes: that half of the canary's requests fail, or a tenth. It pays s^(1/φ²), and only if at least half of
them (a twentieth) did and under 5 % (1 %) of stable's: paying less than s keeps E[payment] ≤ stake, and all stakes
together are 1. φ² instead of φ, because one block decides, and where traffic comes in bursts one may be a burst.
"""

from collections.abc import Callable
from functools import partial
from math import exp
from typing import NamedTuple

import numpy as np

from analysis.judges import halfplane
from analysis.samples import Count, Pair
from analysis.spec import Line
from analysis.tables import Columns, Numbers, frozen

SHARE = 0.05
"""The part of alpha that is set aside."""
ENOUGH = 50
"""Canary requests that a block needs."""
_MOST_TICKS = 2
_OUTCOMES = ((0.5, 0.5, 0.05), (0.1, 0.05, 0.01))
"""The canary's share that is bet on, the least share of it that must have failed, and the most of stable's."""
_LEAST = min(least for _, least, _ in _OUTCOMES)


class Past(NamedTuple):
    """What is known before a tick: the rollback line, stable's share of failed requests, and the noise φ."""

    line: Line
    base: float
    phi: float


class Emergency(NamedTuple):
    """What the stakes have won, what is still to be staked, and the block that is being filled."""

    won: float = 0.0
    left: float = 1.0
    blocks: int = 0
    block: Pair = Pair()
    ticks: int = 0

    @property
    def evidence(self) -> float:
        """How many to one."""
        return self.won + self.left


_WON, _LEFT, _BLOCKS, _BLOCK, _TICKS = 0, 1, 2, slice(3, 7), 7
"""The same as numbers in a column."""


def begin() -> Columns:
    """Before the first tick: nothing is won, and all is left to be staked."""
    table = np.zeros((_TICKS + 1, 1))
    table[_LEFT] = 1
    return frozen(table)


def read(column: Columns) -> Emergency:
    """What a column says."""
    won, left, blocks, *block, ticks = column.numbers[:, 0].tolist()
    return Emergency(won, left, int(blocks), Pair(*map(int, block)), int(ticks))


def evidence(table: Numbers) -> Numbers:
    """How many to one, in each column."""
    found: Numbers = table[_WON] + table[_LEFT]
    return found


def step(table: Numbers, pairs: Numbers, past: Callable[[int], Past]) -> None:
    """One judged tick of many, in place. The past, by number of the column, is looked up only where a block may pay."""
    table[_BLOCK] += pairs
    table[_TICKS] += 1
    full = (table[_BLOCK.start] >= ENOUGH).nonzero()[0]
    table[_BLOCKS, full] += 1
    stakes = 1 / (table[_BLOCKS, full] * (table[_BLOCKS, full] + 1))
    table[_LEFT, full] -= stakes
    blocks = table[_BLOCK, full]
    for at in (blocks[1] >= _LEAST * blocks[0]).nonzero()[0].tolist():
        column = int(full[at])
        table[_WON, column] += stakes[at] * _payment(Pair(*map(int, blocks[:, at].tolist())), partial(past, column))
    table[_BLOCK.start :, full] = 0
    table[_BLOCK.start :, table[_TICKS] >= _MOST_TICKS] = 0


def _payment(block: Pair, past: Callable[[], Past]) -> float:
    canary, stable = Count(block[0], block[1]), Count(block[2], block[3])
    paid = 0.0
    for guess, least, calm in _OUTCOMES:
        if not stable.requests or canary.bad < least * canary.requests or stable.bad >= calm * stable.requests:
            continue
        line, base, phi = past()
        bet = halfplane.worse(line, guess, base, canary.requests / stable.requests)
        if bet is not None and halfplane.fits(bet, stable.requests / canary.requests):
            paid += exp(min(600.0, halfplane.gain(bet, stable, canary) / phi**2)) / len(_OUTCOMES)
    return paid
