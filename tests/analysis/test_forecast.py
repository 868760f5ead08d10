"""How long the judge will need: the published information, the benchmark's bounds, and what must hold everywhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis import session
from analysis.checks import OutlierRate
from analysis.forecast import (
    CATCH_OVERHEAD,
    CHANGES,
    Change,
    better_weights,
    compared_by,
    forecast,
    judged_edges,
    shadow,
    start,
    tail,
)
from analysis.habits import summed, ticks
from analysis.information import SOONEST, information
from analysis.judges import emergency
from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import ERROR_LINES, Arm, Comparison, ErrorRate, Latency, Line, Plan
from analysis.usual import Counted, Habits
from bench.traces import START, Scenario, World

EQUAL = Line(1.0, 0.0)
PLAN = Plan()
ERRORS = Plan(metrics=(ErrorRate(),))
SHARES = st.floats(0.0001, 0.4)
WEIGHTS = st.floats(0.005, 0.9)
SLOW = {0.1: 0.3, 0.25: 0.02, 0.5: 0.001, 1.0: 0.0}
habits = st.builds(Habits, st.floats(0.1, 5000), SHARES, st.just(SLOW))


@pytest.mark.parametrize(
    ("stable", "canary", "weight", "requests"),
    [
        (0.0001, 0.001, 0.01, 337_709),
        (0.001, 0.002, 0.05, 254_305),
        (0.001, 0.005, 0.5, 6_310),
        (0.01, 0.015, 0.25, 23_281),
        (0.01, 0.02, 0.1, 13_448),
        (0.05, 0.1, 0.5, 1_004),
        (0.001, 0.1, 0.1, 225),
    ],
)
def test_requests_needed_against_equality_are_those_of_the_exact_mixture(stable, canary, weight, requests):
    """With the line R=1, d=0 the nearest point is both arms' mean: I = w·kl(θ_C, m) + (1-w)·kl(θ_S, m)."""
    assert log(100) / information(EQUAL, canary, stable, weight) == pytest.approx(requests, rel=0.003, abs=1)


@pytest.mark.parametrize(
    ("stable", "factor", "weight", "rate", "seconds"),
    [(0.001, 5, 0.05, 10, 4254), (0.001, 5, 0.5, 100, 93), (0.01, 2, 0.05, 100, 378), (0.01, 1.5, 0.05, 1000, 199)],
)
def test_times_to_catch_are_never_sooner_than_the_benchmarks_bounds_and_not_much_later(
    stable, factor, weight, rate, seconds
):
    found = forecast(Habits(rate, stable, SLOW), PLAN, weight)
    caught = found.caught[CHANGES.index(Change("errors", factor=factor))]
    assert seconds <= caught <= 1.8 * CATCH_OVERHEAD * seconds


@pytest.mark.parametrize(("stable", "factor"), [(0.05, 1.2), (0.01, 1.2), (0.0022, 1.5)])
def test_what_lies_too_near_the_line_for_every_bet_is_never_caught(stable, factor):
    """It lies beyond the line, so there is a bound; but in an hour of 1,000 requests a second none was found."""
    canary = factor * stable
    assert canary > ERROR_LINES.rollback.at(stable)
    assert information(ERROR_LINES.rollback, canary, stable, 0.1) > 0
    found = forecast(Habits(1000, stable, SLOW), PLAN, 0.1)
    assert found.caught[CHANGES.index(Change("errors", factor=factor))] == inf


def test_a_ceiling_of_ones_own_catches_what_the_comparison_lets_pass_and_bars_what_lies_above():
    usual, strict = Habits(100, 0.03, SLOW), Plan(metrics=(ErrorRate(max=0.02),))
    number = CHANGES.index(Change("errors", factor=1.2))
    assert forecast(usual, ERRORS, 0.1).caught[number] > forecast(usual, strict, 0.1).caught[number]
    assert forecast(usual, strict, 0.1).promote == inf
    slow = Latency(slower_than=timedelta(seconds=0.25), max=0.01)  # 2 % are slower
    assert forecast(usual, Plan(metrics=(slow,)), 0.1).promote == inf
    assert forecast(usual, Plan(metrics=(replace(slow, max=0.04),)), 0.1).promote < inf
    assert forecast(usual, Plan(metrics=(replace(slow, slower_than=timedelta(seconds=0.01)),)), 0.1).promote == inf


def test_only_what_is_required_is_waited_for():
    few = Habits(100, 0.001, {})  # latency has no edge
    assert forecast(few, PLAN, 0.1).promote == inf
    assert forecast(few, Plan(metrics=(ErrorRate(), Latency(required=False))), 0.1).promote < inf
    checks = (ErrorRate(), OutlierRate(required=True))
    seldom = replace(few, counted={"outlierRate": Counted(0.01, 0.02)})
    assert forecast(seldom, Plan(metrics=checks), 0.1).promote > forecast(few, Plan(metrics=checks), 0.1).promote


@pytest.mark.parametrize("plan", [PLAN, ERRORS, Plan(metrics=(ErrorRate(max=0.1), Latency(action="pause")))])
def test_what_is_foretold_asks_what_the_judge_asks(plan):
    arm, start = Arm("ml", "iris"), datetime(2026, 5, 4, tzinfo=UTC)
    state = session.begin(Comparison(key=("ml", "iris"), stable=arm, canary=arm, plan=plan, started_at=start))
    world = World(Scenario(name="usual"), 1)
    for tick in world.history(60):
        state = session.step(state, tick._replace(at=int(start.timestamp()) - 10 + tick.at - START))
    for _ in range(12):
        tick = world.tick(0.1)
        state = session.step(state, tick._replace(at=int(start.timestamp()) + tick.at - START))
    for judge in (state.judge, *[judge for _, judge in state.asides]):
        for judged in judge.metrics:
            metric = next(one for one in plan.compared if one.name == judged.metric.name)
            parts = [part for part in judged.parts if not part.ceiling]
            asked, weight = compared_by(plan, metric, len(parts))
            assert {part.question for part in parts} == {asked}
            assert weight * len(judge.metrics) / (1 - emergency.SHARE) == pytest.approx(parts[0].weight)


@given(canary=SHARES, stable=SHARES, weight=WEIGHTS)
def test_against_equality_the_arms_may_change_places(canary, stable, weight):
    assume(abs(canary - stable) > 1e-3)
    there, back = information(EQUAL, canary, stable, weight), information(EQUAL, stable, canary, 1 - weight)
    assert there == pytest.approx(back, rel=1e-3)


@given(canary=SHARES, stable=SHARES, first=WEIGHTS, second=WEIGHTS)
def test_information_is_concave_in_the_weight_and_none_without_one_of_the_arms(canary, stable, first, second):
    line = ERROR_LINES.rollback
    assume(canary > line.at(stable))
    low, high = (information(line, canary, stable, weight) for weight in (first, second))
    assert information(line, canary, stable, (first + second) / 2) >= (low + high) / 2 * (1 - 1e-4)
    assert information(line, canary, stable, 0.0) == information(line, canary, stable, 1.0) == 0.0


@given(before=habits, more=st.floats(1, 100), weight=WEIGHTS)
def test_more_traffic_never_takes_longer(before, more, weight):
    now = forecast(before, PLAN, weight)
    then = forecast(Habits(before.requests * more, before.errors, before.slow), PLAN, weight)
    assert then.promote <= now.promote
    assert all(late <= early for late, early in zip(then.caught, now.caught, strict=True))


@given(before=habits, weight=WEIGHTS)
def test_larger_changes_are_never_caught_later(before, weight):
    found = dict(zip(CHANGES, forecast(before, PLAN, weight).caught, strict=True))
    for small, large in pairwise(CHANGES):
        same = small.of == large.of and small.factor <= large.factor and small.points <= large.points
        assert not same or found[large] <= found[small] * (1 + 1e-6)


@given(before=habits, weight=WEIGHTS)
def test_nothing_is_promised_at_once_and_everything_that_is_judged_is_promoted_some_time(before, weight):
    found = forecast(before, PLAN, weight)
    assert min(found.promote, *found.caught) >= SOONEST
    assert found.promote < inf


@given(before=habits, strict=st.floats(0.001, 0.05))
def test_a_smaller_alpha_takes_longer_to_catch(before, strict):
    usual, slow = (forecast(before, Plan(alpha=alpha), 0.1).caught for alpha in (0.05, strict))
    assert all(late >= early for late, early in zip(slow, usual, strict=True))


@given(before=habits, allowed=st.floats(30, 7200), least=st.floats(0.01, 0.3))
def test_the_proposed_weight_is_enough_and_no_smaller_than_the_plans(before, allowed, least):
    found = start(before, PLAN, allowed, least, PLAN.step_needed)
    if found is None:
        assert forecast(before, PLAN, 0.5).step > allowed
    else:
        assert found >= least
        assert forecast(before, PLAN, found).step <= allowed


@given(before=habits, weight=WEIGHTS)
def test_a_step_is_never_slower_than_a_promotion_and_as_slow_where_it_asks_for_as_much(before, weight):
    usual, strict = (forecast(before, plan, weight) for plan in (PLAN, Plan(step_beta=PLAN.beta)))
    assert SOONEST <= usual.step <= usual.promote
    assert strict.step == strict.promote == usual.promote


@given(before=habits)
def test_a_shadow_is_never_slower_than_half_of_the_traffic(before):
    assert shadow(before, PLAN).promote <= forecast(before, PLAN, 0.5).promote
    both = Plan(metrics=(ErrorRate(), OutlierRate(required=True)))
    rows = replace(before, counted={"outlierRate": Counted(0.1, 0.02)})
    assert shadow(rows, both).promote <= forecast(rows, both, 0.5).promote / 2 * (1 + 1e-9)


def test_what_the_judge_lets_pass_or_cannot_see_is_never_caught():
    slight, few = Habits(100, 0.001, SLOW), Habits(100, 0.001, {})
    assert forecast(slight, PLAN, 0.1).caught[0] == inf  # 0.12 % lies below 1.1 * 0.1 % + 0.05 %
    assert (judged_edges(slight), tail(slight)) == ((0.1, 0.25, 0.5, 1.0), 0.25)
    assert (judged_edges(few), tail(few)) == ((), None)
    assert forecast(few, PLAN, 0.1).caught[-1] == inf
    assert forecast(few, PLAN, 0.1).promote == inf
    assert forecast(few, ERRORS, 0.1).promote < inf
    assert forecast(Habits(0, 0.001, SLOW), PLAN, 0.1).promote == inf


def test_never_fewer_requests_than_min_samples():
    assert forecast(Habits(10, 0.0, SLOW), Plan(min_samples=100_000), 0.1).promote == pytest.approx(100_000)


def test_a_better_plan_keeps_what_lies_above_its_start():
    assert better_weights([0.05, 0.25, 0.5], 0.2) == (0.2, 0.25, 0.5)
    assert better_weights([0.05, 0.25, 0.5], 0.25) == (0.25, 0.5)


def test_habits_are_counted_as_the_judge_counts():
    def reading(at: int, served: int, canary: int) -> Reading:
        pod = PodReading({"200": served * 0.9, "500": served * 0.1}, {0.1: served * 0.45, float("inf"): served * 0.9})
        return Reading(at, ArmReading({"a": pod}), ArmReading({"b": PodReading({"200": canary})}))

    found = ticks([reading(0, 5000, 100), reading(60, 11_000, 700), reading(120, 17_000, 1300)])
    assert summed(found, beside=True) == Habits(110.0, 0.1, {0.1: 0.5})
    assert summed(found, beside=False) == Habits(100.0, 0.1, {0.1: 0.5})
    assert summed(ticks([reading(0, 5000, 100), reading(60, 5000, 700)]), beside=True) is None
    assert summed([], beside=True) is None

    before = [Reading(at, canary=reading(at, 0, 100).canary) for at in (-180, -120, -60)]
    assert summed(ticks([*before, reading(0, 5000, 100), reading(60, 11_000, 700)]), beside=True).requests == 110.0
