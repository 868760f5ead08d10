"""People change their minds in the midst of a rollout: another template, other steps, another strategy, other sizes."""

from datetime import timedelta

import pytest

from controller.api.rollout import AnalysisStatus

STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]


@pytest.fixture
def half_way(world):
    """A world whose canary is paused at its second step, with a fifth of the traffic."""
    world.steps = list(STEPS)
    world.serving().upgrade().good().settle()
    assert (world.status.phase, world.status.current_step_index) == ("Paused", 1)
    return world


class TestOnlyTheSteps:
    def edit(self, world, steps) -> None:
        world.steps, world.generation = steps, world.generation + 1
        world.settle()

    def test_other_weights_take_effect_with_the_next_step_and_nothing_moves_by_itself(self, half_way) -> None:
        self.edit(half_way, [{"setWeight": 10}, {"pause": {}}, {"setWeight": 70}, {"pause": {}}])
        assert (half_way.status.phase, half_way.live_weight(half_way.hash_of("m/v2"))) == ("Paused", 20)
        half_way.ask("resume")
        half_way.settle()
        assert half_way.live_weight(half_way.hash_of("m/v2")) == 70

    def test_fewer_steps_while_paused_leave_it_paused_and_then_at_the_end(self, half_way) -> None:
        self.edit(half_way, [{"setWeight": 10}])
        status = half_way.status
        assert (status.phase, status.current_step_index, status.step_count) == ("Paused", 1, 1)
        half_way.ask("resume")
        half_way.settle()
        assert half_way.status.phase == "Healthy"

    def test_fewer_steps_do_not_promote_without_a_verdict(self, half_way) -> None:
        half_way.verdict = AnalysisStatus(verdict="Inconclusive", message="not enough requests")
        self.edit(half_way, [{"setWeight": 10}])
        half_way.ask("resume")
        half_way.run(60)
        assert (half_way.status.phase, half_way.status.blocked_on.kind) == ("Progressing", "metric")

    def test_a_pause_has_all_its_time_after_a_step_that_was_not_come_to(self, world) -> None:
        pause = {"pause": {"duration": "30s"}}
        world.steps = [{"setWeight": 20}, pause]
        world.serving().upgrade().good()
        while world.status.current_step_index < 1:
            world.step(1)
        world.run(20)
        match = [{"headers": {"x-team": {"exact": "ml"}}}]
        world.steps = [{"setWeight": 20}, {"setHeaderRoute": {"name": "inside", "match": match}}, pause]
        world.generation += 1
        world.run(25)
        assert (world.status.phase, world.status.current_step_index) == ("Progressing", 2)
        assert world.status.blocked_on.kind == "time"

    def test_more_steps_are_gone_through(self, half_way) -> None:
        self.edit(half_way, [*STEPS, {"setWeight": 80}, {"pause": {}}])
        for _ in range(2):
            half_way.ask("resume")
            half_way.settle()
        assert (half_way.status.phase, half_way.live_weight(half_way.hash_of("m/v2"))) == ("Paused", 80)

    def test_at_rest_they_change_nothing(self, world) -> None:
        world.serving()
        route = world.route
        self.edit(world, [{"setWeight": 1}])
        assert (world.status.phase, world.route) == ("Healthy", route)


class TestTheTemplate:
    def test_with_other_steps_in_the_same_edit_it_starts_at_the_first_of_them(self, half_way) -> None:
        half_way.steps = [{"setWeight": 5}, {"pause": {}}]
        half_way.upgrade("m/v3").settle()
        assert half_way.live_weight(half_way.hash_of("m/v3")) == 5
        assert half_way.live_weight(half_way.hash_of("m/v2")) == 0

    def test_back_to_stable_with_other_steps_in_the_same_edit(self, half_way) -> None:
        half_way.steps = [{"setWeight": 5}]
        half_way.upgrade("m/v1").settle()
        assert (half_way.status.phase, half_way.live_weight(half_way.hash_of("m/v1"))) == ("Healthy", 100)
        assert half_way.status.rejected == ()

    def test_back_to_stable_takes_all_traffic_in_one_write(self, half_way) -> None:
        half_way.upgrade("m/v1").step()
        assert half_way.live_weight(half_way.hash_of("m/v1")) == 100

    def test_with_other_replicas_in_the_same_edit_both_are_done(self, half_way, monkeypatch) -> None:
        half_way.image = "m/v3"
        edited = half_way.template()
        edited["spec"]["predictors"][0]["replicas"] = 4
        monkeypatch.setattr(type(half_way), "template", lambda _self: edited)
        half_way.verdict = None
        half_way.settle()
        assert (half_way.pods("m/v1"), half_way.pods("m/v3")) == (4, 4)
        assert half_way.live_weight(half_way.hash_of("m/v3")) == 20

    def test_what_follows_an_abort_proceeds(self, half_way) -> None:
        half_way.ask("abort")
        half_way.settle()
        half_way.upgrade("m/v3").good().settle()
        assert (half_way.status.phase, half_way.live_weight(half_way.hash_of("m/v3"))) == ("Paused", 20)

    def test_back_to_a_rejected_one_is_answered_and_a_retry_tries_it(self, half_way) -> None:
        half_way.ask("abort")
        half_way.settle()
        half_way.upgrade("m/v1").settle()
        assert half_way.status.phase == "Healthy"
        half_way.upgrade("m/v2").settle()
        assert half_way.status.phase == "Degraded"
        half_way.ask("retry")
        half_way.good().settle()
        assert half_way.live_weight(half_way.hash_of("m/v2")) == 20


class TestTheStrategy:
    @pytest.mark.parametrize("strategy", [{"blueGreen": {"autoPromotionEnabled": False}}, {"shadow": {}}])
    def test_the_running_revision_starts_again_by_the_other_and_users_are_back_on_stable(
        self, half_way, strategy
    ) -> None:
        half_way.verdict = None
        half_way.strategy = strategy
        half_way.step()
        assert half_way.live_weight(half_way.hash_of("m/v2")) == 0
        assert half_way.status.phase == "Progressing"
        assert any(entry.type == "StrategyChanged" for entry in half_way.status.history)

    def test_at_rest_it_changes_nothing(self, world) -> None:
        world.serving()
        world.strategy = {"blueGreen": {}}
        world.settle()
        assert (world.status.phase, len(world.children)) == ("Healthy", 1)


class TestScaling:
    def test_while_paused_canary_and_stable_keep_their_parts(self, world, monkeypatch) -> None:
        world.steps = [{"setScale": {"matchWeight": True}}, {"setWeight": 50}, {"pause": {}}]
        world.serving().upgrade().good().settle()
        bigger = world.template()
        bigger["spec"]["predictors"][0]["replicas"] = 6
        monkeypatch.setattr(type(world), "template", lambda _self: bigger)
        world.settle()
        assert (world.status.phase, world.pods("m/v1"), world.pods("m/v2")) == ("Paused", 6, 3)

    def test_after_an_abort_the_weights_stay_with_stable(self, half_way, monkeypatch) -> None:
        half_way.ask("abort")
        half_way.settle()
        smaller = half_way.template()
        smaller["spec"]["predictors"][0]["replicas"] = 1
        monkeypatch.setattr(type(half_way), "template", lambda _self: smaller)
        half_way.settle()
        assert (half_way.pods("m/v1"), half_way.live_weight(half_way.hash_of("m/v1"))) == (1, 100)

    def test_more_ready_pods_than_wanted_hold_nothing(self, world) -> None:
        world.serving().upgrade().good()
        world.step()
        world.ready[world.hash_of("m/v2")] = 5
        world.settle()
        assert world.status.phase == "Healthy"


def test_a_persons_pause_outlasts_the_time_of_the_step(world) -> None:
    world.steps = [{"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 50}]
    world.serving().upgrade().good().run(12)
    world.ask("pause")
    world.run(120)
    assert (world.status.phase, world.status.current_step_index) == ("Paused", 1)


def test_a_pause_for_a_person_knows_no_deadline(half_way) -> None:
    half_way.now += timedelta(days=30)
    half_way.settle()
    assert (half_way.status.phase, half_way.status.current_step_index) == ("Paused", 1)


def test_a_retry_has_a_deadline_of_its_own(world) -> None:
    world.spec_extra = {"progressDeadline": "60s"}
    world.serving().starts = False
    world.upgrade().run(70)
    assert world.status.phase == "Degraded"
    world.ask("retry")
    world.run(50)
    assert world.status.phase == "Progressing"
    world.run(20)
    assert world.status.phase == "Degraded"


def test_an_edit_ends_a_persons_pause_with_the_canary_that_was_paused(half_way) -> None:
    half_way.ask("resume")
    half_way.run(3)
    half_way.ask("pause")
    half_way.upgrade("m/v3").step()
    assert (half_way.status.phase, half_way.status.paused_by) == ("Progressing", "")


class TestWhatIsKept:
    def test_a_rejected_revision_stays_as_long_as_is_said(self, half_way) -> None:
        half_way.spec_extra = {"scaleDownDelay": "10s", "abortScaleDownDelay": "5m"}
        half_way.ask("abort")
        half_way.run(200)
        assert half_way.hash_of("m/v2") in half_way.children
        half_way.run(200)
        assert set(half_way.children) == {half_way.hash_of("m/v1")}

    @pytest.mark.parametrize("later", [0, 100])
    def test_the_delay_counts_from_when_the_mesh_took_the_route(self, half_way, later) -> None:
        half_way.spec_extra = {"scaleDownDelay": "30s"}
        half_way.accepted = False
        half_way.upgrade("m/v3")
        half_way.run(later)
        half_way.accepted = True
        half_way.run(25)
        assert half_way.hash_of("m/v2") in half_way.children
        half_way.run(60)
        assert half_way.hash_of("m/v2") not in half_way.children

    def test_no_more_old_revisions_wait_than_is_said(self, world) -> None:
        world.spec_extra = {"scaleDownDelay": "1h", "scaleDownDelayRevisionLimit": 1}
        world.steps = [{"setWeight": 50}]
        world.serving()
        for image in ("m/v2", "m/v3", "m/v4"):
            world.upgrade(image).good().settle()
        assert set(world.children) == {world.hash_of("m/v3"), world.hash_of("m/v4")}


def test_conditions_for_those_who_wait_for_them(world) -> None:
    def truths() -> set[str]:
        return {condition.type for condition in world.status.conditions if condition.status == "True"}

    world.steps = [{"setWeight": 20}, {"pause": {}}]
    world.serving()
    assert truths() == {"Available", "Completed", "Healthy", "Ready"}
    world.upgrade().good().run(3)
    assert truths() == {"Available", "Progressing", "Reconciling"}
    world.settle()
    assert truths() == {"Available", "Progressing", "Paused", "Reconciling"}
    world.ask("resume")
    world.settle()
    world.ready[world.hash_of("m/v2")] = 1
    world.step()
    assert truths() == {"Available", "Completed", "Reconciling"}
    world.ready[world.hash_of("m/v2")] = 2
    world.upgrade("m/v3").run(3)
    world.bad().settle()
    assert truths() == {"Available", "Degraded", "Stalled"}


@pytest.mark.parametrize("where", ["a pause step", "an analysis", "a person's pause"])
def test_promote_full_from_wherever_it_waits(world, where: str) -> None:
    friends = {"setHeaderRoute": {"name": "friends", "match": [{"headers": {"x-group": {"exact": "friends"}}}]}}
    world.steps = [friends, *{
        "a pause step": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}],
        "an analysis": [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}],
        "a person's pause": [{"setWeight": 20}, {"pause": {"duration": "10m"}}],
    }[where]]  # fmt: skip
    world.serving().upgrade().run(40)
    if where == "a person's pause":
        world.ask("pause")
    assert list(world.special()) == ["rest-friends-0", "grpc-friends-0"]
    world.ask("promote-full")
    world.settle()
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Healthy", 100)
    assert world.special() == {}, "no route is left"
