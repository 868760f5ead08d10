"""E[s] <= 1 for every point of the null, by counting out all outcomes."""

from math import comb, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.judges import halfplane, wealth
from analysis.judges.halfplane import Bet
from analysis.judges.question import Question, place
from analysis.spec import ERROR_LINES, SLOW_LINES, Line, Lines

LINES = (Line(1, 0), Line(1.1, 0.0005), Line(1.5, 0.005), Line(1.25, 0.01), Line(2, 0.1), Line(0, 0.02))
SIZES = ((3, 7), (5, 5), (1, 12), (8, 2))
BETS = ((0.01, 0.1), (0.1, 0.3), (0.001, 0.5), (0.3, 0.9))
NO_CAP = 600.0


def chance(requests: int, share: float) -> list[float]:
    return [comb(requests, bad) * share**bad * (1 - share) ** (requests - bad) for bad in range(requests + 1)]


def expected(
    bet: Bet, sizes: tuple[int, int], shares: tuple[float, float], *, leads: str, phi=1.0, cap=NO_CAP
) -> float:
    """E[s] when canary and stable have these sizes and these true shares, over all outcomes."""
    outcomes = np.indices((sizes[0] + 1, sizes[1] + 1), dtype=float).reshape(2, -1)
    chances = np.outer(chance(sizes[0], shares[0]), chance(sizes[1], shares[1])).ravel()
    arms = [np.array([np.full(len(chances), size), bad]) for size, bad in zip(sizes, outcomes, strict=True)]
    leader, follower = arms if leads == "canary" else arms[::-1]
    paid = wealth.play(np.ones((1, len(chances))), np.array(bet).reshape(4, 1, 1), leader, follower, phi=phi, cap=cap)
    return float(chances @ paid[0])


def null(line: Line, side: str) -> list[tuple[float, float]]:
    """Points on the line and within the half-plane that the bet stakes against."""
    points = []
    for stable in (0.0, 0.001, 0.02, 0.1, 0.25, 0.4, 0.6, 0.85, 1.0):
        for inside in (0.0, 0.02, 0.3):
            canary = line.at(stable) + (inside if side == "better" else -inside)
            if 0 <= canary <= 1:
                points.append((canary, stable))
    return points


def bets(line: Line, sizes: tuple[int, int], side: str) -> list[tuple[Bet, str]]:
    """Bets placed for this traffic ratio and for others, as they are when the ratio moves while they are frozen."""
    found = []
    for stable, canary in BETS:
        for ratio in (sizes[0] / sizes[1], 1.7 * sizes[0] / sizes[1], 0.6 * sizes[0] / sizes[1]):
            if side == "worse":
                bet, leads = halfplane.worse(line, canary, stable, ratio), "stable" if line.ratio else "canary"
            else:
                bet, leads = halfplane.better(line, 0.3 * line.at(stable), stable, ratio), "canary"
            lever = sizes[0] / sizes[1] if leads == "canary" else sizes[1] / sizes[0]
            if bet is not None and halfplane.fits(bet, lever):
                found.append((bet, leads))
    return found


@pytest.mark.parametrize("side", ["worse", "better"])
@pytest.mark.parametrize("line", LINES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_no_outcome_of_the_null_makes_a_bet_profitable(line, sizes, side):
    placed = bets(line, sizes, side)
    assert placed
    for bet, leads in placed:
        for shares in null(line, side):
            for phi, cap in ((1.0, NO_CAP), (1.0, 0.4), (2.5, NO_CAP), (1.7, 0.3)):
                assert expected(bet, sizes, shares, leads=leads, phi=phi, cap=cap) <= 1 + 1e-9


def test_the_count_is_exact_on_the_line_and_profitable_beyond_it():
    line, sizes = Line(1.1, 0.0005), (5, 9)
    bet = halfplane.worse(line, 0.4, 0.1, sizes[0] / sizes[1])
    touching = max(
        expected(bet, sizes, (line.at(stable / 1000), stable / 1000), leads="stable") for stable in range(900)
    )
    assert touching == pytest.approx(1, abs=1e-4)
    assert expected(bet, sizes, (0.4, 0.1), leads="stable") > 1.3


@pytest.mark.parametrize("lines", [ERROR_LINES, SLOW_LINES, Lines(Line(0, 0.02), Line(0, 0.02))], ids=str)
def test_the_mixture_that_the_judge_plays_is_not_profitable_under_the_null(lines):
    sizes = (4, 6)
    for base in (0.0001, 0.01, 0.2):
        worse, better = place(Question(lines, 0.01), base, sizes[0] / sizes[1])
        for side, placed, line in (("worse", worse.each, lines.rollback), ("better", better.each, lines.promote)):
            leads = "stable" if side == "worse" and line.ratio else "canary"
            for shares in null(line, side):
                assert sum(expected(bet, sizes, shares, leads=leads) for bet in placed) <= len(placed) * (1 + 1e-9)


@given(
    ratio=st.just(0.0) | st.floats(0.01, 3),
    offset=st.floats(1e-6, 0.3),
    stable=st.floats(1e-5, 0.9),
    canary=st.floats(1e-5, 0.97),
    traffic=st.floats(0.05, 20),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    true=st.floats(0, 1),
    inside=st.floats(0, 0.5),
)
@settings(max_examples=300, deadline=None)
def test_any_bet_against_any_line_stays_fair(ratio, offset, stable, canary, traffic, sizes, true, inside):
    line = Line(ratio, offset)
    above = canary > line.at(stable) if ratio else canary > offset
    bet = (halfplane.worse if above else halfplane.better)(line, canary, stable, traffic)
    assume(bet is not None)
    leads = "stable" if above and ratio else "canary"
    assume(halfplane.fits(bet, sizes[0] / sizes[1] if leads == "canary" else sizes[1] / sizes[0]))
    share = line.at(true) - inside if above else line.at(true) + inside
    assume(0 <= share <= 1)
    assert expected(bet, sizes, (share, true), leads=leads) <= 1 + 1e-9


def test_the_best_point_of_the_line_is_the_nearest_in_kullback_leibler_distance():
    def distance(point: float, ratio: float) -> float:
        def kl(a: float, b: float) -> float:
            return a * log(a / b) + (1 - a) * log((1 - a) / (1 - b))

        return ratio * kl(0.05, line.at(point)) + kl(0.01, point)

    line = Line(1.1, 0.0005)
    for ratio in (0.02, 0.3, 1.0, 9.0):
        point = halfplane.nearest(line, 0.05, 0.01, ratio)
        assert distance(point, ratio) <= min(distance(n / 100_000, ratio) for n in range(500, 6000))


@pytest.mark.parametrize(
    ("canary", "stable"), [(0.011, 0.01), (0.0, 0.01), (0.5, 0.5)], ids=["below", "none", "on a line beyond it"]
)
def test_a_bet_on_the_wrong_side_of_the_line_is_not_placed(canary, stable):
    assert halfplane.worse(Line(1.1, 0.0005), canary, stable, 0.1) is None
