"""A mixture of bets, and copies of it that start later: evidence that holds however often one looks.

Each alternative k holds wealth Π s_k over the ticks; their weighted sum E has E[E_τ] ≤ 1 under the null at any
stopping time τ, so P(E ever reaches 1/α) ≤ α (Ville). A copy that starts at a step change, to find a regression that
begins there, is one more term of the sum. All started copies of one alternative are multiplied by the same s_k, so
one number holds them together: starting a copy adds its weight. The weight of copies not yet started stands by as
`reserve` and counts as 1 each.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from analysis.judges import halfplane
from analysis.judges.halfplane import Bet
from analysis.tables import Flags, Numbers

RESERVE = 0.10
"""The weight of all copies that start later."""
MOST = 1e290
"""Wealth above this is cut off, which only makes evidence smaller."""
_STEEPEST = 40.0
"""No cap is higher, so that no product with wealth is too large for a float; real ones lie near 4."""
_NEUTRAL = Bet(0.0, 0.0, 0.0, 0.0)


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


def copy_weight(number: int) -> float:
    """The weight of the copy with this number, from 1 on: RESERVE/(number·(number+1)), together RESERVE."""
    return RESERVE / (number * (number + 1))


def restart(wealth: Wealth, number: int) -> Wealth:
    """Start the copy with this number."""
    share = copy_weight(number)
    part = share / len(wealth.parts)
    return Wealth(tuple([old + part for old in wealth.parts]), wealth.reserve - share)


class Bets(NamedTuple):
    """One bet for each alternative, and the largest `fall` of them: it says which levers they fit."""

    each: tuple[Bet, ...] = ()
    steepest: float = 0.0


def place(bets: Iterable[Bet | None], lever: float) -> Bets:
    """The bets for ticks with about this lever; one that cannot be placed neither wins nor loses."""
    each = [placed if placed and placed.fall * lever < halfplane.FULLEST else _NEUTRAL for placed in bets]
    return Bets(tuple(each), max(placed.fall for placed in each))


def fit(steepest: Numbers, lever: Numbers) -> Flags:
    """Which bets may be used at this n_leader/n_follower, by their largest `fall`."""
    fitting: Flags = steepest * lever < halfplane.FULLEST
    return fitting


def play(parts: Numbers, bets: Numbers, leader: Numbers, follower: Numbers, *, phi: Numbers, cap: Numbers) -> Numbers:
    """One tick: each alternative's wealth times min(s^(1/φ), e^cap). Both changes keep E[s] ≤ 1.

    Axes: `parts` (alternative, statement), `bets` (number of the bet, alternative, statement), `leader` and `follower`
    (requests and bad ones, statement); see `halfplane.Bet` for the two arms' parts. Both have requests, and the bets
    fit the lever, leader's requests over follower's.
    """
    hit, miss, rise, fall = bets
    lever, temper = leader[0] / follower[0], 1 / phi
    log_s = leader[1] * temper * hit + (leader[0] - leader[1]) * temper * miss
    log_s += (follower[0] - follower[1]) * temper * np.log1p(-fall * lever)
    log_s += follower[1] * temper * np.log1p(rise * lever)
    paid: Numbers = np.minimum(parts * np.exp(np.minimum(log_s, np.minimum(cap, _STEEPEST))), MOST)
    return paid
