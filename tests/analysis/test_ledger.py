"""Many statements in one go: the numbers that the plain formulas gave, one by one, and the same in any company."""

import json
import random
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from analysis.judges import ledger
from analysis.judges.question import Question
from analysis.samples import Pair
from analysis.spec import ERROR_LINES, SLOW_LINES, ErrorRate, Latency, Line, Lines, Plan
from analysis.tables import Numbers
from bench.contenders import Ours, Together
from bench.scenarios import FIXED
from bench.traces import World

SCENARIOS = {scenario.name: scenario for scenario in FIXED}
NO_WARMUP = timedelta(0)
CEILINGS = (ErrorRate(max=0.02), Latency(slower_than=timedelta(milliseconds=300), max=0.05))
CASES = {
    "errors, late and noisy": ("A/A 1 %, noise 4", Plan(warmup=NO_WARMUP)),
    "resets": ("1 to 3 %, resets, missing scrapes", Plan(warmup=NO_WARMUP)),
    "silence": ("A/A 1 %, nobody asks for 10 min", Plan(warmup=timedelta(seconds=60))),
    "tail": ("latency tail, 50 log buckets", Plan(warmup=NO_WARMUP)),
    "ceilings": ("0.1 to 0.5 %, 100 rps, 5 %", Plan(warmup=NO_WARMUP, metrics=CEILINGS)),
    "change": ("1 to 1.5 %, 1000 rps, 5 %", Plan(warmup=NO_WARMUP, judge="change")),
    "few": ("A/A 0.1 %, 10 rps, 50 %", Plan(warmup=NO_WARMUP)),
}
BY_HAND = json.loads((Path(__file__).parent / "evidence_by_hand.json").read_text())
"""By case, [tick, [joint evidence, promote evidence of each metric]]: as statements one by one computed them, in plain
floats with one formula after the other, before there was a ledger.
"""


@pytest.mark.parametrize("case", CASES)
def test_the_evidence_is_what_the_formulas_give_one_by_one(case):
    name, plan = CASES[case]
    world = World(SCENARIOS[name], 7)
    judge = Ours(world.history(), plan=plan)
    expected = dict(BY_HAND[case])
    for number in range(1, max(expected) + 1):
        if number in (30, 70):
            judge.step_changed(world.now)
        judge.see(world.tick(SCENARIOS[name].weight if number < 30 else 0.25))
        state = judge.session.judge
        if number in expected:
            found = [sum(state.shares), *[metric.promote_evidence for metric in state.metrics]]
            assert found == pytest.approx(expected[number], rel=1e-9)


def test_no_number_depends_on_what_goes_along_with_it():
    rng = random.Random(3)
    lines = (ERROR_LINES, SLOW_LINES, Lines(rollback=Line(0, 0.02), promote=Line(0, 0.02)))
    questions = [Question(rng.choice(lines), 0.001, rng.choice((6, 8))) for _ in range(37)]
    alone = [ledger.begin(question).numbers.copy() for question in questions]
    together = np.hstack(alone)
    for number in range(40):
        pairs, halves, renewed = some(rng, len(questions)), some(rng, len(questions)), number % 7 == 0
        step(together, questions, pairs, None if number >= 10 else halves, renewed=renewed)
        for at, table in enumerate(alone):
            mine = None if number >= 10 else halves[:, [at]]
            step(table, [questions[at]], pairs[:, [at]], mine, renewed=renewed)
        assert together.tobytes() == np.hstack(alone).tobytes()


def step(table, questions, pairs, halves, *, renewed) -> None:
    """A judged tick, or where there are halves of stable's pods one before the run."""
    if halves is None:
        ledger.judge(table, pairs, questions, needed=np.full(len(questions), 7.6), renewed=renewed)
    else:
        ledger.learn(table, pairs, halves)


def some(rng: random.Random, count: int) -> Numbers:
    """What so many statements counted."""
    return np.array([_some(rng) for _ in range(count)], dtype=np.float64).T


def _some(rng: random.Random) -> Pair:
    canary, stable = rng.choice((0, 3, 40, 700)), rng.choice((0, 5, 900, 4000))
    return Pair(canary, rng.randint(0, canary // 20), stable, rng.randint(0, stable // 30))


def test_who_is_stepped_no_more_keeps_no_others_numbers():
    world = World(SCENARIOS["0.1 to 90 %, 100 rps, 5 %"], 7)
    judge = Together([world.history()] * 3, plan=Plan(warmup=NO_WARMUP))
    while judge.sessions[0].judge.bad is False:
        tick = world.tick(0.05)
        judge.see({0: tick, 1: tick})
    held = [metric.columns for metric in judge.sessions[0].judge.metrics]
    assert [columns.table.shape[1] for columns in held] == [len(columns) for columns in held]
