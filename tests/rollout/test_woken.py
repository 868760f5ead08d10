"""What is read of an object is read once for each of its versions, and a change wakes only whom it concerns."""

import copy

import pytest

from controller.kube.resources import SELDON_ROLLOUT
from controller.kube.watches import Change, Watch
from controller.rollout import seen
from controller.rollout.parsed import Parsed
from controller.rollout.uses import Uses


def obj(version, uid="u", **more):
    return {"metadata": {"uid": uid, "resourceVersion": version, **more}}


class TestParsed:
    def test_each_version_is_read_once(self) -> None:
        asked = []
        read = Parsed(lambda each: asked.append(each["metadata"]["resourceVersion"]) or len(asked))
        assert [read(obj(version)) for version in ("1", "1", "2", "2", "1")] == [1, 1, 2, 2, 3]

    def test_an_object_that_comes_back_under_its_name_is_another(self) -> None:
        read = Parsed(lambda each: each["metadata"]["uid"])
        assert [read(obj("1", "a")), read(obj("1", "b"))] == ["a", "b"]

    def test_what_has_no_version_is_never_remembered(self) -> None:
        read = Parsed(lambda each: each["said"])
        assert [read({"metadata": {"uid": "u"}, "said": word}) for word in ("yes", "no")] == ["yes", "no"]

    def test_memory_is_bounded_and_the_longest_forgotten_goes_first(self) -> None:
        asked = []
        read = Parsed(lambda each: asked.append(each["metadata"]["uid"]), remembered=2)
        for uid in ("a", "b", "a", "c", "a", "b"):
            read(obj("1", uid))
        assert asked == ["a", "b", "c", "b"]


def test_uses_know_who_looks_at_what_until_nobody_does() -> None:
    uses = Uses()
    uses.note(("ml", "a"), [("ml", "rate"), ("", "house")])
    uses.note(("ml", "b"), [("", "house")])
    assert uses.users(("", "house")) == [("ml", "a"), ("ml", "b")]
    uses.note(("ml", "a"), [("ml", "rate")])
    assert (uses.users(("", "house")), uses.users(("ml", "rate"))) == ([("ml", "b")], [("ml", "a")])
    for user in (("ml", "a"), ("ml", "b")):
        uses.note(user)
    assert not any(vars(uses).values())


MEMBER = {
    "metadata": {"name": "a", "namespace": "ml", "generation": 2, "labels": {"release": "winter"}},
    "spec": {"group": {"selector": {"matchLabels": {"release": "winter"}}, "wave": "two"}},
    "status": {
        "phase": "Progressing",
        "observedGeneration": 2,
        "message": "12 requests",
        "canaryRevision": {"hash": "x", "number": 2, "readyReplicas": 1},
        "blockedOn": {"kind": "metric", "message": "12 requests"},
        "analysis": {"message": "12 requests"},
        "weights": {"stable": 80, "canary": 20, "observed": 19.5},
        "rejected": [{"hash": "w", "at": "2026-01-01T12:00:00Z"}],
        "conditions": [{"type": "Ready", "status": "True", "message": "12 requests"}],
        "group": {"level": "Running"},
    },
}
WATCH = Watch(SELDON_ROLLOUT, lambda _obj: [], part=seen.face)


@pytest.mark.parametrize(
    ("path", "value", "concerns"),
    [
        (("status", "message"), "13 requests", False),
        (("status", "analysis", "message"), "13 requests", False),
        (("status", "weights", "observed"), 20.5, False),
        (("status", "blockedOn", "message"), "13 requests", False),
        (("status", "canaryRevision", "readyReplicas"), 2, False),
        (("status", "conditions", 0, "message"), "13 requests", False),
        (("spec", "replicas"), 3, False),
        (("metadata", "annotations"), {"a": "b"}, False),
        (("status", "phase"), "Promoting", True),
        (("status", "group", "level"), "Ready", True),
        (("status", "canaryRevision", "hash"), "y", True),
        (("status", "rejected", 0, "at"), "2026-01-01T13:00:00Z", True),
        (("status", "conditions", 0, "status"), "False", True),
        (("spec", "group", "wave"), "three", True),
        (("metadata", "generation"), 3, True),
        (("metadata", "labels", "release"), "summer", True),
        (("metadata", "deletionTimestamp"), "2026-01-01T12:00:00Z", True),
    ],
)
def test_the_others_of_a_group_are_woken_by_what_they_look_at_alone(path, value, concerns) -> None:
    changed = copy.deepcopy(MEMBER)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert WATCH.concerned(Change("MODIFIED", changed, MEMBER)) is concerns
    assert (seen.member(changed) == seen.member(MEMBER)) is (not concerns or path[1] in ("labels", "deletionTimestamp"))


def test_who_comes_or_goes_concerns_all() -> None:
    assert WATCH.concerned(Change("ADDED", MEMBER))
    assert WATCH.concerned(Change("DELETED", MEMBER, MEMBER))
    assert Watch(SELDON_ROLLOUT, lambda _obj: []).concerned(Change("MODIFIED", MEMBER, MEMBER))
