"""The emergency: a large part of the canary's requests fails at once, and stable's do not.

The cap on a tick's evidence makes the ordinary judge wait for several ticks. A small part of alpha is set aside for
a bet without a cap: block b of at least 50 canary requests (at most two ticks) stakes 1/(b(b+1)) of it, half on each
of two outcomes: that half of the canary's requests fail, or a tenth. It pays s^(1/φ²), and only if at least half of
them (a twentieth) did and under 5 % (1 %) of stable's: paying less than s keeps E[payment] ≤ stake, and all stakes
together are 1. φ² instead of φ, because one block decides, and where traffic comes in bursts one may be a burst.
"""

from collections.abc import Callable
from math import exp
from typing import NamedTuple

from analysis.judges import halfplane
from analysis.samples import Count, Pair
from analysis.spec import Line

SHARE = 0.05
"""The part of alpha that is set aside."""
ENOUGH = 50
"""Canary requests that a block needs."""
_TICKS = 2
_OUTCOMES = ((0.5, 0.5, 0.05), (0.1, 0.05, 0.01))
"""The canary's share that is bet on, the least share of it that must have failed, and the most of stable's."""


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


def step(emergency: Emergency, pair: Pair, past: Callable[[], Past]) -> Emergency:
    """One judged tick. The past is looked up only where a block may pay."""
    won, left, blocks, block, ticks = emergency
    block, ticks = block.plus(pair), ticks + 1
    if block.canary_requests < ENOUGH:
        return Emergency(won, left, blocks, *((Pair(), 0) if ticks >= _TICKS else (block, ticks)))
    blocks += 1
    stake = 1 / (blocks * (blocks + 1))
    return Emergency(won + stake * _payment(block, past), left - stake, blocks)


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
