"""decide for AnalysisRuns: what is measured when, what the status says, the end, the time to live. Nothing twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.runs.model import Measurement, Phase
from controller.analysisruns.decide import Observed, decide, lifetime
from controller.analysisruns.plans import PlanError, literal, prepared
from controller.api.analysis import AnalysisRunSpec, AnalysisRunStatus, TtlStrategy

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def spec(*metrics: dict[str, Any], **more: Any) -> AnalysisRunSpec:
    given = metrics or ({"interval": "10s", "count": 3},)
    whole = [{"name": f"m{n}", "provider": {"prometheus": {"query": "up"}}, **one} for n, one in enumerate(given)]
    return AnalysisRunSpec.model_validate({"metrics": whole, **more})


def observed(given: AnalysisRunSpec, **more: Any) -> Observed:
    plans = tuple(one.plan for one in prepared(given, literal(given)))
    return Observed(generation=1, spec=given, plans=plans, **more)


def taken(name: str, phase: str, at: datetime) -> tuple[str, Measurement]:
    return name, Measurement(phase=Phase(phase), value="1", started_at=at, finished_at=at)


def test_a_run_begins_with_its_first_measurement() -> None:
    found = decide(observed(spec({}, {"initialDelay": "5s"})), now=START)
    assert (found.status.phase, found.status.started_at, found.measure) == ("Running", START, ("m0",))
    assert found.requeue_after == 5 * SECOND


def test_what_is_measured_now_is_not_measured_again() -> None:
    first = decide(observed(spec()), now=START)
    again = decide(observed(spec(), status=first.status, measuring=frozenset({"m0"})), now=START + SECOND)
    assert (again.measure, again.requeue_after, again.status) == ((), None, first.status)


def test_a_measurement_whose_write_was_not_answered_counts_once() -> None:
    first = decide(observed(spec()), now=START)
    one = (taken("m0", "Successful", START),)
    second = decide(observed(spec(), status=first.status, taken=one), now=START + SECOND)
    third = decide(observed(spec(), status=second.status, taken=one), now=START + SECOND)
    assert second.status.metric_results[0].count == third.status.metric_results[0].count == 1
    assert (second.measure, second.requeue_after) == ((), 9 * SECOND)


def test_the_end_is_written_with_its_reason_and_stops_what_is_under_way() -> None:
    first = decide(observed(spec()), now=START)
    bad = decide(observed(spec(), status=first.status, taken=(taken("m0", "Failed", START),)), now=START)
    assert (bad.status.phase, bad.stop, bad.measure) == ("Failed", True, ())
    assert bad.status.message == "metric 'm0': 1 failed, and failureLimit is 0: last value 1"
    assert bad.status.completed_at == START
    assert [(one.type, one.status, one.reason) for one in bad.status.conditions] == [("Completed", "True", "Failed")]
    assert bad.status.run_summary.failed == 1


def test_a_run_that_has_ended_is_stopped_in_every_pass() -> None:
    first = decide(observed(spec()), now=START)
    bad = decide(observed(spec(), status=first.status, taken=(taken("m0", "Failed", START),)), now=START)
    again = decide(observed(spec(), status=bad.status), now=START + SECOND)
    assert (again.status, again.stop, again.measure) == (bad.status, True, ())


def test_what_cannot_be_measured_is_an_error_with_the_reason() -> None:
    found = decide(Observed(generation=1, spec=None, invalid="spec.metrics: Field required"), now=START)
    assert (found.status.phase, found.status.message) == ("Error", "spec.metrics: Field required")


def test_terminate_lets_what_was_measured_decide() -> None:
    first = decide(observed(spec()), now=START)
    ended = spec(terminate=True)
    assert decide(observed(ended, status=first.status), now=START).status.phase == "Inconclusive"
    good = (taken("m0", "Successful", START),)
    assert decide(observed(ended, status=first.status, taken=good), now=START).status.phase == "Successful"


@pytest.mark.parametrize(
    ("strategy", "phase", "seconds"),
    [
        (None, Phase.FAILED, None),
        ({}, Phase.FAILED, None),
        ({"secondsAfterCompletion": 60}, Phase.ERROR, 60),
        ({"secondsAfterCompletion": 60, "secondsAfterFailure": 5}, Phase.FAILED, 5),
        ({"secondsAfterCompletion": 60, "secondsAfterSuccess": 0}, Phase.SUCCESSFUL, 0),
        ({"secondsAfterCompletion": 60, "secondsAfterSuccess": 0}, Phase.INCONCLUSIVE, 60),
        ({"secondsAfterSuccess": 0}, Phase.FAILED, None),
    ],
)
def test_the_more_special_time_to_live_wins(strategy: Any, phase: Phase, seconds: int | None) -> None:
    given = None if strategy is None else TtlStrategy.model_validate(strategy)
    assert lifetime(given, phase) == (None if seconds is None else seconds * SECOND)


def test_a_run_is_deleted_when_its_time_to_live_is_over_and_not_before() -> None:
    given = spec({}, ttlStrategy={"secondsAfterCompletion": 60})
    first = decide(observed(given), now=START)
    done = decide(observed(given, status=first.status, taken=(taken("m0", "Successful", START),)), now=START)
    kept = decide(observed(given, status=done.status), now=START + 59 * SECOND)
    assert (kept.delete, kept.requeue_after) == (False, SECOND)
    assert decide(observed(given, status=done.status), now=START + 60 * SECOND).delete
    assert not decide(observed(spec({}), status=done.status), now=START + timedelta(days=999)).delete


@pytest.mark.parametrize(
    ("metric", "more", "said"),
    [
        ({"successCondition": "reslt > 1"}, {}, "metric 'm0': successCondition 'reslt > 1': unknown name 'reslt'"),
        ({"failureCondition": "result >"}, {}, "failureCondition 'result >': the expression ends too early"),
        ({"interval": "{{args.every}}"}, {}, "metric 'm0': {{args.every}} has no value"),
        ({"count": "{{args.n}}", "interval": "1s"}, {"args": [{"name": "n", "value": "many"}]}, "metric 'm0': count"),
        ({}, {"dryRun": [{"metricName": "other"}]}, "dryRun metricName 'other' is no metric's; there are m0"),
        ({}, {"dryRun": [{"metricName": "(m"}]}, "is no regular expression"),
        ({}, {"measurementRetention": [{"metricName": "x", "limit": 1}]}, "measurementRetention metricName 'x'"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_words(metric: Any, more: Any, said: str) -> None:
    given = spec(metric, **more)
    with pytest.raises(PlanError) as caught:
        prepared(given, literal(given))
    assert said in str(caught.value)


def test_arguments_make_the_plan() -> None:
    args = [{"name": "n", "value": "5"}, {"name": "every", "value": "1m"}, {"name": "least", "value": "0.9"}]
    metric = {"count": "{{args.n}}", "interval": "{{args.every}}", "successCondition": "result[0] > {{args.least}}"}
    more = {"dryRun": [{"metricName": "m.*"}], "measurementRetention": [{"metricName": "m0", "limit": 2}]}
    given = spec(metric, args=args, **more)
    (one,) = prepared(given, literal(given))
    assert (one.plan.count, one.plan.interval, one.plan.dry_run, one.plan.retention) == (5, 60 * SECOND, True, 2)
    assert one.conditions.assess([0.91])[0] == "Successful"


@given(st.lists(st.sampled_from(["Successful", "Failed", "Error", "Inconclusive"]), max_size=12), st.integers(0, 12))
def test_a_crash_at_any_moment_changes_nothing_that_was_written(phases: list[str], crash: int) -> None:
    """The controller may forget all but the status: the run goes on from there, and a rest asks for nothing."""
    given = spec({"interval": "10s", "count": 5, "failureLimit": 2, "inconclusiveLimit": 2})
    obs, now = observed(given), START
    for number, phase in enumerate(phases):
        found = decide(obs, now=now)
        if Phase(found.status.phase).ended:
            break
        if found.measure and number != crash:
            found = decide(replace(obs, status=found.status, taken=(taken("m0", phase, now),)), now=now)
        stored = AnalysisRunStatus.model_validate_json(found.status.model_dump_json(by_alias=True))
        assert stored == found.status
        rest = decide(replace(obs, status=stored), now=now)
        assert rest.status == stored
        obs, now = replace(obs, status=stored), now + (found.requeue_after or 10 * SECOND)
        result = stored.metric_results[0]
        assert result.count + result.error <= number + 1
