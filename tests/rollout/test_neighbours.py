"""A change of a rollout wakes those that look at it, and nobody else."""

import pytest

from controller.rollout.neighbours import Neighbours


def rollout(name, **labels):
    return {"metadata": {"name": name, "namespace": "ml", "labels": labels}}


@pytest.fixture
def neighbours():
    known = Neighbours()
    known.note(("ml", "a"), depends_on=("features", "raw"), group={"release": "winter"})
    known.note(("ml", "b"), group={"release": "winter"})
    known.note(("other", "c"), depends_on=("features",), group={"release": "winter"})
    return known


def test_those_that_depend_on_it_in_its_namespace(neighbours):
    assert neighbours.dependents(rollout("features")) == [("ml", "a")]
    assert neighbours.dependents(rollout("somebody")) == []


def test_those_whose_group_it_belongs_to_but_itself(neighbours):
    assert neighbours.mates(rollout("a", release="winter", tier="x")) == [("ml", "b")]
    assert neighbours.mates(rollout("new", release="winter")) == [("ml", "a"), ("ml", "b")]
    assert neighbours.mates(rollout("new", release="summer")) == []


def test_what_changes_its_mind_or_goes_is_forgotten(neighbours):
    neighbours.note(("ml", "a"), depends_on=("raw",), group={"release": "summer"})
    assert neighbours.dependents(rollout("features")) == []
    assert neighbours.mates(rollout("b", release="winter")) == []
    assert neighbours.mates(rollout("x", release="summer")) == [("ml", "a")]
    for key in (("ml", "a"), ("ml", "b"), ("other", "c")):
        neighbours.note(key)
    assert not any(vars(neighbours).values()), "nothing is kept of what is gone"
