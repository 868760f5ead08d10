"""Somebody empties the status: what it knew is found again, and nothing is left over."""

from controller.api.rollout import RolloutStatus


def test_a_rejected_revision_goes_though_the_status_forgot_every_weight(world) -> None:
    world.serving()
    world.starts = False
    world.upgrade("m/v2").run(5)
    world.status = RolloutStatus()
    world.run(3)
    world.ask("abort")
    world.run(60)
    assert world.status.phase == "Degraded"
    assert sorted(world.children) == [world.hash_of("m/v1")]


def test_a_try_again_that_was_never_written_down_leaves_no_child(world) -> None:
    """The pass that began it made the child; the status was refused, since the person had asked for something else."""
    world.serving()
    world.upgrade("m/v2").run(5)
    world.ask("abort")
    world.run(60)
    assert (world.status.phase, len(world.children)) == ("Degraded", 1)
    before = world.status
    world.ask("retry")
    assert len(world.children) == 2
    world.status = before
    world.ask("promote")
    assert (world.status.phase, world.status.last_intent.outcome) == ("Degraded", "refused")
    world.run(60)
    assert sorted(world.children) == [world.hash_of("m/v1")]


def test_a_child_of_a_pass_that_was_cut_off_is_the_canarys(world) -> None:
    world.serving()
    before = world.status
    world.upgrade("m/v2").step()
    world.status = before
    world.step()
    assert (world.status.phase, world.status.canary_revision.hash) == ("Progressing", world.hash_of("m/v2"))
    assert world.status.retired_revisions == ()


def test_a_revision_that_is_known_nowhere_any_more_is_named_and_nothing_is_routed_anew(world) -> None:
    """Somebody deleted its SeldonDeployment and its ControllerRevision before the one could be given back."""
    world.steps = [{"setWeight": 20}, {"pause": {"duration": "1h"}}]
    world.serving().upgrade().run(60)
    digest, route = world.hash_of("m/v1"), world.route
    del world.stored[digest], world.children[digest]
    world.step()
    blocked = world.status.blocked_on
    assert blocked.kind == "error"
    assert blocked.message.startswith(
        "revision 1 (stable) is lost, since SeldonDeployment and ControllerRevision iris-"
    )
    assert world.route == route
