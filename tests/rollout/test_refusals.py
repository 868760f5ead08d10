"""What the API server refuses stands in the status after the same pass, in its words; nothing is forgotten by it."""

import pytest

from controller.rollout.refusals import refused

SAID = "PATCH seldondeployments ml/iris-x is refused: admission webhook policy.example denied the request: no owner"


def refuse(world, said: str = SAID):
    """A pass whose first write is refused: only the status is written."""
    decision = world.decide()
    status, announcements = refused(world.observe(), decision, said, now=world.now)
    world.status = type(status).model_validate(status.model_dump(by_alias=True, mode="json", exclude_none=True))
    world.said += announcements
    return status, announcements


@pytest.mark.parametrize(("said", "kind"), [(SAID, "error"), ("pods is forbidden: exceeded quota: small", "quota")])
def test_it_is_named_with_the_servers_words_and_announced_once(world, said: str, kind: str) -> None:
    world.serving().upgrade()
    status, announcements = refuse(world, said)
    assert (status.phase, status.blocked_on.kind, status.blocked_on.message) == ("Progressing", kind, said)
    assert said in status.message
    assert [each.reason for each in announcements] == ["RevisionCreated", "WriteRefused"]
    refuse(world, said)
    told = world.status
    _, quiet = refuse(world, said)
    assert (world.status, quiet) == (told, ())


def test_it_says_since_when(world) -> None:
    world.serving().upgrade()
    first, _ = refuse(world)
    world.now = world.now.replace(minute=world.now.minute + 1)
    later, _ = refuse(world)
    assert later.blocked_on.since == first.blocked_on.since


def test_the_deadline_goes_on_meanwhile(world) -> None:
    world.spec_extra = {"progressDeadline": "60s"}
    world.serving().upgrade()
    for _ in range(8):
        refuse(world)
        world.now = world.now.replace(second=0, minute=world.now.minute + 1)
    assert world.status.rejected[-1].by == "deadline"


def test_an_intent_is_answered_though_the_route_is_refused_and_the_route_is_tried_again(world) -> None:
    world.serving().upgrade().run(8)
    world.intent = None
    from controller.api.rollout import Intent

    world.intent = Intent(id="9", verb="abort", by="ada")
    status, _ = refuse(world)
    assert (status.phase, status.last_intent.outcome, status.blocked_on.kind) == ("RollingBack", "done", "error")
    assert status.weights.changed_at < world.now
    world.step()
    assert (world.live_weight(world.hash_of("m/v2")), world.status.weights.changed_at) == (0, world.now)


def test_traffic_goes_before_children_so_that_what_refuses_these_holds_no_traffic(world) -> None:
    from controller.rollout import actions

    world.serving().upgrade().run(8)
    world.bad()
    kinds = [type(action) for action in world.decide().actions]
    assert kinds[0] is actions.ApplyRoute


def test_once_it_is_accepted_nothing_is_left_of_it(world) -> None:
    world.serving().upgrade()
    refuse(world)
    world.good().settle()
    assert (world.status.phase, world.status.blocked_on) == ("Healthy", None)


def test_pods_that_a_quota_refuses_are_named_as_such(world) -> None:
    from dataclasses import replace

    from controller.rollout.decide import decide

    world.serving().starts = False
    world.upgrade().run(3)
    obs = world.observe()
    digest = world.hash_of("m/v2")
    short = replace(obs.children[digest], refused='pods "x" is forbidden: exceeded quota: small')
    decision = decide(replace(obs, children={**obs.children, digest: short}), now=world.now)
    assert decision.status.blocked_on.kind == "quota"
    assert "exceeded quota: small" in decision.status.message
