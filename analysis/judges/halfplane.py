"""Bets against a line between two bad-request shares: the half-plane block e-variable.

Let θ_C, θ_S be the canary's and stable's share of bad requests. The null is a half-plane beside a line z_C = R·z_S +
d: below it (θ_C ≤ R·θ_S + d, to find a bad canary), or above it (θ_C ≥ R·θ_S + d, to find a good one). In a tick
with n_C, n_S requests and e_C, e_S bad ones a bet takes a point z of the line and a point a on the other side of it,
and pays

    ln s = e_C ln(a_C/z_C) + (n_C-e_C) ln((1-a_C)/(1-z_C)) + e_S ln(a_S/z_S) + (n_S-e_S) ln((1-a_S)/(1-z_S)).

E[s] ≤ 1 for every (θ_C, θ_S) of the null if the first-order condition holds:

    n_C·R·(a_C-z_C)/(z_C(1-z_C)) + n_S·(a_S-z_S)/(z_S(1-z_S)) = 0.                                                (*)

Proof. Given the n's, ln E[s] = n_C ln x(θ_C) + n_S ln y(θ_S) =: f(θ) with x, y affine, so f is concave; f(z) = 0,
and ∇f(z) = (n_C (a_C-z_C)/(z_C(1-z_C)), n_S (a_S-z_S)/(z_S(1-z_S))). By (*) f(θ) ≤ ⟨∇f(z), θ-z⟩ = c·(θ_C - R·θ_S -
d) with c = n_C (a_C-z_C)/(z_C(1-z_C)). Below the line c > 0 and the bracket is ≤ 0; above it c < 0 and the bracket
is ≥ 0. ∎

So z and one arm's a may be frozen for many ticks: the other arm's a follows from (*) and the tick's own n_C/n_S, in
closed form. The arm that a bet moves towards more bad requests is the one that follows, for then no noise in n_C/n_S
makes its share negative: the canary in a bet that it is worse, stable in a bet that the canary is better. The best z
for given a_C, a_S minimises n_C·kl(a_C, z_C) + n_S·kl(a_S, z_S); `bet` takes that one.
"""

from math import log, log1p
from typing import NamedTuple

from analysis.samples import Count
from analysis.spec import Line

_TINY = 1e-9
FULLEST = 0.98


class Bet(NamedTuple):
    """A frozen bet. One arm leads, its share is fixed; the other follows the lever, n_leader/n_follower of the tick."""

    hit: float
    """What a bad request of the leader adds: ln(a/z)."""
    miss: float
    """What a good request of the leader adds: ln((1-a)/(1-z))."""
    rise: float
    """For the follower a/z = 1 + rise·lever."""
    fall: float
    """For the follower (1-a)/(1-z) = 1 - fall·lever."""


def worse(line: Line, canary: float, stable: float, ratio: float) -> Bet | None:
    """The bet that the shares are `canary`, above the line, and `stable`; for ticks with about `ratio` = n_C/n_S.

    Stable leads. A ceiling (a line with ratio 0) looks at the canary alone: it leads, and stable follows nowhere.
    None when `canary` is not above the line or the line has no point to bet against.
    """
    if line.ratio == 0:
        return _leader(canary, line.offset, 0.0, 0.0) if line.offset < canary < FULLEST else None
    point = nearest(line, canary, stable, ratio)
    if point is None or not line.at(stable) < canary or not stable < point:
        return None
    border = line.at(point)
    pull = (point - stable) / (line.ratio * point * (1 - point))
    return _leader(stable, point, pull * (1 - border), pull * border)


def better(line: Line, canary: float, stable: float, ratio: float) -> Bet | None:
    """The bet that the shares are `canary`, below the line, and `stable`; for ticks with about `ratio` = n_C/n_S.

    The canary leads. None when `canary` is not below the line or the line has no point to bet against.
    """
    if line.ratio == 0:
        return _leader(canary, line.offset, 0.0, 0.0) if 0 < canary < line.offset else None
    point = nearest(line, canary, stable, ratio)
    if point is None or not canary < line.at(stable) or not point < stable:
        return None
    border = line.at(point)
    pull = line.ratio * (border - canary) / (border * (1 - border))
    return _leader(canary, border, pull * (1 - point), pull * point)


def fits(placed: Bet, lever: float) -> bool:
    """Whether the follower's share stays below 1 at this n_leader/n_follower."""
    return placed.fall * lever < FULLEST


def gain(placed: Bet, leader: Count, follower: Count) -> float:
    """ln s of one tick. Needs a bet that fits the lever."""
    lever = leader.requests / follower.requests
    gained = leader.bad * placed.hit + (leader.requests - leader.bad) * placed.miss
    gained += follower.bad * log1p(placed.rise * lever)
    return gained + (follower.requests - follower.bad) * log1p(-placed.fall * lever)


def _leader(share: float, border: float, rise: float, fall: float) -> Bet:
    return Bet(log(share / border), log1p((border - share) / (1 - border)), rise, fall)


def nearest(line: Line, canary: float, stable: float, ratio: float) -> float | None:
    """Stable's share at the point of the line nearest to (canary, stable) in weighted Kullback-Leibler distance.

    Any point of the line makes a valid bet; this one makes the strongest, so a few digits are enough.
    """
    if line.ratio == 0:
        return stable
    top = min(1.0, (1 - line.offset) / line.ratio)
    there = (canary - line.offset) / line.ratio
    low, high = max(min(stable, there), _TINY), min(max(stable, there), top - _TINY)
    if low >= high:
        return None
    weight = ratio * line.ratio
    point = (weight * there * line.ratio + stable) / (weight * line.ratio + 1)
    for _ in range(50):
        if not low < point < high:
            point = (low + high) / 2
        border = line.at(point)
        across, along = border * (1 - border), point * (1 - point)
        pull = weight * (border - canary) / across + (point - stable) / along
        if pull > 0:
            high = point
        else:
            low = point
        step = weight * line.ratio * (1 - (border - canary) * (1 - 2 * border) / across) / across
        step += (1 - (point - stable) * (1 - 2 * point) / along) / along
        moved = point - pull / step if step > 0 else (low + high) / 2
        if abs(moved - point) <= 1e-7 * point:
            return point
        point = moved
    return (low + high) / 2
