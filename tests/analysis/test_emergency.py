"""The emergency's bet: all outcomes counted out, and what it stakes over time."""

from collections.abc import Sequence
from math import comb

import numpy as np
import pytest

from analysis import tables
from analysis.judges import emergency
from analysis.judges.emergency import Emergency, Past
from analysis.samples import Pair
from analysis.spec import ERROR_LINES

LINE = ERROR_LINES.rollback


def after(blocks: Sequence[Pair], past: Past) -> Emergency:
    """The emergency after such ticks."""
    table = emergency.begin().numbers.copy()
    for block in blocks:
        emergency.step(table, np.array(block, dtype=np.float64).reshape(4, 1), lambda _: past)
    return emergency.read(tables.frozen(table))


def chance(number: int, bad: int, share: float) -> float:
    return comb(number, bad) * share**bad * (1 - share) ** (number - bad)


@pytest.mark.parametrize("stable_share", [0.0, 0.005, 0.03, 0.3])
@pytest.mark.parametrize("worse", [0.0, 1.0])
def test_on_and_inside_the_line_a_block_pays_no_more_than_its_stake(stable_share: float, worse: float) -> None:
    canary_share = stable_share + worse * (LINE.at(stable_share) - stable_share)
    canary, stable, expected = 50, 60, 0.0
    for bad in range(canary + 1):
        for theirs in range(stable + 1):
            block = Pair(canary, bad, stable, theirs)
            paid = after([block], Past(LINE, 0.004, 1.0)).evidence
            expected += chance(canary, bad, canary_share) * chance(stable, theirs, stable_share) * paid
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize(("bad", "evidence"), [(45, 2000), (8, 2000), (0, None)])
def test_half_or_a_tenth_failing_at_once_is_enough_in_one_tick(bad: int, evidence: float | None) -> None:
    found = after([Pair(50, bad, 950, 1)], Past(LINE, 0.001, 1.0)).evidence
    assert found >= evidence if evidence else found < 1


def test_in_traffic_that_comes_in_bursts_a_tenth_is_no_emergency() -> None:
    found = after([Pair(50, 8, 950, 1)], Past(LINE, 0.001, 3.0)).evidence
    assert found < 20


def test_all_stakes_together_are_one() -> None:
    state = after([Pair(50, 0, 950, 1)] * 200, Past(LINE, 0.001, 1.0))
    assert state.won == 0
    assert state.left == pytest.approx(1 / 201)
