"""A mixture of bets, and copies of it that start later: evidence that holds however often one looks.

Each alternative k holds wealth Π s_k over the ticks; their weighted sum E has E[E_τ] ≤ 1 under the null at any
stopping time τ, so P(E ever reaches 1/α) ≤ α (Ville). A copy that starts at a step change, to find a regression that
begins there, is one more term of the sum. All started copies of one alternative are multiplied by the same s_k, so
one number holds them together: starting a copy adds its weight. The weight of copies not yet started stands by as
`reserve` and counts as 1 each.
"""

from collections.abc import Sequence
from math import exp, log1p
from typing import NamedTuple

from analysis.judges.halfplane import Bet
from analysis.samples import Count

_MOST = 1e290
"""Wealth above this is cut off, which only makes evidence smaller."""


class Wealth(NamedTuple):
    """Weighted wealth of each alternative, and the weight of what has not started."""

    parts: tuple[float, ...]
    reserve: float = 0.0

    @property
    def evidence(self) -> float:
        """How many to one against the null."""
        return sum(self.parts) + self.reserve


def begin(alternatives: int, *, reserve: float = 0.0) -> Wealth:
    """A mixture with equal weights; `reserve` of the whole weight is kept for later copies."""
    return Wealth(((1 - reserve) / alternatives,) * alternatives, reserve)


def restart(wealth: Wealth, number: int) -> Wealth:
    """Start the copy with this number (1 is the first). Its weight is ½/(number·(number+1)): all together ½."""
    share = 0.5 / (number * (number + 1))
    part = share / len(wealth.parts)
    return Wealth(tuple([old + part for old in wealth.parts]), wealth.reserve - share)


def play(
    wealth: Wealth, bets: Sequence[Bet | None], leader: Count, follower: Count, *, phi: float, cap: float
) -> Wealth:
    """One tick: each alternative's wealth times min(s^(1/φ), e^cap). Both changes keep E[s] ≤ 1.

    The bets must fit the lever, leader.requests/follower.requests. See `halfplane.Bet` for the two arms' parts.
    """
    lever = leader.requests / follower.requests
    leader_bad, leader_good = leader.bad, leader.requests - leader.bad
    follower_bad, follower_good = follower.bad, follower.requests - follower.bad
    temper = 1 / phi
    most = exp(cap)
    parts = []
    for old, placed in zip(wealth.parts, bets, strict=True):
        if placed is None:
            parts.append(old)
            continue
        hit, miss, rise, fall = placed
        log_s = leader_bad * hit + leader_good * miss + follower_good * log1p(-fall * lever)
        if follower_bad:
            log_s += follower_bad * log1p(rise * lever)
        log_s *= temper
        grown = old * (most if log_s >= cap else exp(log_s))
        parts.append(min(_MOST, grown))
    return Wealth(tuple(parts), wealth.reserve)
