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
