"""A rollout that depends on others begins when they are done, and says what it waits for."""

from dataclasses import replace

import pytest

from controller.api.people import Pinned
from controller.rollout.observed import Peer

DONE = Peer(phase="Healthy", message="revision 2 serves all traffic", current=True)


@pytest.fixture
def dependent(make_world):
    world = make_world(spec_extra={"dependsOn": [{"name": "features"}]}, peers={"features": DONE})
    return world.serving().good().upgrade()


@pytest.mark.parametrize(
    ("peers", "why"),
    [
        ({}, "waits for rollout ml/features, which does not exist"),
        (
            {"features": Peer(phase="Progressing", message="step 2 of 4", current=True)},
            "waits for rollout ml/features: Progressing: step 2 of 4",
        ),
        ({"features": Peer(phase="Degraded", message="rolled back", current=True)}, "ml/features: Degraded"),
        (
            {"features": replace(DONE, pinned=Pinned(hash="a", number=1, by="ada"))},
            "features, which ada went back with to revision 1: its template is not in force",
        ),
        ({"features": Peer(phase="Healthy", message="", current=False)}, "has not looked at its newest spec yet"),
        (
            {"features": Peer(phase="Healthy", message="", current=True, depends_on=("iris",))},
            "spec.dependsOn goes round in a circle: iris, features, iris",
        ),
        (
            {
                "features": Peer(phase="Healthy", message="", current=True, depends_on=("raw",)),
                "raw": Peer(phase="Healthy", message="", current=True, depends_on=("iris",)),
            },
            "iris, features, raw, iris",
        ),
    ],
)
def test_what_is_not_done_holds_a_new_revision_back_and_is_named(dependent, peers, why):
    dependent.peers = peers
    dependent.settle()
    assert dependent.status.phase == "Healthy"
    assert dependent.status.canary_revision is None
    assert dependent.status.blocked_on.kind == "gate"
    assert why in dependent.status.blocked_on.message
    assert why in dependent.status.message
    assert len(dependent.children) == 1, "nothing is started before its time"


def test_it_begins_when_the_others_are_done(dependent):
    dependent.peers = {"features": Peer(phase="Promoting", message="", current=True)}
    dependent.settle()
    dependent.peers = {"features": DONE}
    dependent.good().run(200)
    assert dependent.status.phase == "Healthy"
    assert dependent.status.stable_revision.number == 2


def test_a_circle_of_others_is_none_of_its_own(dependent):
    ring = {"a": ("b",), "b": ("a",)}
    others = {name: Peer(phase="Healthy", message="", current=True, depends_on=on) for name, on in ring.items()}
    dependent.peers = {"features": Peer(phase="Healthy", message="", current=True, depends_on=("a",)), **others}
    dependent.step()
    assert dependent.status.phase == "Progressing"


def test_a_first_revision_waits_too(make_world):
    world = make_world(spec_extra={"dependsOn": [{"name": "features"}]})
    world.settle()
    assert world.status.phase == "Pending"
    assert "ml/features, which does not exist" in world.status.message
    world.peers = {"features": DONE}
    world.serving()


def test_what_takes_the_place_of_a_half_way_canary_is_not_held_back(dependent):
    dependent.step()
    assert dependent.status.phase == "Progressing"
    dependent.peers = {}
    dependent.upgrade("m/v3").step()
    assert dependent.status.canary_revision.number == 3


def test_at_rest_nothing_is_waited_for(make_world):
    world = make_world(spec_extra={"dependsOn": [{"name": "features"}]}, peers={"features": DONE}).serving()
    world.peers = {}
    world.settle()
    assert world.status.blocked_on is None
