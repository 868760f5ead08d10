"""The stories of a canary: promoted, rolled back, paused, left, retried."""

from collections.abc import Callable

import pytest

from controller.api.rollout import AnalysisStatus, MetricStatus
from controller.rollout.actions import ApplyRoute


def test_the_first_revision_serves_all_traffic_once_its_pods_are_ready(world) -> None:
    world.starts = False
    world.run(3)
    assert world.route is None
    assert world.status.blocked_on.kind == "pods"
    world.ready[world.hash_of("m/v1")] = 2
    world.settle()
    assert (world.status.phase, world.live_weight(world.hash_of("m/v1"))) == ("Healthy", 100)


def test_a_good_canary_goes_through_its_steps_and_is_promoted(world) -> None:
    world.serving().upgrade().good()
    world.settle()
    assert world.log[-3:] == ["Progressing", "Promoting", "Healthy"]
    assert world.live_weight(world.hash_of("m/v2")) == 100
    assert world.status.stable_revision.number == 2


def test_canary_gets_no_weight_until_its_pods_are_ready(world) -> None:
    world.serving().starts = False
    world.upgrade().good()
    world.run(5)
    assert world.live_weight(world.hash_of("m/v2")) == 0
    assert world.status.blocked_on.kind == "pods"
    assert "CrashLoopBackOff" in world.status.message


def test_a_bad_verdict_takes_all_traffic_off_in_one_pass_and_says_why(world) -> None:
    world.serving().upgrade()
    world.run(8)
    assert world.live_weight(world.hash_of("m/v2")) == 20
    world.bad().step()
    assert world.live_weight(world.hash_of("m/v2")) == 0
    world.settle()
    reason = world.status.rejected[-1].reason
    assert (world.status.phase, reason.metric, reason.evidence, reason.samples) == (
        "Degraded",
        "errorRate",
        312.0,
        4310,
    )
    assert any(said.type == "Warning" and "5 % against 0.1 %" in said.message for said in world.said)


def test_a_rejected_revision_is_not_tried_again(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.bad().settle()
    world.verdict = None
    world.run(120)
    assert world.status.phase == "Degraded"
    assert world.hash_of("m/v2") not in world.children


@pytest.mark.parametrize("verdict", ["NoData", "Error", "Inconclusive"])
def test_without_a_good_verdict_a_person_is_asked_and_nothing_is_promoted(world, verdict: str) -> None:
    from controller.api.rollout import AnalysisStatus

    world.serving().upgrade()
    world.verdict = AnalysisStatus(verdict=verdict, message="not enough requests")
    world.run(1300)
    assert world.status.phase == "Paused"
    assert "not enough requests" in world.status.pause_reason
    assert world.live_weight(world.hash_of("m/v2")) == 20


def test_pods_that_never_become_ready_end_in_a_rollback_at_the_deadline(world) -> None:
    world.spec_extra = {"progressDeadline": "60s"}
    world.serving().starts = False
    world.upgrade().run(70)
    assert world.status.phase == "Degraded"
    assert world.status.rejected[-1].by == "deadline"
    assert "0 of 2 pods ready" in world.status.rejected[-1].message


def test_a_retry_starts_again_at_the_first_step(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.bad().settle()
    world.verdict = None
    world.ask("retry")
    assert (world.status.phase, world.status.current_step_index) == ("Progressing", 0)
    world.good().settle()
    assert world.status.phase == "Healthy"


def test_going_back_to_stables_template_ends_the_canary_without_blame(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.upgrade("m/v1").settle()
    assert (world.status.phase, world.status.rejected) == ("Healthy", ())
    assert world.live_weight(world.hash_of("m/v1")) == 100


def test_a_third_template_starts_again_against_stable_and_drains_the_half_way_one(world) -> None:
    world.serving().upgrade()
    world.run(8)
    assert world.live_weight(world.hash_of("m/v2")) == 20
    world.upgrade("m/v3").step()
    assert world.status.canary_revision.hash == world.hash_of("m/v3")
    assert world.live_weight(world.hash_of("m/v1")) == 100
    assert world.hash_of("m/v2") in world.children
    world.run(60)
    assert set(world.children) == {world.hash_of("m/v1"), world.hash_of("m/v3")}
    world.good().settle()
    world.run(60)
    assert set(world.children) == {world.hash_of("m/v3")}


def test_an_indefinite_pause_waits_for_a_person_and_resume_goes_on(world) -> None:
    world.steps = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]
    world.serving().upgrade().good().settle()
    assert (world.status.phase, world.status.current_step_index) == ("Paused", 1)
    world.ask("resume")
    world.settle()
    assert world.status.phase == "Healthy"


def test_a_timed_pause_lasts_as_long_as_it_says(world) -> None:
    world.steps = [{"setWeight": 10}, {"pause": {"duration": "30s"}}, {"setWeight": 50}]
    world.serving().upgrade().good()
    world.run(20)
    assert (world.status.current_step_index, world.status.blocked_on.kind) == (1, "time")
    decision = world.decide()
    assert 0 < decision.requeue_after.total_seconds() <= 30
    world.run(20)
    assert world.status.phase in ("Promoting", "Healthy") or world.status.current_step_index > 1


def test_a_persons_pause_stops_the_steps_but_not_the_judge(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.ask("pause")
    world.good().run(60)
    assert world.status.phase == "Paused"
    world.bad().settle()
    assert world.status.phase == "Degraded"


def test_a_weight_is_reached_only_when_the_observed_share_agrees(world) -> None:
    world.serving().upgrade().good()
    world.share = 0.0
    world.run(60)
    assert (world.status.current_step_index, world.status.blocked_on.kind) == (0, "weight")
    world.share = None
    world.settle()
    assert world.status.phase == "Healthy"


def test_with_too_little_traffic_to_verify_the_step_goes_on_after_patience(world) -> None:
    world.serving().upgrade().good()
    world.requests = 5
    world.run(20)
    assert world.status.current_step_index == 0
    world.run(120)
    assert world.status.phase == "Healthy"


def test_shadow_first_copies_requests_and_gives_no_weight(world) -> None:
    world.steps = [{"setMirror": {"percentage": 100}}, {"pause": {"duration": "20s"}}, {"setWeight": 30}]
    world.serving().upgrade()
    world.run(10)
    http = world.route["spec"]["http"][0]
    assert [part["weight"] for part in http["route"]] == [100]
    assert http["mirrors"][0]["percentage"] == {"value": 100.0}
    world.good().run(25)
    assert "mirrors" not in world.route["spec"]["http"][0]


def test_abort_while_promoting_goes_back_to_stable(world) -> None:
    world.serving().upgrade().good()
    world.accepted = None
    while world.status.phase != "Promoting":
        world.step(1)
    world.ask("abort")
    world.accepted = True
    world.settle()
    assert (world.status.phase, world.live_weight(world.hash_of("m/v1"))) == ("Degraded", 100)
    assert world.status.rejected[-1].by == "ada"


def test_abort_when_stable_has_no_ready_pod_keeps_serving_and_says_so(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.ready[world.hash_of("m/v1")] = 0
    world.ask("abort")
    assert world.status.phase == "RollingBack"
    assert "stable revision has 0 of 2 pods ready" in world.status.message
    world.ready[world.hash_of("m/v1")] = 1
    world.step()
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("RollingBack", 10)
    world.ready[world.hash_of("m/v1")] = 2
    world.settle()
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Degraded", 0)


def test_the_old_stable_is_taken_down_only_after_the_drain(world) -> None:
    world.spec_extra = {"scaleDownDelay": "30s"}
    world.serving().upgrade().good()
    while world.status.phase != "Healthy" or world.status.stable_revision.number == 1:
        world.step(1)
    assert world.hash_of("m/v1") in world.children
    world.run(40)
    assert set(world.children) == {world.hash_of("m/v2")}


@pytest.mark.parametrize("trouble", [{"share": 0.2}, {"accepted": False}])
def test_until_the_last_weight_is_seen_old_pods_stay_and_what_lacks_is_named(world, trouble) -> None:
    world.serving().upgrade().good()
    while world.status.phase != "Promoting":
        world.step(1)
    for name, value in trouble.items():
        setattr(world, name, value)
    for seconds in (30, 1500):  # before the deadline, and long after it
        world.step(seconds)
        world.step(1)
        assert world.status.phase == "Promoting"
        assert world.hash_of("m/v1") in world.children
        assert world.status.blocked_on is not None
    assert (world.status.blocked_on.kind, "or abort" in world.status.message) == ("person", True)
    world.share, world.accepted = None, True
    world.settle()
    assert (world.status.phase, world.status.stable_revision.number) == ("Healthy", 2)


def test_a_stable_whose_pods_all_fail_does_not_hold_up_the_one_that_mends_it(world) -> None:
    world.serving()
    world.ready[world.hash_of("m/v1")] = 0
    world.upgrade().good().settle()
    assert (world.status.phase, world.status.stable_revision.number) == ("Healthy", 2)


def test_an_invalid_spec_touches_nothing_and_says_what_is_wrong(world) -> None:
    world.serving().upgrade()
    world.run(8)
    before = (world.route, dict(world.children))
    world.invalid = "spec.strategy.canary.steps.0.setWeight: found 300"
    world.run(5)
    assert (world.status.phase, world.status.message) == ("Invalid", world.invalid)
    assert (world.route, world.children) == before
    world.invalid = ""
    world.good().settle()
    assert world.status.phase == "Healthy"


def test_a_bad_canary_is_taken_out_even_while_the_spec_is_invalid(world) -> None:
    world.serving().upgrade()
    world.run(8)
    world.invalid = "spec.x: no"
    world.bad().settle()
    assert world.live_weight(world.hash_of("m/v2")) == 0


def test_a_foreign_virtual_service_is_never_taken_over(world) -> None:
    world.in_the_way = "VirtualService ml/iris is not this rollout's"
    world.run(5)
    assert world.route is None
    assert "not this rollout's" in world.status.message


@pytest.mark.parametrize("verb", ["promote", "resume", "pause", "skip", "promote-full", "abort", "retry"])
def test_an_illegal_verb_is_answered_once_and_changes_nothing(world, verb: str) -> None:
    world.serving()
    route = world.route
    world.ask(verb)
    assert (world.status.last_intent.outcome, world.route) == ("refused", route)
    count = len(world.said)
    world.run(3)
    assert len(world.said) == count


def test_promote_full_skips_steps_and_judge_and_says_who(world) -> None:
    world.serving().upgrade()
    world.run(3)
    world.ask("promote-full", by="grace")
    world.bad().settle()
    assert world.status.phase == "Healthy"
    assert "grace" in world.status.history[-1].message


def test_promote_at_the_end_accepts_missing_evidence(world) -> None:
    world.steps = [{"setWeight": 50}]
    world.serving().upgrade()
    world.run(700)
    assert world.status.phase == "Paused"
    world.ask("promote", by="ada")
    world.settle()
    assert world.status.phase == "Healthy"


def test_a_lost_status_is_recovered_from_the_children(world) -> None:
    from controller.api.rollout import RolloutStatus

    world.serving().upgrade().good().settle()
    world.run(60)
    route = world.route
    world.status = RolloutStatus()
    world.settle()
    assert (world.status.phase, world.route) == ("Healthy", route)


def test_scaling_the_template_starts_no_rollout_and_scales_the_child(world, monkeypatch) -> None:
    world.serving()
    base = world.template()
    base["spec"]["predictors"][0]["replicas"] = 5
    monkeypatch.setattr(type(world), "template", lambda _self: base)
    world.step()
    (child,) = world.children.values()
    assert world.status.phase == "Healthy"
    assert child["spec"]["predictors"][0]["replicas"] == 5


@pytest.mark.parametrize(
    ("drift", "what"),
    [
        (lambda w: w.route["spec"]["http"][0]["route"][0].__setitem__("weight", 1), "weights"),
        (lambda w: w.route["spec"].__setitem__("http", []), "routes"),
    ],
)
def test_drift_of_the_route_is_healed_at_once(world, drift: Callable, what: str) -> None:
    world.serving()
    drift(world)
    world.step()
    assert world.live_weight(world.hash_of("m/v1")) == 100, what


SLOW = MetricStatus(name="latency", verdict="Bad", message="slower than 5 ms: 94 % against 48 %", evidence=262.0)
FAILED = SLOW.model_copy(update={"name": "errorRate", "message": "failed: 5 % against 0.1 %"})


@pytest.mark.parametrize(
    ("weight", "found", "ready", "said"),
    [
        (80, SLOW, 2, "; each of its pods gets 4.0 times the requests of one of stable's, which may be why"),
        (50, SLOW, 1, "; each of its pods gets 2.0 times the requests of one of stable's, which may be why"),
        (60, SLOW, 2, ""),
        (20, SLOW, 2, ""),
        (80, FAILED, 2, ""),
    ],
)
def test_a_slow_canary_whose_pods_have_more_to_do_is_rolled_back_with_that_word(
    make_world, weight: int, found: MetricStatus, ready: int, said: str
) -> None:
    world = make_world(steps=[{"setWeight": weight}, {"analysis": {}}])
    world.serving().upgrade().run(8)
    world.ready[world.hash_of("m/v2")] = ready
    world.verdict = AnalysisStatus(verdict="Bad", message=found.message, metrics=(found,))
    world.step()
    assert world.status.rejected[-1].reason.message == found.message + said


def test_the_route_is_written_over_the_very_one_that_was_decided_on(world) -> None:
    """Another controller, or a person, who was quicker makes the server refuse it."""
    world.serving().upgrade().run(8)
    world.route["metadata"]["resourceVersion"] = "4711"
    world.bad()
    (written,) = (each for each in world.decide().actions if isinstance(each, ApplyRoute))
    assert written.object["metadata"]["resourceVersion"] == "4711"
