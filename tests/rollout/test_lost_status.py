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
