"""What each revision gets stands in the status of the pass that writes the route, whatever is asked for."""

from dataclasses import replace

from controller.api.meta import FINALIZER
from controller.rollout.leaving import leave
from controller.rollout.refusals import refused

from .test_own_route import owning, route, shop


def told(world) -> dict[str, float]:
    """Percent of live requests by image."""
    status = world.status
    known = {world.hash_of(f"m/v{number}"): f"m/v{number}" for number in (1, 2, 3)}
    revisions = filter(None, (status.stable_revision, status.canary_revision, *status.retired_revisions))
    return {known[each.hash]: each.weight for each in revisions}


def test_a_first_revision_has_all_requests_as_soon_as_a_route_leads_to_it(world) -> None:
    world.accepted = None
    world.step()
    world.step(1)
    assert (world.status.phase, told(world)) == ("Pending", {"m/v1": 100})


def test_while_pods_are_missing_the_weight_before_stands_beside_the_one_that_is_asked_for(world) -> None:
    world.steps = [{"setWeight": 20}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {}}]
    world.serving().upgrade().run(4)
    world.ready[world.hash_of("m/v2")] = 1
    world.run(30)
    assert (world.status.weights.canary, told(world)) == (50, {"m/v1": 80, "m/v2": 20})


def test_a_canary_that_lost_all_its_pods_has_nothing(world) -> None:
    world.serving().upgrade().run(4)
    world.ready[world.hash_of("m/v2")] = 0
    world.step(1)
    assert (world.status.weights.canary, told(world)) == (20, {"m/v1": 100, "m/v2": 0})


def test_what_a_short_stable_cannot_take_is_told_in_the_pass_of_the_abort(world) -> None:
    world.steps = [{"setWeight": 50}, {"pause": {}}]
    world.serving().upgrade().run(20)
    world.ready[world.hash_of("m/v1")] = 1
    world.ask("abort")
    assert (world.status.weights.canary, told(world)) == (0, {"m/v1": 75, "m/v2": 25})


def test_a_revision_that_was_superseded_shows_what_it_keeps(world) -> None:
    world.steps = [{"setWeight": 50}, {"pause": {}}]
    world.serving().upgrade().run(20)
    world.ready[world.hash_of("m/v1")] = 1
    world.upgrade("m/v3").step(1)
    assert told(world) == {"m/v1": 75, "m/v2": 25, "m/v3": 0}


def test_a_route_that_was_refused_is_not_told_as_written(world) -> None:
    world.serving().upgrade().run(8)
    world.bad()
    decision = world.decide()
    status, _ = refused(world.observe(), decision, "PATCH virtualservices is refused: no", now=world.now)
    assert [status.weights.canary, status.canary_revision.weight if status.canary_revision else None] == [0, 20]
    world.step()
    assert told(world) == {"m/v1": 100, "m/v2": 0}


def test_a_rollout_that_is_deleted_tells_that_all_requests_went_back(world) -> None:
    world.serving().upgrade().run(8)
    assert told(world) == {"m/v1": 80, "m/v2": 20}
    world.spec_extra = {"deletionPolicy": "KeepStable"}
    deleted = replace(world.observe(), deleting=world.now, finalizers=(FINALIZER,))
    world.act(leave(deleted, now=world.now))
    assert told(world) == {"m/v1": 100, "m/v2": 0}
    assert world.live_weight(world.hash_of("m/v2")) == 0


def test_copies_by_a_persons_route_go_on_while_some_pods_are_missing(make_world) -> None:
    steps = [{"setMirror": {"percentage": 60}}, {"pause": {}}]
    world = owning(make_world, shop(route("predict")), steps=steps, routes=["predict"]).serving()
    world.upgrade().run(10)
    assert world.status.canary_revision.mirror == 60
    world.ready[world.hash_of("m/v2")] = 1
    world.run(3)
    assert world.status.canary_revision.mirror == 60
    assert [each["percentage"] for each in world.own["spec"]["http"][0]["mirrors"]] == [{"value": 60}]
    world.ask("abort")
    assert "mirrors" not in world.own["spec"]["http"][0], "where there were none of the person's none are left"
