"""Going back to what was stable not long ago."""

import pytest


@pytest.fixture
def third(world):
    """A world in which v1, v2 and v3 were stable in turn, with a rollback window of one."""
    world.spec_extra = {"rollbackWindow": {"revisions": 1}}
    world.serving()
    for image in ("m/v2", "m/v3"):
        world.upgrade(image).good().settle()
    assert world.status.stable_revision.number == 3
    world.run(60)
    world.verdict = None
    return world


def test_within_the_window_all_traffic_goes_back_in_one_write_without_a_verdict(third) -> None:
    seen = set()
    third.upgrade("m/v2")
    for _ in range(15):
        third.step(1)
        seen.add(third.live_weight(third.hash_of("m/v2")))
    assert (seen, third.status.phase) == ({0, 100}, "Healthy")
    assert "rollback window" in third.status.history[-1].message


def test_no_request_goes_back_before_the_pods_are_ready(third) -> None:
    third.starts = False
    third.upgrade("m/v2").run(5)
    assert third.live_weight(third.hash_of("m/v2")) == 0
    third.ready[third.hash_of("m/v2")] = 2
    third.run(15)
    assert third.live_weight(third.hash_of("m/v2")) == 100


def test_pods_that_never_come_back_end_at_the_deadline(third) -> None:
    third.spec_extra["progressDeadline"] = "60s"
    third.starts = False
    third.upgrade("m/v2").run(90)
    assert (third.status.phase, third.live_weight(third.hash_of("m/v3"))) == ("Degraded", 100)


def test_outside_the_window_a_revision_goes_through_its_steps(third) -> None:
    third.upgrade("m/v1").run(15)
    assert third.live_weight(third.hash_of("m/v1")) == 20


def test_a_revision_that_was_rejected_has_no_short_way(third) -> None:
    third.upgrade("m/v4").run(10)
    third.bad().settle()
    third.verdict = None
    third.upgrade("m/v5").good().settle()
    third.verdict = None
    third.upgrade("m/v4").settle()
    assert third.status.phase == "Degraded"


def test_a_shadow_takes_no_short_way_to_users(third) -> None:
    third.strategy = {"shadow": {}}
    third.upgrade("m/v2").run(15)
    assert third.live_weight(third.hash_of("m/v2")) == 0


def test_an_abort_on_the_way_back_is_heard(third) -> None:
    third.starts = False
    third.upgrade("m/v2").run(3)
    third.ask("abort")
    third.run(5)
    assert (third.status.phase, third.live_weight(third.hash_of("m/v3"))) == ("Degraded", 100)
