"""What metrics do that roll nothing back: they ask a person once, or are only said; and what the split was."""

import pytest
from pydantic import ValidationError

from analysis.checks import PredictionDrift, Reward, TrafficSplit
from controller.api.rollout import Analysis, AnalysisStatus, MetricStatus
from controller.rollout import judging

SPLIT = MetricStatus(name="traffic", verdict="Bad", message="the canary takes 10 % against 20 %", action="pause")
DRIFT = MetricStatus(name="predictionDrift", verdict="Bad", message="class a 60 % against 80 %", action="warn")


def say(world, verdict: str, *metrics: MetricStatus) -> None:
    world.verdict = AnalysisStatus(verdict=verdict, message="as measured", metrics=metrics)


def begun(world):
    world.serving().upgrade()
    world.run(8)
    assert world.status.phase == "Progressing"
    return world


@pytest.mark.parametrize("verdict", ["Good", "Inconclusive"])
def test_a_bad_finding_of_a_metric_that_pauses_asks_a_person(world, verdict: str) -> None:
    say(begun(world), verdict, SPLIT)
    world.settle()
    assert (world.status.phase, world.status.blocked_on.kind) == ("Paused", "person")
    assert world.status.blocked_on.message == SPLIT.message
    assert world.live_weight(world.hash_of("m/v2")) == 20


@pytest.mark.parametrize("verb", ["resume", "promote"])
def test_whoever_goes_on_is_not_asked_again_about_the_same(world, verb: str) -> None:
    say(begun(world), "Good", SPLIT)
    world.settle()
    world.ask(verb)
    world.settle()
    assert world.status.phase == "Healthy"
    assert world.status.stable_revision.number == 2
    assert [entry.message for entry in world.status.history].count(SPLIT.message) == 1


def test_another_finding_asks_again(world) -> None:
    say(begun(world), "Inconclusive", SPLIT)
    world.settle()
    world.ask("resume")
    rewards = SPLIT.model_copy(update={"name": "reward", "message": "a mean of 0.6 against 0.8"})
    say(world, "Inconclusive", SPLIT, rewards)
    world.run(3)
    assert (world.status.phase, world.status.blocked_on.message) == ("Paused", rewards.message)


def test_a_bad_finding_of_a_metric_that_warns_is_said_once_and_stops_nothing(world) -> None:
    say(begun(world), "Inconclusive", DRIFT)
    world.run(5)
    warned = [condition for condition in world.status.conditions if condition.type == "AnalysisWarning"]
    assert [(condition.status, condition.message) for condition in warned] == [("True", DRIFT.message)]
    said = [announcement for announcement in world.said if announcement.reason == "MetricWarning"]
    assert [(one.type, one.message) for one in said] == [("Warning", DRIFT.message)]
    say(world, "Good", DRIFT)
    world.settle()
    assert world.status.phase == "Healthy"


def test_the_reason_of_a_rollback_is_a_metric_that_rolls_back(world) -> None:
    loud = DRIFT.model_copy(update={"evidence": 1e9})
    errors = MetricStatus(name="errorRate", verdict="Bad", message="failed requests: 5 %", evidence=120)
    say(begun(world), "Bad", loud, errors)
    world.settle()
    assert world.status.phase == "Degraded"
    assert world.status.rejected[-1].reason.metric == "errorRate"


def test_what_the_split_was_is_kept_for_the_judge(world) -> None:
    world.steps = [{"setMirror": {"percentage": 50}}, {"analysis": {}}, {"setWeight": 20}, {"pause": {}}]
    world.serving().upgrade()
    world.run(8)
    assert [change.percent for change in world.status.analysis.weights] == [None]
    world.good().run(8)
    (change,) = world.status.analysis.weights  # live requests are a comparison of their own
    assert change.percent == 20
    shifts = judging.comparison(world.observe(), world.status).shifts
    assert [(shift.at, shift.share) for shift in shifts] == [(change.at, 0.2)]


def test_metrics_are_what_a_person_asked_for() -> None:
    asked = [
        {"errorRate": {}},
        {"traffic": {"tolerance": 1.5}},
        {"predictionDrift": {"max": 0.2}, "action": "pause", "required": True},
        {"reward": {"low": -1, "high": 1, "delay": "10m"}},
    ]
    _, traffic, drift, reward = judging.plan(Analysis.model_validate({"metrics": asked})).metrics
    assert traffic == TrafficSplit(tolerance=1.5, action="pause")
    assert drift == PredictionDrift(max=0.2, action="pause", required=True)
    assert isinstance(reward, Reward)
    assert (reward.low, reward.delay.total_seconds(), reward.action) == (-1, 600, "pause")


@pytest.mark.parametrize("metric", [{}, {"action": "warn"}, {"errorRate": {}, "traffic": {}}])
def test_a_metric_is_exactly_one_check(metric) -> None:
    with pytest.raises(ValidationError, match="exactly one of errorRate, latency, traffic"):
        Analysis.model_validate({"metrics": [metric]})
