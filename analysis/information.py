"""How much a request tells: at the most, as nats against what is to be refuted, and by the bets of our own judge.

At the most: under the truth θ a bet s with E[s] ≤ 1 at a point z of the null gains at most kl(θ, z) on average (Gibbs),
so the nearest z bounds every bet, and every test that is wrong with the probability alpha at the most needs
ln(1/alpha) nats on average (Wald, 1945). By our own bets: an alternative k with the weight w gains g nats of each that
is counted, and the evidence is at least w·Π s_k; so once Σ ln s_k reaches ln(needed/w), after ln(needed/w)/g on
average, the evidence is there. docs/judge.md, "What to expect, before a rollout", has both.
"""

from collections.abc import Iterable
from math import inf, log, log1p
from typing import NamedTuple

from analysis.judges import halfplane
from analysis.judges.halfplane import Bet, nearest
from analysis.judges.question import NEARNESS, Question, bad_shares, good_shares, weights
from analysis.judges.wealth import RESERVE
from analysis.spec import Line

SOONEST = 20.0
"""Seconds below which nothing is promised: the cap lets no single tick of ten seconds decide."""
LEAST = 1e-6
"""A share that was never seen to be bad is taken for this one."""


def information(line: Line, canary: float, stable: float, share: float) -> float:
    """Nats that a request carries against the nearest point of the line; 0 where a side of it has no requests.

    `share` is the canary's share of requests; `canary` and `stable` are shares of bad requests, or means of losses
    within 0..1, all of them 0..1.
    """
    if not 0 < share < 1:
        return 0.0
    canary, stable = _within(canary), _within(stable)
    point = nearest(line, canary, stable, share / (1 - share))
    if point is None:
        return 0.0
    return share * _kl(canary, _within(line.at(point))) + (1 - share) * _kl(stable, _within(point))


class Stake(NamedTuple):
    """One alternative of a mixture: its weight in the evidence, and the nats that it gains of each that is counted."""

    weight: float
    gain: float


def counted_until(stakes: Iterable[Stake], needed: float) -> float:
    """How many it takes on average until one alternative alone carries the evidence to `needed`; `inf` is never.

    The evidence is at least weight times the alternative's wealth, whatever the others do.
    """
    return min([(log(needed) - log(one.weight)) / one.gain for one in stakes if one.gain > 0], default=inf)


def gain(bet: Bet, leader: tuple[float, float], follower: tuple[float, float]) -> float:
    """Nats that a half-plane bet gains of a request on average; minus `inf` where it does not fit.

    Leader and follower are pairs of an arm's part of the requests and its share of bad ones, all 0..1. A follower
    without bets (of a ceiling) adds nothing.
    """
    (part, share), (rest, other) = leader, follower
    lever = part / rest
    if not halfplane.fits(bet, lever):
        return -inf
    followed = other * log1p(bet.rise * lever) + (1 - other) * log1p(-bet.fall * lever)
    return part * (share * bet.hit + (1 - share) * bet.miss) + rest * followed


class Worse:
    """The bets that a canary is worse, beside a stable with this share of bad ones.

    Args:
        question: what is asked.
        stable: stable's share, 0..1.
        share: the canary's part of all that is counted, 0..1; without one of the arms there are no bets.
        weight: the question's weight among others.
    """

    def __init__(self, question: Question, stable: float, share: float, *, weight: float = 1.0) -> None:
        self._alone, self._stable, self._share = question.ceiling, stable, share
        self._placed: list[tuple[float, Bet]] = []
        if 0 < share < 1:
            line, base = question.lines.rollback, _within(stable)
            for part, each in zip(weights(question.alternatives), bad_shares(question, base), strict=True):
                bet = halfplane.worse(line, each, base, share / (1 - share))
                if bet is not None:
                    self._placed.append(((1 - RESERVE) * weight * part, bet))

    def of(self, canary: float) -> list[Stake]:
        """What each gains where the canary has this share of bad ones."""
        theirs, mine = (1 - self._share, self._stable), (self._share, canary)
        leader, follower = (mine, theirs) if self._alone else (theirs, mine)
        return [Stake(part, gain(bet, leader, follower)) for part, bet in self._placed]


def better(question: Question, canary: float, stable: float, share: float) -> list[Stake]:
    """The bets that the canary is good enough."""
    line, found = question.lines.promote, []
    supposed = good_shares(line, _within(stable))
    for (_, weight), each in zip(NEARNESS, supposed, strict=True):
        bet = halfplane.better(line, each, _within(stable), share / (1 - share))
        if bet is not None:
            found.append(Stake(weight, gain(bet, (share, canary), (1 - share, stable))))
    return found


def seconds(needed: float, per_second: float) -> float:
    """How long it takes to have so much; never without anything that comes."""
    return needed / per_second if per_second > 0 else inf


def _within(share: float) -> float:
    return min(max(share, LEAST), 1 - LEAST)


def _kl(a: float, b: float) -> float:
    return a * log(a / b) + (1 - a) * log((1 - a) / (1 - b))
