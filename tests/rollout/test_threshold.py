"""replicaProgressThreshold: how many ready pods are enough for a step, and for what all are needed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.api.rollout import RolloutSpec
from controller.api.strategy import ProgressThreshold
from controller.rollout import capacity
from controller.rollout.observed import Child
from tests.rollout.conftest import World

PAUSE = {"pause": {}}


class Four(World):
    """A world whose template asks for four pods."""

    def template(self):
        found = super().template()
        found["spec"]["predictors"][0]["replicas"] = 4
        return found

    def hash_of(self, image):
        was, self.image = self.image, image
        try:
            return self.target().hash
        finally:
            self.image = was


def canary(threshold, *steps, **more) -> dict:
    return {"canary": {"steps": [*steps], "replicaProgressThreshold": threshold, **more}}


def short(strategy: dict, ready: int) -> Four:
    """A canary of which so many of four pods are ready, and no more come."""
    world = Four(strategy=strategy)
    world.serving().upgrade().starts = False
    world.run(2)
    world.ready[world.hash_of("m/v2")] = ready
    world.run(20)
    return world


def weight(world: Four) -> float:
    return world.live_weight(world.hash_of("m/v2"))


@pytest.mark.parametrize(
    ("threshold", "pods", "enough"),
    [
        ({"percent": 75}, [(3, 4)], True),
        ({"percent": 76}, [(3, 4)], False),
        ({"percent": 1}, [(0, 4)], False),
        ({"percent": 50}, [(4, 4), (1, 3)], False),
        ({"percent": 50}, [(4, 4), (0, 0)], True),
        ({"replicas": 3}, [(3, 4)], True),
        ({"replicas": 3}, [(2, 4)], False),
        ({"replicas": 3}, [(2, 2)], True),
        ({"replicas": 2}, [(2, 9), (1, 1)], True),
        ({"replicas": 2}, [(9, 9), (1, 2)], False),
    ],
)
def test_each_deployment_has_as_many_as_are_asked_for(threshold, pods, enough: bool) -> None:
    wanted, ready = sum(want for _, want in pods), min(1, *(have for have, want in pods if want))
    child = Child(hash="x", name="x", live={}, replicas=wanted, ready_replicas=ready, pods=tuple(pods), reached=True)
    assert capacity.suffices(child, {"predictors": []}, ProgressThreshold.model_validate(threshold)) is enough


def test_deployments_that_lag_behind_the_spec_do_not_count() -> None:
    child = Child(hash="x", name="x", live={}, replicas=1, ready_replicas=1, pods=((1, 1),), reached=True)
    assert not capacity.suffices(child, {"predictors": [{"name": "a", "replicas": 4}]}, ProgressThreshold(percent=75))


@pytest.mark.parametrize(
    ("threshold", "says"),
    [
        ({}, "replicaProgressThreshold has exactly one of percent, replicas; found 0"),
        ({"percent": 50, "replicas": 1}, "replicaProgressThreshold has exactly one of percent, replicas; found 2"),
        ({"percent": 0}, "greater than or equal to 1"),
        ({"percent": 101}, "less than or equal to 100"),
        ({"replicas": 0}, "greater than or equal to 1"),
        ({"type": "Percent", "value": 90}, "type"),
    ],
)
def test_what_is_no_threshold_is_refused_by_its_name(threshold, says: str) -> None:
    raw = {"template": World().template(), "strategy": canary(threshold, {"setWeight": 5})}
    with pytest.raises(ValidationError, match=says) as refused:
        RolloutSpec.model_validate(raw)
    assert "replicaProgressThreshold" in str(refused.value)


@pytest.mark.parametrize(
    ("threshold", "ready", "at"),
    [
        ({"percent": 75}, 3, 50),
        ({"percent": 75}, 2, 0),
        ({"percent": 1}, 0, 0),
        ({"replicas": 2}, 2, 50),
        ({"replicas": 2}, 1, 0),
        ({"replicas": 9}, 3, 0),
        ({"replicas": 9}, 4, 50),
    ],
)
def test_a_step_goes_on_with_as_many_pods_as_are_enough(threshold, ready: int, at: float) -> None:
    assert weight(short(canary(threshold, {"setWeight": 50}, PAUSE), ready)) == at


@pytest.mark.parametrize("step", [{"setMirror": {"percentage": 100}}, {"setScale": {"auto": True}}])
def test_a_mirror_and_a_scale_go_on_alike(step) -> None:
    world = short(canary({"percent": 75}, step, PAUSE), 3)
    assert (world.status.phase, world.status.current_step_index) == ("Paused", 1)


def test_pods_that_no_destination_rule_leads_to_are_waited_for() -> None:
    world = Four(strategy=canary({"percent": 75}, {"setWeight": 50}, PAUSE), reached=False)
    world.serving().upgrade().starts = False
    world.run(2)
    world.ready[world.hash_of("m/v2")] = 3
    world.run(3)
    assert weight(world) == 0
    world.reached = True
    world.run(2)
    assert weight(world) == 50


@pytest.mark.parametrize(
    ("threshold", "ready", "says"),
    [
        ({"percent": 75}, 2, "the canary revision has 2 of 4 pods ready, 75 % are enough: container"),
        ({"replicas": 3}, 1, "the canary revision has 1 of 4 pods ready, 3 are enough: container"),
    ],
)
def test_what_is_waited_for_names_the_threshold(threshold, ready: int, says: str) -> None:
    blocked = short(canary(threshold, {"setWeight": 50}), ready).status.blocked_on
    assert (blocked.kind, says in blocked.message) == ("pods", True), blocked.message


@pytest.mark.parametrize("end", [[{"setWeight": 100}, PAUSE], []])
def test_all_traffic_waits_for_all_pods(end) -> None:
    world = short(canary({"percent": 75}, {"setWeight": 50}, *end), 3).good()
    world.run(30)
    assert weight(world) == 50
    assert "3 of 4 pods ready, all are needed for what comes next" in world.status.blocked_on.message
    world.ready[world.hash_of("m/v2")] = 4
    world.run(10)
    assert weight(world) == 100


def test_a_bake_waits_for_all_pods() -> None:
    world = Four(
        strategy=canary({"percent": 75}, {"setWeight": 50}),
        spec_extra={"bake": {"duration": "5m"}, "progressDeadline": "1h"},
    )
    world.serving().upgrade().starts = False
    world.run(2)
    world.ready[world.hash_of("m/v2")] = 3
    world.good().run(30)
    assert weight(world) == 50
    world.ready[world.hash_of("m/v2")] = 4
    world.run(10)
    assert weight(world) == 95


def test_a_promotion_whose_pods_never_come_is_rolled_back_at_the_deadline() -> None:
    world = short(canary({"percent": 75}, {"setWeight": 50}), 3).good()
    world.run(10)
    assert (world.status.phase, weight(world)) == ("Promoting", 50)
    world.step(700)
    world.run(3)
    assert (world.status.phase, weight(world)) == ("Degraded", 0)


def test_a_shadows_canary_has_it_too() -> None:
    then = canary({"replicas": 3}, {"setWeight": 50}, PAUSE)["canary"]
    world = short({"shadow": {"duration": "5s", "then": then}}, 3).good()
    world.run(20)
    assert weight(world) == 50


def test_stable_keeps_its_pods_until_the_canary_has_all_of_its_own() -> None:
    world = short(canary({"percent": 75}, {"setWeight": 50}, PAUSE, dynamicStableScale=True), 3)
    assert (weight(world), world.pods("m/v1")) == (50, 4)
    world.ready[world.hash_of("m/v2")] = 4
    world.run(3)
    assert world.pods("m/v1") == 2


THRESHOLDS = st.one_of(
    st.integers(1, 100).map(lambda n: {"percent": n}), st.integers(1, 6).map(lambda n: {"replicas": n})
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    threshold=THRESHOLDS,
    weights=st.lists(st.integers(1, 100), min_size=1, max_size=4),
    ready=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    bake=st.booleans(),
    dynamic=st.booleans(),
)
def test_no_weight_rises_with_fewer_pods_than_are_enough(threshold, weights, ready, bake: bool, dynamic: bool) -> None:
    """And none with fewer than all to a bake or to all traffic; decisions are the same twice, and come to rest."""
    steps = [step for each in weights for step in ({"setWeight": each}, {"pause": {"duration": "2s"}})]
    extra = {"bake": {"duration": "20s"}} if bake else {}
    world = Four(strategy=canary(threshold, *steps, dynamicStableScale=dynamic), spec_extra=extra)
    world.serving().upgrade().starts = False
    least = threshold.get("percent", 0) / 100 * 4 if "percent" in threshold else min(threshold["replicas"], 4)
    world.step()
    digest = world.hash_of("m/v2")
    for count in ready:
        world.ready[digest] = count
        for _ in range(4):
            before = world.live_weight(digest)
            world.good()
            assert world.decide() == world.decide()
            world.step(1)
            after = world.live_weight(digest)
            past = world.status.phase == "Promoting" or world.status.current_step_index >= len(steps)
            if after > before:
                assert count >= (4 if after == 100 or past else max(least, 1))
    world.starts, world.ready = True, dict.fromkeys(world.ready, 4)
    for _ in range(30):
        if world.status.phase == "Paused":
            world.ask("promote")
        world.good().step(5)
    assert world.status.phase in ("Healthy", "Degraded"), world.status.message
