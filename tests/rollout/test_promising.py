"""Two lines: a promising canary gets its next weight, and only one that is found good is promoted."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.api.rollout import Analysis, AnalysisStatus, RolloutSpec
from controller.rollout import judging
from controller.rollout.course import course, kind, raises

SENTENCE = "failed requests: evidence that it is good enough 8:1 (needs 6:1 for the next step, 20:1 to promote)"
PROMISING = AnalysisStatus(verdict="Inconclusive", promising=True, message=SENTENCE)
WAIT = {"analysis": {}}


def promising(world, steps):
    """A rollout whose canary is promising and no more."""
    world.requests, world.steps = 100_000, steps
    world.serving().upgrade()
    world.verdict = PROMISING
    return world


def test_a_promising_canary_goes_up_to_the_last_weight_and_waits_there_for_all_of_the_evidence(world) -> None:
    promising(world, [{"setWeight": 5}, WAIT, {"setWeight": 25}, WAIT, {"setWeight": 50}, WAIT]).run(40)
    assert (world.status.phase, world.status.current_step_index) == ("Progressing", 5)
    assert (world.live_weight(world.hash_of("m/v2")), world.status.blocked_on.kind) == (50, "metric")
    assert "needs 6:1 for the next step, 20:1 to promote" in world.status.message
    world.good().run(20)
    assert world.status.phase == "Healthy"


def test_without_all_of_the_evidence_in_time_a_person_is_asked(world) -> None:
    promising(world, [{"setWeight": 5}, WAIT, {"setWeight": 50}, WAIT]).run(20)
    world.step(600)
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Paused", 50)
    assert world.status.pause_reason.startswith(f"no verdict in time: {SENTENCE}")


def test_with_few_requests_the_last_step_has_its_time_once_more(world) -> None:
    promising(world, [{"setWeight": 5}, WAIT, {"setWeight": 50}, WAIT]).run(20)
    world.requests = 100
    world.step(600)
    assert (world.status.phase, world.status.step_extended, world.status.current_step_index) == ("Progressing", True, 3)


def test_what_is_good_already_at_the_last_step_is_promoted_after_its_shortest_time(world) -> None:
    promising(world, [{"setWeight": 5}, WAIT, {"setWeight": 50}, {"analysis": {"minDuration": "60s"}}]).run(20)
    world.good().run(20)
    assert (world.status.phase, world.status.blocked_on.message) == (
        "Progressing", "the canary is good; staying for 1m",
    )  # fmt: skip
    world.run(60)
    assert world.status.phase == "Healthy"


def test_a_step_that_has_enough_says_what_it_is_enough_for(world) -> None:
    promising(world, [{"setWeight": 5}, {"analysis": {"minDuration": "60s"}}, {"setWeight": 50}]).run(20)
    assert world.status.blocked_on.message == "the canary is good enough for the next step; staying for 1m"


@pytest.mark.parametrize("verdict", ["NoData", "Error"])
def test_no_data_and_errors_end_no_step(world, verdict) -> None:
    promising(world, [{"setWeight": 5}, WAIT, {"setWeight": 50}])
    world.verdict = AnalysisStatus(verdict=verdict, message="nothing")
    world.run(20)
    assert world.status.current_step_index == 1


CANARY = [{"setWeight": 5}, WAIT, {"setWeight": 50}, WAIT]


@pytest.mark.parametrize(
    ("spec", "lower"),
    [
        ({"strategy": {"canary": {"steps": CANARY}}}, [True, False]),
        ({"strategy": {"canary": {"weights": [5, 25, 50]}}}, [True, True, False]),
        ({"strategy": {"canary": {"steps": [{"setWeight": 5}, WAIT, {"setWeight": 50}, {"pause": {}}]}}}, [True]),
        ({"strategy": {"canary": {"steps": [{"setWeight": 50}, WAIT, {"pause": {}}]}}}, [False]),
        ({"strategy": {"canary": {"steps": [{"setWeight": 50}, WAIT, {"setWeight": 100}]}}}, [False]),
        ({"strategy": {"canary": {"steps": [{"setWeight": 5}, WAIT, {"setScale": {"percent": 50}}]}}}, [False]),
        (
            {"strategy": {"canary": {"steps": [{"setMirror": {"percentage": 50}}, WAIT, *CANARY]}}},
            [True, True, False],
        ),
        ({"strategy": {"canary": {"steps": [{"setWeight": 5}, WAIT, {"setMirror": {"percentage": 0}}]}}}, [False]),
        ({"strategy": {"canary": {"steps": CANARY}}, "bake": {}}, [True, False, False]),
        (
            {"strategy": {"canary": {"steps": CANARY}}, "group": {"selector": {"matchLabels": {"a": "b"}}}},
            [True, False],
        ),
        ({"strategy": {"blueGreen": {"postPromotionAnalysis": {}}}}, [False, False]),
        ({"strategy": {"shadow": {"then": {"steps": CANARY}}}}, [False, True, False]),
        ({"strategy": {"shadow": {}}}, [False]),
    ],
    ids=str,
)
def test_only_a_wait_before_another_weight_asks_for_less(spec, lower) -> None:
    stages = course(RolloutSpec.model_validate({"template": {"spec": {}}, **spec})).stages
    found = [raises(stages, index) for index, stage in enumerate(stages) if kind(stage) == "analysis"]
    assert found == lower


STRATEGIES = st.sampled_from(
    [
        {"canary": {"weights": [5, 50]}},
        {"canary": {"steps": [{"setWeight": 5}, WAIT, {"setWeight": 100}]}},
        {"canary": {"steps": [{"setWeight": 5}, WAIT, {"setWeight": 60}, {"pause": {"duration": "10s"}}]}},
        {"canary": {"steps": [{"setMirror": {"percentage": 50}}, WAIT, {"setWeight": 30}]}},
        {"blueGreen": {"postPromotionAnalysis": {}}},
        {"shadow": {"then": {"weights": [20, 60]}}},
    ]
)
SAID = st.tuples(st.sampled_from(["Inconclusive", "NoData", "Error"]), st.booleans(), st.integers(1, 900))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategy=STRATEGIES, baked=st.booleans(), said=st.lists(SAID, min_size=1, max_size=6))
def test_whatever_is_promising_and_when_nobody_is_promoted_who_was_not_found_good(
    make_world, strategy, baked, said
) -> None:
    extra = {"bake": {"duration": "1m"}} if baked and "canary" in strategy else {}
    world = make_world(strategy=strategy, spec_extra=extra).serving().upgrade()
    stable, canary = world.hash_of("m/v1"), world.hash_of("m/v2")
    for verdict, enough, seconds in said:
        world.verdict = AnalysisStatus(verdict=verdict, promising=enough and verdict == "Inconclusive", message="so")
        for wait in (1, 1, 1, seconds, 1, 1):
            world.step(wait)
            assert world.status.stable_revision.hash == stable
            assert world.status.phase in ("Progressing", "Paused")
            assert world.live_weight(canary) < 100


def test_the_plan_has_the_line_of_a_step_from_the_spec() -> None:
    plans = [judging.plan(Analysis.model_validate(each)) for each in ({}, {"stepBeta": 0.05}, {"beta": 0.3})]
    assert [(round(plan.step_needed, 9), round(plan.promote_needed, 9)) for plan in plans] == [
        (6, 20), (20, 20), (3.333333333, 3.333333333),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stepBeta": 0.01}, "stepBeta is 0.01 and beta 0.05: a step that only raises the weight never asks for more"),
        ({"stepBeta": 0.2, "beta": 0.3}, "give stepBeta 0.3 to 1, or leave it out"),
        ({"stepBeta": 6}, "less than or equal to 1"),
        ({"stepBeta": 0}, "greater than 0"),
    ],
)
def test_a_step_that_asked_for_more_than_the_promotion_is_refused_by_name(given, says) -> None:
    with pytest.raises(ValidationError, match=says):
        Analysis.model_validate(given)
