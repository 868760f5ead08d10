"""The change detector: how rarely it alarms for nothing, how soon it sees what begins late, and what it says."""

import random
import statistics
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import session, tables
from analysis.judges import ledger, statement
from analysis.judges.parts import EXPECTED_ERRORS
from analysis.judges.question import Question
from analysis.samples import ArmTick, Count, Pair, Tick
from analysis.spec import ERROR_LINES, RUN_LENGTH, Arm, Comparison, ErrorRate, Line, Lines, Plan
from analysis.verdict import Verdict
from bench.chance import binomial
from bench.contenders import Ours
from bench.traces import Scenario, World

START = 1_700_000_000
WATCH = Plan(judge="change", warmup=timedelta(0), metrics=(ErrorRate(),))


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=40))
def test_it_is_never_more_than_all_products_that_begin_at_some_tick(factors) -> None:
    held, since_each = 1.0, []
    for factor in factors:
        held = max(held, 1.0) * factor
        since_each = [product * factor for product in [*since_each, 1.0]]
        assert held <= sum(since_each) * (1 + 1e-12)


def test_what_was_lost_before_a_change_comes_back_and_no_copy_waits() -> None:
    asked = statement.ask(Question(ERROR_LINES, EXPECTED_ERRORS))
    for _ in range(60):
        asked = statement.step(asked, Pair(100, 0, 900, 9), needed=15.0)
    assert asked.worse < 0.5
    nothing = Pair(0, 0, 900, 9)
    assert statement.step(asked, nothing, needed=15.0).worse == asked.worse
    assert statement.step(asked, nothing, needed=15.0, renewed=True).worse == pytest.approx(1)


def test_on_the_line_itself_false_alarms_are_as_far_apart_as_promised() -> None:
    line, needed, most = Line(1.3, 0.002), 60.0, 600
    question = Question(Lines(rollback=line, promote=line), EXPECTED_ERRORS)
    runs = 60
    chances = [random.Random(seed) for seed in range(runs)]
    table, questions = tables.beside([ledger.begin(question)] * runs), (question,) * runs
    lengths: dict[int, int] = {}
    for number in range(1, most + 1):
        pairs = [Pair(100, binomial(rng, 100, line.at(0.02)), 200, binomial(rng, 200, 0.02)) for rng in chances]
        counts = np.array(pairs, dtype=np.float64).T
        ledger.judge(table, counts, questions, needed=np.full(runs, 1200.0), renewed=True)
        for run in (table[ledger.WORSE_EVIDENCE] >= needed).nonzero()[0]:
            lengths.setdefault(int(run), number)
    assert statistics.mean(lengths.get(run, most) for run in range(runs)) >= needed


def watched(scenario: Scenario, seed: int, *, ticks: int, plan: Plan = WATCH) -> int | None:
    """The tick of the alarm."""
    world = World(scenario, seed, latencies=False)
    judge = Ours(world.history(), plan=plan)
    for number in range(1, ticks + 1):
        if judge.see(world.tick(scenario.weight)) == "bad":
            return number
    return None


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_an_equal_canary_bakes_for_an_hour_without_alarm(noise: float) -> None:
    scenario = Scenario(name="bake", stable_errors=0.01, canary_errors=0.01, weight=0.95, noise=noise)
    assert [watched(scenario, seed, ticks=360) for seed in range(6)] == [None] * 6


def test_a_change_after_an_hour_is_seen_as_soon_as_one_after_ten_minutes() -> None:
    def delay(onset: int) -> float:
        scenario = Scenario(name="late", stable_errors=0.01, canary_errors=0.03, weight=0.95, onset=onset)
        found = [watched(scenario, seed, ticks=onset // 10 + 200) for seed in range(8)]
        return statistics.median(tick - onset / 10 for tick in found if tick is not None)

    assert delay(3600) <= 1.5 * delay(600)


def begin(**fields) -> session.Session:
    arms, started = (Arm("ml", "iris-1"), Arm("ml", "iris-2")), datetime.fromtimestamp(START, UTC)
    plan = Plan(judge="change", warmup=timedelta(0), metrics=(ErrorRate(),), **fields)
    return session.begin(Comparison(key=("ml", "iris"), stable=arms[0], canary=arms[1], plan=plan, started_at=started))


def fed(state: session.Session, canary: Count, stable: Count, ticks: int) -> session.Session:
    for _ in range(ticks):
        at = (state.at or START) + 10
        state = session.step(state, Tick(at, 10, ArmTick(served=stable), ArmTick(served=canary)))
    return state


def test_it_says_what_it_counted_and_when_it_would_alarm() -> None:
    found = session.judge(fed(begin(), Count(950, 9), Count(50, 1), 5))
    assert found.verdict is Verdict.GOOD
    assert "failed requests: 0.95 % against 2.0 % on stable, 4,750 requests, no change for the worse" in found.message
    assert "(alarm at 259,200:1)" in found.message
    assert found.findings[0].needed == RUN_LENGTH


def test_too_few_requests_or_none_on_stable_are_not_good() -> None:
    few = session.judge(fed(begin(), Count(9, 0), Count(1, 0), 5))
    alone = session.judge(fed(begin(), Count(900, 0), Count(), 5))
    assert (few.verdict, alone.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert "needs at least 100, and some on stable" in few.message


def test_an_alarm_is_final() -> None:
    alarmed = fed(begin(), Count(950, 300), Count(50, 1), 20)
    assert session.judge(alarmed).verdict is Verdict.BAD
    assert "it changed for the worse: evidence" in session.judge(alarmed).message
    assert session.judge(fed(alarmed, Count(950, 0), Count(50, 0), 50)).verdict is Verdict.BAD


def test_the_lines_are_those_of_the_rollout() -> None:
    within = fed(begin(), Count(9500, 0), Count(500, 0), 1)
    slightly = fed(within, Count(95_000, 1000), Count(5_000, 50), 100)  # 1.05 % against 1 %: nobody minds
    assert ERROR_LINES.rollback.at(0.01) > 0.0105
    assert session.judge(slightly).verdict is Verdict.GOOD
