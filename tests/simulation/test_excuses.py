"""What excuses a lost request in the simulation, and for how long: no more than the world did to whom it was sent."""

import pytest
from simulated.promises import BrokenPromiseError
from simulated.story import Happening
from simulated.world import World

PACED = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}


@pytest.fixture
def world(begin) -> World:
    """A canary waits for a person at 20 percent."""
    made = begin()
    made.people.create("good-0", strategy=PACED)
    made.timeline.run_until(40)
    made.happen(Happening(0.0, "edit", ("good-1",)))
    made.timeline.run_until(100)
    assert made.status()["phase"] == "Paused"
    return made


def names(world: World) -> list[str]:
    return [world.status()[role]["name"] for role in ("stableRevision", "canaryRevision")]


def excused(world: World) -> list[bool]:
    return [world.excused(name) for name in names(world)]


def test_a_route_that_somebody_wrote_excuses_until_a_controllers_is_in_effect(world) -> None:
    assert excused(world) == [False, False]
    world.processes[0].cut_watch("virtualservices.networking.istio.io", 10.0, gone=False)
    world.happen(Happening(0.0, "drift", ("weights",)))
    world.timeline.run_until(world.timeline.now + 3)
    assert excused(world) == [True, True]
    world.timeline.run_until(world.timeline.now + 60)
    assert excused(world) == [False, False]


def test_what_is_taken_from_one_excuses_no_other_and_no_longer_than_it_answers_again(world) -> None:
    (first, other) = sorted(names(world))
    world.happen(Happening(0.0, "drift", ("deployment",)))
    assert (world.excused(first), world.excused(other)) == (True, False)
    world.timeline.run_until(world.timeline.now + 60)
    assert world.answered[first] > world.timeline.now - 10
    assert not world.excused(first)


def test_what_may_not_be_given_back_excuses_until_it_may(world) -> None:
    (first, other) = sorted(names(world))
    world.happen(Happening(0.0, "forbid", ("deployments.apps", "no", 900.0)))
    world.happen(Happening(0.0, "drift", ("deployment",)))
    world.timeline.run_until(world.timeline.now + 700)
    assert (world.excused(first), world.excused(other)) == (True, False)
    world.timeline.run_until(world.timeline.now + 600)
    assert world.answered[first] > world.timeline.now - 10
    assert not world.excused(first)


def test_requests_that_find_nobody_then_break_the_promise(world) -> None:
    (stable, _) = names(world)
    with pytest.raises(BrokenPromiseError, match="no request is lost"):
        world.users.served(stable, 10, 3)
