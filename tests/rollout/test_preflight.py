"""Whether the canary can be judged, in the status: a condition, figures for each weight, and no write for noise."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis import verdict
from controller.api.rollout import AnalysisStatus, RolloutSpec
from controller.api.seen import ComparedStatus, PreflightStatus
from controller.rollout import judging, preflight
from controller.rollout.decide import decide
from seldon_rollouts.explain import sentences

STEPS = [{"setWeight": 5}, {"analysis": {}}, {"setWeight": 25}, {"pause": {"duration": "2m"}}, {"setWeight": 50}]
EDGE = timedelta(milliseconds=250)


def seen(
    ready: str = "True", reason: str = "Measured", requests: float = 100, errors: float = 0.001, **fields
) -> PreflightStatus:
    compared = (
        ComparedStatus(name="errorRate", stable=errors),
        ComparedStatus(name="latency", slower_than=EDGE, stable=0.01),
    )
    return PreflightStatus(ready=ready, reason=reason, requests=requests, compared=compared, **fields)


def judged(found: PreflightStatus | None, at) -> AnalysisStatus:
    return AnalysisStatus(verdict="Inconclusive", message="as measured", preflight=found, updated_at=at)


def condition(world):
    return next((one for one in world.status.conditions if one.type == "AnalysisReady"), None)


def begun(world, found: PreflightStatus | None):
    world.steps = STEPS
    world.serving().upgrade()
    world.verdict = judged(found, world.now)
    return world.run(8)


def test_a_canary_that_can_be_judged_has_the_smallest_changes_at_its_weights(world) -> None:
    begun(world, seen())
    errors, latency = world.status.analysis.preflight.compared
    assert [one.weight for one in errors.smallest] == [5, 25]
    first, second = (one.share for one in errors.smallest)
    assert 0.001 < first < 0.01
    assert latency.smallest[0].share > 0.012
    assert second is not None
    assert (condition(world).status, condition(world).reason) == ("True", "Measured")
    assert condition(world).message.startswith("100 requests a second; found within 10m at 5 %: failed requests from ")
    assert "(0.10 % on stable)" in condition(world).message


def test_what_is_missing_stands_in_the_condition_and_in_explain(world) -> None:
    begun(world, seen("False", "NoSeries", message="Prometheus does not scrape iris-2"))
    assert (condition(world).status, condition(world).reason) == ("False", "NoSeries")
    assert condition(world).message == "Prometheus does not scrape iris-2"
    rollout = {
        "spec": world.raw_spec(),
        "status": world.status.model_dump(by_alias=True, mode="json", exclude_none=True),
    }
    assert "It cannot be judged: Prometheus does not scrape iris-2 (NoSeries, see `seldon-rollouts doctor`)" in list(
        sentences(rollout)
    )


def test_figures_stay_while_the_traffic_is_about_the_same(world) -> None:
    begun(world, seen())
    before = world.status.analysis.preflight
    world.verdict = judged(seen(requests=120, errors=0.0012), world.now)
    world.run(3)
    assert world.status.analysis.preflight == before
    world.verdict = judged(seen(requests=300), world.now)
    world.run(3)
    after = world.status.analysis.preflight
    assert after.requests == 300
    assert after.compared[0].smallest[0].share < before.compared[0].smallest[0].share


def test_a_controller_that_has_read_nothing_yet_takes_nothing_back(world) -> None:
    begun(world, seen())
    before = world.status.analysis.preflight
    world.verdict = judged(seen("Unknown", "Measuring"), None)
    world.run(2)
    assert world.status.analysis.preflight == before


def test_without_a_prometheus_the_condition_says_so(world) -> None:
    begun(world, None)
    assert condition(world) is None
    told = decide(replace(world.observe(), prometheus=False), now=world.now).status
    (found,) = [one for one in told.conditions if one.type == "AnalysisReady"]
    assert (found.status, found.reason) == ("False", "NoPrometheus")
    assert "--prometheus-url" in found.message


def test_at_rest_nobody_asks_whether_it_can_be_judged(world) -> None:
    begun(world, seen())
    world.ask("promote")
    world.good().run(200)
    assert world.status.phase == "Healthy"
    assert condition(world) is None


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"canary": {"steps": STEPS}}, ((5, 0, 600), (25, 0, 120))),
        ({"canary": {"steps": [{"setWeight": 5}, {"analysis": {"maxDuration": "5m"}}, {"pause": {}}]}}, ((5, 0, 900),)),
        ({"canary": {"steps": STEPS, "judgedFromStep": 3}}, ((25, 0, 120),)),
        ({"canary": {"steps": [{"setMirror": {"percentage": 50}}, {"pause": {"duration": "60s"}}]}}, ((0, 50, 60),)),
        ({"shadow": {"duration": "5m"}}, ((0, 100, 300),)),
        ({"blueGreen": {"prePromotionAnalysis": {"percentage": 20}}}, ((0, 20, 600),)),
    ],
)  # fmt: skip
def test_the_time_at_each_weight_is_what_the_strategy_gives_the_judge(world, strategy, expected) -> None:
    spec = RolloutSpec.model_validate({**world.raw_spec(), "strategy": strategy})
    assert preflight.weighed(spec) == expected


def test_the_judges_words_become_the_apis() -> None:
    found = verdict.Preflight(
        ready=False, reason="NoTraffic", message="none", requests=3.0, shares=(("latency", 0.25, 0.01),)
    )
    opinion = verdict.Judgement(verdict=verdict.Verdict.NO_DATA, message="", preflight=found)
    told = judging._preflight(opinion.preflight)
    assert (told.ready, told.reason, told.requests) == ("False", "NoTraffic", 3.0)
    assert told.compared == (ComparedStatus(name="latency", slower_than=EDGE, stable=0.01),)
