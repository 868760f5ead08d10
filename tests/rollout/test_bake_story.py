"""The stories of the bake: the canary has nearly everything, stable holds a little back, and somebody watches."""

import pytest
from pydantic import ValidationError

from analysis.spec import RUN_LENGTH
from controller.api.rollout import AnalysisStatus, RolloutSpec
from controller.rollout import judging


@pytest.fixture
def baking(world):
    """A world whose canary has come as far as its bake of five minutes."""
    world.spec_extra = {"bake": {"duration": "5m"}}
    world.serving().upgrade().good()
    world.run(60)
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Progressing", 95)
    return world


def test_the_bake_ends_in_promotion_and_only_then(baking) -> None:
    assert "baking for 5m with 5 % on stable" in baking.status.message
    baking.run(200)
    assert (baking.status.stable_revision.number, baking.live_weight(baking.hash_of("m/v2"))) == (1, 95)
    baking.run(120)
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Healthy", 2)


def test_an_alarm_gives_all_traffic_back_to_the_stable_that_still_stands(baking) -> None:
    baking.bad().step()
    assert baking.live_weight(baking.hash_of("m/v1")) == 100
    baking.settle()
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Degraded", 1)


def test_the_bake_has_a_comparison_of_its_own_and_a_detector_for_a_judge(baking) -> None:
    found = judging.comparison(baking.observe(), baking.status)
    begun = next(entry.at for entry in baking.status.history if "(analysis)" in entry.message)
    assert (found.plan.judge, found.plan.alarm_needed) == ("change", RUN_LENGTH)
    assert found.started_at > begun


def test_a_bake_that_nobody_could_watch_crowns_nobody(baking) -> None:
    baking.verdict = AnalysisStatus(verdict="NoData", message="no metrics of stable")
    baking.run(330)
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Progressing", 1)
    baking.run(1200)
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Paused", 1)
    assert "no metrics of stable" in baking.status.pause_reason


def test_a_person_may_end_the_bake(baking) -> None:
    baking.ask("promote")
    baking.settle()
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Healthy", 2)


def test_a_bake_that_is_taken_out_of_the_spec_ends_with_the_judges_consent(baking) -> None:
    baking.spec_extra = {}
    baking.generation += 1
    baking.settle()
    assert (baking.status.phase, baking.status.stable_revision.number) == ("Healthy", 2)


def test_without_a_good_verdict_nothing_is_baked(world) -> None:
    world.spec_extra = {"bake": {}}
    world.steps = [{"setWeight": 20}]
    world.serving().upgrade().run(500)
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Progressing", 20)


def test_a_small_canary_has_all_its_pods_before_it_bakes(world) -> None:
    world.spec_extra = {"bake": {}}
    world.steps = [{"setScale": {"replicas": 1}}, {"setWeight": 20}, {"analysis": {}}]
    world.serving().upgrade().run(60)
    assert world.pods("m/v2") == 1
    world.starts = False
    world.good().run(10)
    assert (world.pods("m/v2"), world.live_weight(world.hash_of("m/v2"))) == (2, 20)
    world.ready[world.hash_of("m/v2")] = 2
    world.run(10)
    assert world.live_weight(world.hash_of("m/v2")) == 95


def test_the_canary_after_a_shadow_bakes(world) -> None:
    world.strategy = {"shadow": {"then": {"weights": [20]}}}
    world.spec_extra = {"bake": {"holdback": 10}}
    world.serving().upgrade().good()
    world.run(100)
    assert world.live_weight(world.hash_of("m/v2")) == 90


@pytest.mark.parametrize("strategy", [{"blueGreen": {}}, {"shadow": {}}])
def test_what_is_no_canary_cannot_be_baked(strategy) -> None:
    with pytest.raises(ValidationError, match="bake belongs to a canary"):
        RolloutSpec.model_validate({"template": {"spec": {}}, "strategy": strategy, "bake": {}})
