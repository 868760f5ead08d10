"""Traffic leaves a bad revision in proportion to what stable can carry; and how small stable may be beside a canary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.rollout import capacity, scaling
from controller.rollout.observed import Child
from tests.rollout.conftest import World


def big(world: World, monkeypatch, replicas: int = 10, **predictor) -> World:
    """A world whose template asks for more pods than two."""
    real = World.template

    def template(self) -> dict:
        found = real(self)
        found["spec"]["predictors"][0] |= {"replicas": self.replicas, **predictor}
        return found

    monkeypatch.setattr(World, "template", template)
    monkeypatch.setattr(World, "hash_of", _hash)
    world.replicas = replicas
    return world


def _hash(world: World, image: str) -> str:
    from controller.rollout import revisions

    was, world.image = world.image, image
    try:
        return revisions.template_hash(world.template())
    finally:
        world.image = was


def dynamic(world: World, steps: list[dict]) -> World:
    world.strategy = {"canary": {"steps": steps, "dynamicStableScale": True}}
    return world


class TestShortStable:
    def at_half(self, world, monkeypatch) -> World:
        world.steps = [{"setWeight": 50}, {"pause": {}}]
        big(world, monkeypatch).serving().upgrade().run(20)
        assert world.live_weight(world.hash_of("m/v2")) == 50
        return world

    @pytest.mark.parametrize(("ready", "left"), [(10, 0), (9, 5), (5, 25), (1, 45), (0, 50)])
    def test_an_abort_moves_as_large_a_part_as_stable_has_pods_in_one_write(
        self, world, monkeypatch, ready: int, left: int
    ) -> None:
        self.at_half(world, monkeypatch)
        world.ready[world.hash_of("m/v1")] = ready
        world.ask("abort")
        assert world.live_weight(world.hash_of("m/v2")) == left
        assert (world.status.blocked_on is None or world.status.blocked_on.kind == "mesh") == (left == 0)

    def test_the_rest_follows_as_pods_come_and_never_returns(self, world, monkeypatch) -> None:
        self.at_half(world, monkeypatch)
        world.ask("pause")
        seen = []
        for ready in (4, 4, 7, 3, 9, 2, 10):
            world.ready[world.hash_of("m/v1")] = ready
            if not seen:
                world.bad()
            world.step(1)
            seen.append(world.live_weight(world.hash_of("m/v2")))
        assert seen == [30, 30, 15, 15, 5, 5, 0]

    def test_a_revision_that_was_superseded_goes_the_same_way(self, world, monkeypatch) -> None:
        self.at_half(world, monkeypatch)
        world.ready[world.hash_of("m/v1")] = 5
        world.upgrade("m/v3").run(5)
        assert (world.live_weight(world.hash_of("m/v2")), world.live_weight(world.hash_of("m/v3"))) == (25, 0)
        assert "the stable revision has 5 of 10 pods ready" in world.status.blocked_on.message
        world.ready[world.hash_of("m/v1")] = 10
        world.run(20)
        assert (world.live_weight(world.hash_of("m/v2")), world.live_weight(world.hash_of("m/v3"))) == (0, 50)

    def test_a_stable_that_stays_short_takes_all_at_the_deadline(self, world, monkeypatch) -> None:
        world.spec_extra = {"progressDeadline": "60s"}
        self.at_half(world, monkeypatch)
        world.ready[world.hash_of("m/v1")] = 5
        decision = world.ask("abort")
        assert 0 < decision.requeue_after.total_seconds() <= 60
        world.run(70)
        assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Degraded", 0)

    def test_a_canary_without_ready_pods_loses_everything_at_once(self, world, monkeypatch) -> None:
        self.at_half(world, monkeypatch)
        world.ready |= {world.hash_of("m/v1"): 1, world.hash_of("m/v2"): 0}
        world.ask("abort")
        assert world.live_weight(world.hash_of("m/v2")) == 0

    @given(ready=st.integers(0, 40), replicas=st.integers(1, 40), scarcest=st.integers(0, 100))
    def test_what_stable_carries_is_never_more_than_its_ready_pods(self, ready, replicas, scarcest) -> None:
        child = Child(hash="x", name="x", live={}, replicas=replicas, ready_replicas=ready, capacity=scarcest)
        share = capacity.carries(child, {"predictors": [{"name": "a", "replicas": replicas}]})
        assert 0 <= share <= min(scarcest, 100)
        assert share * replicas <= 100 * ready


class TestDynamicStable:
    STEPS: tuple = (
        {"setWeight": 30},
        {"pause": {}},
        {"setWeight": 80},
        {"pause": {}},
        {"setWeight": 40},
        {"pause": {}},
    )

    def at(self, world, monkeypatch, resumes: int) -> World:
        dynamic(big(world, monkeypatch), list(self.STEPS)).serving().upgrade().good().settle()
        for _ in range(resumes):
            world.ask("resume")
            world.settle()
        return world

    def test_stable_shrinks_as_the_canary_takes_its_traffic(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 0)
        assert (world.pods("m/v1"), world.pods("m/v2")) == (7, 10)
        world.ask("resume")
        world.settle()
        assert world.pods("m/v1") == 2

    def test_no_pod_goes_before_the_weight_is_in_effect(self, world, monkeypatch) -> None:
        dynamic(big(world, monkeypatch), list(self.STEPS)).serving().upgrade().good()
        while world.live_weight(world.hash_of("m/v2")) == 0:
            world.step(1)
            world.accepted = False
        world.run(30)
        assert world.pods("m/v1") == 10

    def test_a_weight_that_goes_down_waits_for_stables_pods(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 1)
        world.starts = False
        world.ask("resume")
        world.run(10)
        assert (world.pods("m/v1"), world.live_weight(world.hash_of("m/v2"))) == (6, 80)
        assert world.status.blocked_on.kind == "pods"
        world.ready[world.hash_of("m/v1")] = 6
        world.settle()
        assert world.live_weight(world.hash_of("m/v2")) == 40

    def test_an_abort_scales_stable_up_first_and_follows_its_pods(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 1)
        world.starts = False
        world.ask("abort")
        assert (world.pods("m/v1"), world.live_weight(world.hash_of("m/v2"))) == (10, 80)
        seen = []
        for ready in (2, 4, 3, 7, 10):
            world.ready[world.hash_of("m/v1")] = ready
            world.step(1)
            seen.append(world.live_weight(world.hash_of("m/v2")))
        assert seen == [80, 60, 60, 30, 0]
        world.settle()
        assert world.status.phase == "Degraded"

    def test_a_superseding_revision_waits_until_stable_can_take_it(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 1)
        world.starts = False
        world.upgrade("m/v3").run(5)
        assert (world.pods("m/v1"), world.live_weight(world.hash_of("m/v2"))) == (10, 80)
        world.ready[world.hash_of("m/v1")] = 10
        world.run(5)
        assert world.live_weight(world.hash_of("m/v2")) == 0

    def test_a_promotion_ends_with_all_pods_of_the_new_and_none_of_the_old(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 3)
        world.run(120)
        assert (world.status.phase, world.pods("m/v2"), len(world.children)) == ("Healthy", 10, 1)

    def test_the_template_can_be_scaled_in_the_midst_of_it(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 0)
        world.replicas = 20
        world.settle()
        assert (world.pods("m/v1"), world.pods("m/v2")) == (14, 20)

    def test_set_scale_holds_the_canary_and_the_weight_stable(self, world, monkeypatch) -> None:
        steps = [{"setScale": {"matchWeight": True}}, {"setWeight": 30}, {"pause": {}}]
        dynamic(big(world, monkeypatch), steps).serving().upgrade().good().settle()
        assert (world.pods("m/v1"), world.pods("m/v2")) == (7, 3)

    def test_what_an_autoscaler_owns_is_left(self, world, monkeypatch) -> None:
        hpa = {"componentSpecs": [{"hpaSpec": {"minReplicas": 2, "maxReplicas": 9}}]}
        dynamic(big(world, monkeypatch, **hpa), [{"setWeight": 50}, {"pause": {}}]).serving().upgrade().good().settle()
        assert world.pods("m/v1") == 10

    def test_an_invalid_spec_scales_nothing(self, world, monkeypatch) -> None:
        self.at(world, monkeypatch, 0)
        world.invalid = "spec.x: no"
        world.run(5)
        assert (world.pods("m/v1"), world.pods("m/v2")) == (7, 10)


@given(replicas=st.integers(1, 60), away=st.integers(0, 100))
def test_the_pods_that_are_left_can_carry_what_is_left(replicas: int, away: int) -> None:
    whole = {"predictors": [{"name": "a", "replicas": replicas}]}
    small = capacity.beside(whole, whole, away=away, settled=True)["predictors"][0]["replicas"]
    assert 1 <= small <= replicas
    assert 100 * small >= replicas * (100 - away)
    child = Child(hash="x", name="x", live={}, replicas=small, ready_replicas=small)
    assert capacity.carries(child, whole) >= 100 - away - 1


@pytest.mark.parametrize(
    ("spec", "pods"),
    [
        ({"predictors": [{"name": "a"}]}, 1),
        ({"replicas": 3, "predictors": [{"name": "a"}, {"name": "b", "replicas": 2}]}, 5),
        ({"predictors": [{"name": "a", "replicas": 4, "componentSpecs": [{"replicas": 2}, {}]}]}, 2),
        ({"predictors": [{"name": "a", "replicas": 4, "componentSpecs": [{"kedaSpec": {"x": 1}}]}]}, 0),
        ({"predictors": [{"name": "a", "replicas": 0}]}, 0),
    ],
)
def test_pods_are_counted_for_those_that_no_autoscaler_owns(spec: dict, pods: int) -> None:
    assert scaling.least_pods(spec) == pods
