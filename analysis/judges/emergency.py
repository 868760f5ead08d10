"""The emergency: most of the canary's requests fail at once, and stable's do not.

The cap on a tick's evidence makes the ordinary judge wait for several ticks. A small part of alpha is set aside for
a bet without a cap: block b of at least 50 canary requests (at most two ticks) stakes 1/(b(b+1)) of it on one outcome,
that half of the canary's requests fail. It pays s^(1/φ²), and only if at least half of them did and under 5 % of
stable's: paying less than s keeps E[payment] ≤ stake, and all stakes together are 1. φ² instead of φ, because one
block decides, and where traffic comes in bursts one block may be a burst.
"""

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
_GUESS = 0.5
_CALM = 0.05


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


def step(emergency: Emergency, pair: Pair, *, line: Line, base: float, phi: float) -> Emergency:
    """One judged tick; `base` and `phi` come from the past."""
    won, left, blocks, block, ticks = emergency
    block, ticks = block.plus(pair), ticks + 1
    if block.canary_requests < ENOUGH:
        return Emergency(won, left, blocks, *((Pair(), 0) if ticks >= _TICKS else (block, ticks)))
    blocks += 1
    stake = 1 / (blocks * (blocks + 1))
    return Emergency(won + stake * _payment(block, line, base, phi), left - stake, blocks)


def _payment(block: Pair, line: Line, base: float, phi: float) -> float:
    canary, stable = Count(block[0], block[1]), Count(block[2], block[3])
    if not stable.requests or 2 * canary.bad < canary.requests or stable.bad >= _CALM * stable.requests:
        return 0.0
    bet = halfplane.worse(line, _GUESS, base, canary.requests / stable.requests)
    if bet is None or not halfplane.fits(bet, stable.requests / canary.requests):
        return 0.0
    return exp(min(600.0, halfplane.gain(bet, stable, canary) / (phi * phi)))
