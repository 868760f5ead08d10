"""Many statements in one go: the numbers that the plain formulas gave, one by one, and the same in any company."""

import json
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from analysis.judges import ledger
from analysis.judges.ledger import Ask
from analysis.judges.question import Question
from analysis.samples import Pair
from analysis.spec import ERROR_LINES, SLOW_LINES, ErrorRate, Latency, Line, Lines, Plan
from bench.contenders import Ours
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
    alone = [ledger.begin(question) for question in questions]
    together = b"".join(alone)
    for number in range(40):
        judged = number >= 10
        pairs = [_some(rng) for _ in questions]
        halves = () if judged else [_some(rng) for _ in questions]
        one = Ask(b"", (), judged=judged, needed=7.6, renewed=number % 7 == 0)
        asked = one._replace(rows=together, counts=flat(pairs), halves=flat(halves), questions=tuple(questions))
        [told] = ledger.answer([asked])
        assert told == ledger.read(told.numbers)
        each = [
            one._replace(rows=row, counts=pair, halves=flat(halves[at : at + 1]), questions=(question,))
            for at, (row, pair, question) in enumerate(zip(alone, pairs, questions, strict=True))
        ]
        together, alone = told.numbers, [ledger.answer([ask])[0].numbers for ask in each]
        assert together == b"".join(alone)


def flat(pairs: Sequence[Pair]) -> list[float]:
    return [number for pair in pairs for number in pair]


def _some(rng: random.Random) -> Pair:
    canary, stable = rng.choice((0, 3, 40, 700)), rng.choice((0, 5, 900, 4000))
    return Pair(canary, rng.randint(0, canary // 20), stable, rng.randint(0, stable // 30))
