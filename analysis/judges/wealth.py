"""A mixture of bets, and copies of it that start later: evidence that holds however often one looks.

Each alternative k holds wealth Π s_k over the ticks; their weighted sum E has E[E_τ] ≤ 1 under the null at any
stopping time τ, so P(E ever reaches 1/α) ≤ α (Ville). A copy that starts at a step change, to find a regression that
begins there, is one more term of the sum. All started copies of one alternative are multiplied by the same s_k, so
one number holds them together: starting a copy adds its weight. The weight of copies not yet started stands by as
`reserve` and counts as 1 each.
"""

from collections.abc import Iterable
from math import exp, log1p
from typing import NamedTuple

from analysis.judges import halfplane
from analysis.judges.halfplane import Bet
from analysis.samples import Count

RESERVE = 0.10
"""The weight of all copies that start later."""
_NEUTRAL = Bet(0.0, 0.0, 0.0, 0.0)
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


def begin(weights: Iterable[float], *, reserve: float = 0.0) -> Wealth:
    """A mixture with these weights, which sum to 1; `reserve` of the whole is kept for later copies."""
    return Wealth(tuple([(1 - reserve) * weight for weight in weights]), reserve)


def restart(wealth: Wealth, number: int) -> Wealth:
    """Start the copy with this number, from 1 on. Its weight is RESERVE/(number·(number+1)): together RESERVE."""
    share = RESERVE / (number * (number + 1))
    part = share / len(wealth.parts)
    return Wealth(tuple([old + part for old in wealth.parts]), wealth.reserve - share)


def renew(wealth: Wealth, weights: Iterable[float]) -> Wealth:
    """What an alternative has lost comes back, without reserve: before each tick this makes the product a CUSUM."""
    return Wealth(tuple([max(old, weight) for old, weight in zip(wealth.parts, weights, strict=True)]))


class Bets(NamedTuple):
    """One bet for each alternative, and the largest `fall` of them: it says which levers they fit."""

    each: tuple[Bet, ...] = ()
    steepest: float = 0.0

    def fit(self, lever: float) -> bool:
        """Whether all bets may be used at this n_leader/n_follower."""
        return self.steepest * lever < halfplane.FULLEST


def place(bets: Iterable[Bet | None], lever: float) -> Bets:
    """The bets for ticks with about this lever; one that cannot be placed neither wins nor loses."""
    each = [placed if placed and placed.fall * lever < halfplane.FULLEST else _NEUTRAL for placed in bets]
    return Bets(tuple(each), max(placed.fall for placed in each))


def play(wealth: Wealth, bets: Bets, leader: Count, follower: Count, *, phi: float, cap: float) -> Wealth:
    """One tick: each alternative's wealth times min(s^(1/φ), e^cap). Both changes keep E[s] ≤ 1.

    The bets must fit the lever, leader.requests/follower.requests. See `halfplane.Bet` for the two arms' parts.
    """
    lever, temper, most = leader.requests / follower.requests, 1 / phi, exp(cap)
    hits, misses = leader.bad * temper, (leader.requests - leader.bad) * temper
    goods, bads = (follower.requests - follower.bad) * temper, follower.bad * temper
    parts = []
    for old, (hit, miss, rise, fall) in zip(wealth.parts, bets.each, strict=True):
        log_s = hits * hit + misses * miss + goods * log1p(-fall * lever)
        if bads:
            log_s += bads * log1p(rise * lever)
        parts.append(old * (most if log_s >= cap else exp(log_s)))
    if max(parts) > _MOST:
        parts = [min(part, _MOST) for part in parts]
    return Wealth(tuple(parts), wealth.reserve)
