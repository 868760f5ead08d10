"""What is foretold of the typed checks: no bet gains more than the bound, and the checks keep their times."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis import session
from analysis.checks import ClientErrorRate, OutlierRate, PredictionDrift, Reward, ShadowAgreement, TrafficSplit
from analysis.habits import summed
from analysis.information import Stake, Worse, better, counted_until, information
from analysis.judges.question import Question
from analysis.outlook import SOONEST, apart, moved, outlook, told, unknown
from analysis.samples import ArmTick, Count, Tick
from analysis.signals import agreement, drift
from analysis.signals.agreement import Table
from analysis.signals.shares import SHARE_LINES
from analysis.spec import ERROR_LINES, SLOW_LINES, Arm, Comparison, ErrorRate, Latency, Lines, Plan
from analysis.usual import Answers, Counted, Habits
from analysis.verdict import Verdict
from bench.checked import said_after
from bench.forecast import CASES

PLAN = Plan()
SHARES = st.floats(0.001, 0.6)
WEIGHTS = st.floats(0.01, 0.9)
LINES = st.sampled_from([ERROR_LINES, SLOW_LINES, SHARE_LINES])
CHECKS = (ClientErrorRate(), OutlierRate(), Reward(), ShadowAgreement(), TrafficSplit(), PredictionDrift())
NAMES = st.sampled_from(CHECKS)
CLASSES = {"setosa": 0.6, "virginica": 0.3, "versicolor": 0.1}


def usual(share: float = 0.02, rate: float = 20.0) -> Habits:
    counted = {check.name: Counted(rate, share) for check in CHECKS[:4]}
    return Habits(rate, share, {}, counted, Answers(rate, CLASSES))


@given(lines=LINES, canary=SHARES, stable=SHARES, weight=WEIGHTS)
def test_no_bet_gains_more_than_the_bound_of_all_judges(lines, canary, stable, weight):
    """E[s] ≤ 1 at each point z of the null, so by Gibbs the gain is at most kl(θ, z), and so at the nearest of them."""
    asked = Question(lines, 0.01)
    if canary > lines.rollback.at(stable):
        most = information(lines.rollback, canary, stable, weight)
        assert all(one.gain <= most + 1e-6 for one in Worse(asked, stable, weight).of(canary))
    if canary < lines.promote.at(stable):
        most = information(lines.promote, canary, stable, weight)
        assert all(one.gain <= most + 1e-6 for one in better(asked, canary, stable, weight))


@given(lines=LINES, stable=SHARES, within=st.floats(0, 1), weight=WEIGHTS)
def test_no_bet_gains_within_what_it_refutes(lines, stable, within, weight):
    asked = Question(lines, 0.01)
    canary = within * min(1.0, lines.rollback.at(stable))
    assert all(one.gain <= 1e-9 for one in Worse(asked, stable, weight).of(canary))
    border = min(1.0, lines.promote.at(stable))
    assert all(one.gain <= 1e-9 for one in better(asked, border + within * (1 - border), stable, weight))


@given(most=st.floats(0.01, 0.5), canary=SHARES, stable=SHARES, weight=WEIGHTS)
def test_a_ceiling_looks_at_the_canary_alone(most, canary, stable, weight):
    line = agreement.begin(ShadowAgreement(max=most)).lines
    question = Question(Lines(line.rollback, line.promote), 0.01)
    found, other = (Worse(question, each, weight).of(canary) for each in (stable, stable / 2))
    assert found == other


@given(canary=SHARES, stable=SHARES, together=st.floats(0, 1), promote=st.booleans())
def test_of_all_copies_with_these_shares_those_whose_differences_exclude_each_other_gain_least(
    canary, stable, together, promote
):
    """ln(1 + λ·x) is concave in x = D_C - R·D_S - d, so its mean is least where x lies furthest apart."""
    least, most = max(0.0, canary + stable - 1), min(canary, stable)
    both = least + together * (most - least)
    scaled = [round(10**9 * part) for part in (both, canary - both, stable - both, 1 - canary - stable + both)]
    lines = agreement.begin(ShadowAgreement()).lines
    line = lines.promote if promote else lines.rollback
    stakes = agreement.safe_stakes(line) if promote else agreement.stakes(line)
    least_of_all = agreement.gains(stakes, line, apart(canary, stable))
    any_of_them = agreement.gains(stakes, line, Table(*scaled))
    assert all(few <= many + 100 for few, many in zip(least_of_all, any_of_them, strict=True))  # of 10⁹ copies


@given(parts=st.lists(st.floats(0.01, 1), min_size=1, max_size=6), part=st.floats(0, 1))
def test_a_moved_distribution_is_one_and_further_away_the_more_is_moved(parts, part):
    stable = {f"class-{number}": each / sum(parts) for number, each in enumerate(parts)}
    canary = moved(stable, "class-0", part)
    assert sum(canary.values()) == pytest.approx(1)
    assert drift.index(stable, stable) == 0
    assert drift.index(canary, stable) <= drift.index(moved(stable, "class-0", min(1.0, 1.5 * part)), stable) * (
        1 + 1e-9
    )


@given(check=NAMES, share=st.floats(0.001, 0.2), weight=WEIGHTS, more=st.floats(1, 50))
def test_more_of_it_is_never_slower_and_a_larger_change_never_noticed_later(check, share, weight, more):
    now, then = (outlook(check, usual(share, rate), PLAN, weight, needed=20) for rate in (5.0, 5.0 * more))
    assert then.good <= now.good * (1 + 1e-9)
    for few, many in zip(now.noticed, then.noticed, strict=True):
        assert many.after <= few.after * (1 + 1e-9)
        assert few.after >= SOONEST
    small, large = now.noticed
    assume(not isinstance(check, ClientErrorRate | OutlierRate) or share < 0.05)  # beyond, twice as many are more
    assert large.after <= small.after * (1 + 1e-9)


@given(check=NAMES, share=st.floats(0.001, 0.2), weight=WEIGHTS, strict=st.floats(0.001, 0.05))
def test_a_smaller_alpha_takes_longer(check, share, weight, strict):
    usually, late = (outlook(check, usual(share), Plan(alpha=alpha), weight, needed=20) for alpha in (0.05, strict))
    assert all(one.after <= other.after for one, other in zip(usually.noticed, late.noticed, strict=True))


def test_what_a_check_lets_pass_is_never_noticed():
    odd, far = outlook(TrafficSplit(tolerance=2), usual(), PLAN, 0.1, needed=20).noticed
    assert (odd.after, far.after < inf) == (inf, True)
    slight = outlook(PredictionDrift(max=0.5), usual(), PLAN, 0.1, needed=20).noticed
    assert slight[0].after == inf
    assert outlook(OutlierRate(), usual(0.01), PLAN, 0.1, needed=20).noticed[0].after == inf  # 2 % of 1.75 %
    assert outlook(ClientErrorRate(max=0.01), usual(0.02), PLAN, 0.1, needed=20).good == inf  # it never lies below


def test_what_nobody_counts_is_not_foretold_and_says_why():
    nothing = Habits(20, 0.01, {})
    said = {check.name: unknown(check, nothing) for check in CHECKS}
    assert said.pop("traffic") == ""
    assert all(said.values())
    assert "no copy was compared" in said["shadowAgreement"]
    assert all(outlook(check, nothing, PLAN, 0.1, needed=20) is None for check in CHECKS if check.name in said)
    assert not any(unknown(check, usual()) for check in CHECKS)


PROMPT = {
    "clientErrorRate: 2 %, 20 a second, 50 %",
    "outlierRate: 5 %, 20 a second, 50 %",
    "reward: 30 %, 20 a second, 50 %",
    "shadowAgreement: 5 %, 2 a second, 50 %",
    "traffic: 5 a second, 25 %",
    "predictionDrift: 3 classes, 5 a second, 50 %",
}


@pytest.mark.parametrize("case", [case for case in CASES if case.name in PROMPT], ids=lambda case: case.metric.name)
def test_the_checks_keep_the_times_that_are_foretold(case):
    """The larger change of each, on the seeds of the benchmark: the median is not later, and no tenth of it."""
    seen = told(case.metric, case.habits, Plan(), case.weight)
    expected = outlook(case.metric, case.habits, Plan(), case.weight, needed=20).noticed[1].after
    took = statistics.median(said_after(case, seen.changes[1].canary, Verdict.BAD, seed) for seed in range(15))
    assert expected / 10 < took <= expected


def test_evidence_is_there_when_its_strongest_alternative_has_it():
    assert counted_until([], 100) == counted_until([Stake(1.0, -1.0)], 100) == inf
    assert counted_until([Stake(1.0, 0.5), Stake(0.01, 1.0)], 100) == pytest.approx(4.60517 / 0.5)
    assert counted_until([Stake(1.0, 0.5), Stake(0.9, 1.0)], 100) == pytest.approx(4.60517 + 0.10536)


def metrics(actions: Sequence[str]):
    kinds = (ErrorRate, Latency, TrafficSplit, OutlierRate)
    return tuple([kind(action=action) for kind, action in zip(kinds, actions, strict=True)])


@given(actions=st.lists(st.sampled_from(["abort", "pause", "warn"]), min_size=4, max_size=4))
def test_what_a_metric_needs_is_what_its_session_holds_it_against(actions):
    assume("abort" in actions)
    plan = Plan(metrics=metrics(actions))
    arm = Arm("ml", "iris")
    begun = session.begin(
        Comparison(key=("ml", "iris"), stable=arm, canary=arm, plan=plan, started_at=datetime(2026, 5, 4, tzinfo=UTC))
    )
    for signal in begun.signals:
        assert signal.terms.needed == pytest.approx(plan.needed_by(signal.metric))
    for metric, judge in begun.asides:
        assert judge.plan.needed == pytest.approx(plan.needed_by(metric))
    if begun.judge is not None:
        together = [metric for metric in plan.compared if metric.action == "abort"]
        assert {round(plan.needed_by(metric), 6) for metric in together} == {round(begun.judge.plan.needed, 6)}


def test_habits_tell_what_each_check_counts():
    pairs = {("compare", f"both/{name}"): float(count) for name, count in zip(
        ("disagree", "canary", "stable", "agree"), (1, 2, 3, 94), strict=True
    )}  # fmt: skip
    counted = {("row", ""): 400.0, ("outlier", ""): 8.0, ("feedback", ""): 50.0, ("reward", ""): 20.0}
    classes = {("class", "setosa"): 300.0, ("class", "virginica"): 100.0}
    stable = ArmTick(served=Count(500, 5), refused=10, signals=counted | classes)
    canary = ArmTick(served=Count(100, 1), refused=9, signals=counted | classes | pairs)
    found = summed([Tick(60, 60, stable, canary), Tick(120, 60, stable, canary)], beside=True, checks=CHECKS)
    assert found.counted == {
        "clientErrorRate": Counted(10.0, 0.02),
        "outlierRate": Counted(pytest.approx(800 / 60), 0.02),
        "reward": Counted(pytest.approx(100 / 60), pytest.approx(0.6)),
        "shadowAgreement": Counted(pytest.approx(100 / 60), pytest.approx(0.04)),
    }
    assert found.answers == Answers(pytest.approx(800 / 60), {"setosa": 0.75, "virginica": 0.25})
    alone = summed([Tick(60, 60, stable, ArmTick())], beside=False, checks=CHECKS)
    assert "shadowAgreement" not in alone.counted
    assert alone.counted["reward"].rate == pytest.approx(50 / 60)
