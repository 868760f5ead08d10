"""Evidence over many ticks: Ville's bound by simulation, copies that start later, noise that is learned."""

import random

import numpy as np
import pytest

from analysis import tables
from analysis.judges import dispersion, ledger, statement, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.parts import EXPECTED_ERRORS
from analysis.judges.question import Question
from analysis.samples import Pair
from analysis.spec import ERROR_LINES, Line, Lines, Plan
from bench.chance import binomial, poisson

NEEDED = Plan().nats
NO_CAP = 1200.0


def ticks(seed: int, *, canary: float, stable: float, each: int, share: float, count: int) -> list[Pair]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        requests = poisson(rng, each)
        mine = binomial(rng, requests, share)
        theirs = requests - mine
        found.append(Pair(mine, binomial(rng, mine, canary), theirs, binomial(rng, theirs, stable)))
    return found


def crossed(runs: list[list[Pair]], lines: Lines, *, needed: float) -> list[tuple[bool, bool]]:
    """Of each run: whether the evidence ever reached 20:1, on the rollback side and on the promote side."""
    questions = (Question(lines, EXPECTED_ERRORS),) * len(runs)
    table, found = tables.beside([ledger.begin(question) for question in questions]), [(False, False)] * len(runs)
    for pairs in zip(*runs, strict=True):
        ledger.judge(table, np.array(pairs, dtype=np.float64).T, questions, needed=np.full(len(runs), needed))
        for number, (worse, better) in enumerate(found):
            now = table[[ledger.WORSE_EVIDENCE, ledger.BETTER_EVIDENCE], number]
            found[number] = (worse or now[0] >= 20, better or now[1] >= 20)
    return found


@pytest.mark.parametrize(
    ("stable", "each", "share"), [(0.01, 300, 0.2), (0.05, 60, 0.5)], ids=["1 % errors, 20 % canary", "5 %, half"]
)
def test_on_the_line_itself_looking_at_every_tick_errs_no_more_often_than_promised(stable, each, share):
    runs = 250
    line = Line(1.3, 0.002)
    pairs = [
        ticks(seed, canary=line.at(stable), stable=stable, each=each, share=share, count=60) for seed in range(runs)
    ]
    wrong = crossed(pairs, Lines(rollback=line, promote=line), needed=NO_CAP)
    # 5 % promised; 3.5 standard deviations of 250 draws are 4.8 %.
    assert sum(worse for worse, _ in wrong) <= runs * 0.098
    assert sum(better for _, better in wrong) <= runs * 0.098


def test_a_canary_on_the_promote_line_gets_its_weights_no_more_often_than_promised():
    """Whole rollouts: the weight goes up at 6:1, which depends on what was seen, and the last step asks for 20:1."""
    runs, weights, plan = 250, (0.05, 0.25, 0.5), Plan()
    line = Line(1.3, 0.002)
    question = Question(Lines(rollback=line, promote=line), EXPECTED_ERRORS)
    table, rngs = tables.beside([ledger.begin(question)] * runs), [random.Random(seed) for seed in range(runs)]
    steps = [0] * runs
    for _ in range(90):
        pairs = [drawn(rng, weights[min(step, 2)], line) for rng, step in zip(rngs, steps, strict=True)]
        counts = np.array(pairs, dtype=np.float64).T
        ledger.judge(table, counts, (question,) * runs, needed=np.full(runs, NO_CAP))
        for number, step in enumerate(steps):
            better = table[ledger.BETTER_EVIDENCE, number]
            steps[number] += step < 3 and better >= (plan.step_needed if step < 2 else plan.promote_needed)
    second, promoted = sum(step >= 1 for step in steps), sum(step == 3 for step in steps)
    # 1/6 and 5 % promised; 3.5 standard deviations of 250 draws are 8.2 % and 4.8 %.
    assert promoted <= second
    assert second <= runs * 0.249
    assert promoted <= runs * 0.098


def drawn(rng: random.Random, share: float, line: Line) -> Pair:
    requests = poisson(rng, 300)
    mine = binomial(rng, requests, share)
    return Pair(mine, binomial(rng, mine, line.at(0.01)), requests - mine, binomial(rng, requests - mine, 0.01))


def test_a_worse_canary_is_found_and_an_equal_one_is_found_good():
    worse = ticks(1, canary=0.05, stable=0.01, each=500, share=0.2, count=120)
    equal = ticks(2, canary=0.01, stable=0.01, each=500, share=0.2, count=120)
    assert crossed([worse, equal], ERROR_LINES, needed=NEEDED) == [(True, False), (False, True)]


def test_a_copy_that_starts_at_a_step_change_finds_a_late_regression_earlier():
    before = ticks(3, canary=0.01, stable=0.01, each=1000, share=0.1, count=120)
    after = ticks(4, canary=0.02, stable=0.01, each=1000, share=0.1, count=200)

    def delay(*, restart: bool) -> int:
        asked = statement.ask(Question(ERROR_LINES, EXPECTED_ERRORS))
        for pair in before:
            asked = statement.step(asked, pair, needed=NEEDED)
        if restart:
            asked = statement.restart(asked, 1)
        for number, pair in enumerate(after):
            asked = statement.step(asked, pair, needed=NEEDED)
            if asked.worse >= 100:
                return number
        return len(after)

    assert delay(restart=True) < delay(restart=False)


def test_all_copies_together_weigh_one():
    mixed = wealth.begin([1 / 13] * 13, reserve=wealth.RESERVE)
    assert mixed.evidence == pytest.approx(1)
    for number in range(1, 40):
        mixed = wealth.restart(mixed, number)
        assert mixed.evidence == pytest.approx(1)
        assert mixed.reserve > 0


@pytest.mark.parametrize("noise", [1.0, 6.0])
def test_the_noise_is_learned_whatever_the_difference_between_the_arms(noise):
    rng = random.Random(5)
    seen = Dispersion()
    for _ in range(400):
        shares = [0.05, 0.02]
        if noise > 1:  # a gamma-distributed share makes the count's variance `noise` times its mean
            shares = [
                rng.gammavariate(mean * size / (noise - 1), (noise - 1) / size)
                for mean, size in ((0.05, 400), (0.02, 2000))
            ]
        seen = dispersion.observed(
            seen, Pair(400, binomial(rng, 400, min(1, shares[0])), 2000, binomial(rng, 2000, min(1, shares[1])))
        )
    estimate = dispersion.estimate(Dispersion(), seen)
    assert noise * 0.8 < estimate < noise * 1.5


def test_a_common_incident_is_not_noise():
    rng = random.Random(6)
    seen = Dispersion()
    for number in range(300):
        factor = 10 if number % 20 < 4 else 1
        seen = dispersion.observed(
            seen, Pair(300, binomial(rng, 300, 0.01 * factor), 900, binomial(rng, 900, 0.01 * factor))
        )
    assert dispersion.estimate(Dispersion(), seen) < 1.35


def test_before_anything_is_known_the_noise_is_taken_as_large():
    assert dispersion.estimate(Dispersion(), Dispersion()) == pytest.approx(1.5 * (1 + 6**-0.5))
