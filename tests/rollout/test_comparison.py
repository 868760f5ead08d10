"""What the judge is told to compare."""

from controller.rollout import judging


def compared(world):
    return judging.comparison(world.observe(), world.status)


def test_a_canary_is_counted_at_the_gateway_and_at_the_orchestrators(world) -> None:
    world.serving().upgrade().run(10)
    found = compared(world)
    assert found.canary.services == (f"iris-{world.hash_of('m/v2')}-default",)
    assert not found.mirrored


def test_copies_are_known_as_such(world) -> None:
    world.strategy = {"shadow": {}}
    world.serving().upgrade().run(10)
    assert compared(world).mirrored


def test_after_the_switch_both_sides_are_counted_where_copies_are_seen(world) -> None:
    world.strategy = {"blueGreen": {"prePromotionAnalysis": {"skip": True}, "postPromotionAnalysis": {}}}
    world.serving().upgrade().run(20)
    found = compared(world)
    assert (found.stable.services, found.canary.services, found.mirrored) == ((), (), True)


def test_nothing_is_compared_at_rest(world) -> None:
    assert compared(world.serving()) is None
