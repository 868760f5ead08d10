"""Somebody empties the status: what it knew is found again, and nothing is left over."""

from controller.api.rollout import RolloutStatus


def test_a_retired_revision_goes_though_no_weight_was_ever_written_down(world) -> None:
    world.serving()
    world.starts = False
    world.upgrade("m/v2").run(5)
    world.status = RolloutStatus()
    world.run(3)
    world.ask("abort")
    world.run(60)
    assert world.status.phase == "Degraded"
    assert world.status.weights.changed_at is None
    assert sorted(world.children) == [world.hash_of("m/v1")]
