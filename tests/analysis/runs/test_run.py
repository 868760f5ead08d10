"""Runs: the limits as a table of exact boundaries, and promises that hold whatever is measured."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.runs.model import Measurement, Phase, Plan, Run
from analysis.runs.run import ERROR_RETRY, begin, due, end, next_due, step

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PHASES = {"s": Phase.SUCCESSFUL, "f": Phase.FAILED, "i": Phase.INCONCLUSIVE, "e": Phase.ERROR}


def plan(name: str = "m", **given: Any) -> Plan:
    return Plan(name=name, **{"interval": MINUTE, "count": None, **given})


def measured(letter: str, at: datetime) -> Measurement:
    return Measurement(phase=PHASES[letter], value="1", started_at=at, finished_at=at)


def played(story: str, *plans: Plan) -> Run:
    """Measure each metric that is due with the next letter, until the run or the letters end."""
    run, now = begin(plans, START), START
    for letter in story:
        now = next_due(run, plans) or now
        run = step(run, plans, [(one.name, measured(letter, now)) for one in due(run, plans, now)], now)
    return run


@pytest.mark.parametrize(
    ("given", "story", "phase"),
    [
        ({"count": 1}, "s", "Successful"),
        ({"count": 1}, "f", "Failed"),
        ({"count": 1}, "i", "Inconclusive"),
        ({"count": 3}, "ss", "Running"),
        ({"count": 3}, "sss", "Successful"),
        ({"count": 3, "failure_limit": 1}, "sfs", "Successful"),
        ({"count": 3, "failure_limit": 1}, "ff", "Failed"),
        ({"count": 3, "failure_limit": None}, "fff", "Successful"),
        ({"count": 3, "inconclusive_limit": 1}, "sis", "Successful"),
        ({"count": 3, "inconclusive_limit": 1}, "sii", "Inconclusive"),
        ({"count": 1}, "eeee", "Running"),
        ({"count": 1}, "eeeee", "Error"),
        ({"count": 1}, "eeees", "Successful"),
        ({"count": 2}, "eeeeseeees", "Successful"),
        ({"count": 1, "consecutive_error_limit": 0}, "e", "Error"),
        ({"consecutive_success_limit": 3}, "ss", "Running"),
        ({"consecutive_success_limit": 3}, "sss", "Successful"),
        ({"consecutive_success_limit": 3, "failure_limit": None}, "ssfss", "Running"),
        ({"consecutive_success_limit": 3, "failure_limit": None}, "ssfsss", "Successful"),
        ({"consecutive_success_limit": 3, "failure_limit": None}, "ssesss", "Successful"),
        ({"consecutive_success_limit": 3, "failure_limit": None, "count": 4}, "sfsf", "Failed"),
        ({"consecutive_success_limit": 3, "failure_limit": 2, "count": 5}, "ssfss", "Inconclusive"),
        ({}, "s" * 50, "Running"),
    ],
)
def test_limits_at_their_boundaries(given: dict[str, Any], story: str, phase: str) -> None:
    assert played(story, plan(**given)).phase == phase


def test_the_reason_names_the_limit_and_the_value() -> None:
    run = played("ff", plan(failure_limit=1))
    assert run.message == "metric 'm': 2 failed, and failureLimit is 1: last value 1"


@pytest.mark.parametrize(("first", "whole"), [("f", "Failed"), ("i", "Inconclusive")])
def test_one_metric_against_ends_its_siblings(first: str, whole: str) -> None:
    plans = (plan("a"), plan("b"), plan("c", initial_delay=MINUTE))
    run = step(begin(plans, START), plans, [("a", measured(first, START)), ("b", measured("s", START))], START)
    assert run.phase == whole
    assert [state.phase for state in run.metrics] == [whole, "Successful", "Inconclusive"]
    assert next_due(run, plans) is None


def test_a_dry_run_is_reported_and_never_decides() -> None:
    plans = (plan("dry", dry_run=True, count=2), plan("a", count=1))
    run = step(begin(plans, START), plans, [("dry", measured("f", START)), ("a", measured("s", START))], START)
    assert run.phase is Phase.SUCCESSFUL
    assert [state.phase for state in run.metrics] == ["Failed", "Successful"]


def test_dry_runs_alone_succeed_and_one_without_end_does_not_hold_the_run() -> None:
    assert played("f", plan(dry_run=True)).phase is Phase.SUCCESSFUL
    plans = (plan("dry", dry_run=True), plan("a", count=1))
    run = step(begin(plans, START), plans, [("dry", measured("s", START)), ("a", measured("s", START))], START)
    assert run.phase is Phase.SUCCESSFUL


def test_when_it_is_measured() -> None:
    plans = (plan(initial_delay=2 * MINUTE),)
    run = begin(plans, START)
    assert due(run, plans, START + MINUTE) == ()
    assert next_due(run, plans) == START + 2 * MINUTE
    at = START + 2 * MINUTE
    run = step(run, plans, [("m", measured("s", at))], at)
    assert next_due(run, plans) == at + MINUTE
    single = (plan(interval=None, count=1),)
    retried = step(begin(single, START), single, [("m", measured("e", START))], START)
    assert next_due(retried, single) == START + ERROR_RETRY


def test_an_unfinished_measurement_is_looked_at_again_and_counts_once() -> None:
    plans = (plan(interval=None, count=1),)
    begun = Measurement(phase=Phase.RUNNING, started_at=START, resume_at=START + MINUTE)
    run = step(begin(plans, START), plans, [("m", begun)], START)
    assert (run.phase, run.metrics[0].count, next_due(run, plans)) == (Phase.RUNNING, 0, START + MINUTE)
    run = step(run, plans, [("m", measured("s", START + MINUTE))], START + MINUTE)
    assert (run.phase, run.metrics[0].count, len(run.metrics[0].measurements)) == (Phase.SUCCESSFUL, 1, 1)


@pytest.mark.parametrize(
    ("story", "given", "phase"),
    [
        ("", {}, "Inconclusive"),
        ("e", {}, "Inconclusive"),
        ("s", {}, "Successful"),
        ("sf", {"failure_limit": 2}, "Successful"),
        ("s", {"consecutive_success_limit": 2}, "Inconclusive"),
    ],
)
def test_an_end_from_outside_lets_what_was_measured_decide(story: str, given: dict[str, Any], phase: str) -> None:
    one = plan(**given)
    assert end(played(story, one), (one,), START, "a person ended the run").phase == phase


@given(st.text(alphabet="sfie", max_size=30), st.integers(1, 5), st.integers(0, 3), st.integers(1, 4))
def test_promises(story: str, count: int, limit: int, retention: int) -> None:
    one = plan(count=count, failure_limit=limit, inconclusive_limit=limit, retention=retention)
    run = played(story, one)
    state = run.metrics[0]
    assert state.count == state.successful + state.failed + state.inconclusive <= count
    assert state.failed <= limit + 1
    assert len(state.measurements) == min(state.count + state.error, retention)
    assert (run.completed_at is not None) == run.phase.ended == (next_due(run, (one,)) is None)
    if run.phase is Phase.SUCCESSFUL:
        assert state.count == count
        assert state.failed <= limit
    assert step(run, (one,), [], START) == run
