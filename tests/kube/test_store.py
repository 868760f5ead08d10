"""The cache converges on the server's state, and never goes back behind our own writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.kube.objects import MalformedError, key_of, well_formed
from controller.kube.store import Store
from controller.kube.watches import Change
from controller.queue import Key

Object = dict[str, Any]


def an_object(
    name: str,
    version: int,
    *,
    uid: str = "u",
    namespace: str = "ml",
    owner: str = "",
    labels: dict[str, str] | None = None,
) -> Object:
    metadata: Object = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}, {"uid": "other"}]
    if labels is not None:
        metadata["labels"] = labels
    return {"metadata": metadata}


def told(change: Change | None) -> tuple[str, str, str | None] | None:
    if change is None:
        return None
    before = change.previous["metadata"]["resourceVersion"] if change.previous else None
    return change.type, change.object["metadata"]["resourceVersion"], before


def test_our_own_write_is_read_at_once_and_told_when_the_watch_confirms_it() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.written(an_object("iris", 5))
    assert store.get(("ml", "iris")) == an_object("iris", 5)
    assert told(store.event("MODIFIED", an_object("iris", 4))) is None, "older news"
    assert store.get(("ml", "iris")) == an_object("iris", 5)
    assert told(store.event("MODIFIED", an_object("iris", 5))) == ("MODIFIED", "5", "3")


def test_the_watch_may_be_quicker_than_the_answer() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 6))
    store.written(an_object("iris", 5))
    assert store.get(("ml", "iris")) == an_object("iris", 6)


def test_what_we_deleted_stays_away_while_old_news_of_it_come() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.deleted(("ml", "iris"), "u")
    assert store.get(("ml", "iris")) is None
    assert told(store.event("MODIFIED", an_object("iris", 4))) is None
    assert store.get(("ml", "iris")) is None
    assert told(store.event("DELETED", an_object("iris", 6))) == ("DELETED", "6", "3")


def _ended_by_us(store: Store) -> None:
    store.deleted(("ml", "iris"), "u")
    store.event("DELETED", an_object("iris", 9))


def _ended_unseen(store: Store) -> None:
    store.deleted(("ml", "iris"), "u")
    store.replace([], version="9", began=store.begin(), namespace=None)


def _ended_by_others(store: Store) -> None:
    store.event("DELETED", an_object("iris", 9))


def _ended_while_the_watch_was_cut(store: Store) -> None:
    store.replace([], version="9", began=store.begin(), namespace=None)


@pytest.mark.parametrize("end", [_ended_by_us, _ended_unseen, _ended_by_others, _ended_while_the_watch_was_cut])
def test_what_is_told_again_after_its_end_brings_nothing_back(end: Callable[[Store], None]) -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    end(store)
    assert told(store.event("MODIFIED", an_object("iris", 3))) is None
    assert store.get(("ml", "iris")) is None
    assert told(store.event("ADDED", an_object("iris", 11))) == ("ADDED", "11", None), "it is in what we watch again"


def test_a_successor_of_what_we_deleted_is_seen() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.deleted(("ml", "iris"), "u")
    assert told(store.event("ADDED", an_object("iris", 7, uid="v"))) == ("ADDED", "7", None)
    assert told(store.event("DELETED", an_object("iris", 6))) is None, "the end of its predecessor"
    assert store.get(("ml", "iris")) == an_object("iris", 7, uid="v")


def test_a_deletion_with_another_uid_removes_nothing() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.deleted(("ml", "iris"), "someone-else")
    assert store.get(("ml", "iris")) is not None


def test_an_answer_that_comes_after_that_of_a_later_deletion_brings_nothing_back() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.deleted(("ml", "iris"), "u")
    store.written(an_object("iris", 5))
    assert store.get(("ml", "iris")) is None


def test_an_answer_that_comes_after_the_watch_told_of_a_deletion_brings_nothing_back() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.event("DELETED", an_object("iris", 6))
    store.written(an_object("iris", 5))
    assert store.get(("ml", "iris")) is None
    store.event("ADDED", an_object("mnist", 7))
    store.replace([], version="9", began=store.begin(), namespace=None)
    store.written(an_object("mnist", 8))
    assert store.get(("ml", "mnist")) is None
    store.written(an_object("iris", 10, uid="another"))
    assert store.get(("ml", "iris")) is not None


def test_what_we_wrote_outside_of_the_selection_is_seen_once_it_is_in_it() -> None:
    store = Store()
    store.dropped(an_object("iris", 3))
    store.written(an_object("iris", 4))
    assert store.get(("ml", "iris")) == an_object("iris", 4)
    store.dropped(an_object("iris", 5))
    assert store.get(("ml", "iris")) is None
    store.event("DELETED", an_object("iris", 5))
    assert told(store.event("ADDED", an_object("iris", 6))) == ("ADDED", "6", None)


def test_a_list_tells_what_the_watch_missed() -> None:
    store = Store()
    for name in ("gone", "same", "changed"):
        store.event("ADDED", an_object(name, 3))
    fresh = [an_object("same", 3), an_object("changed", 8), an_object("new", 9)]
    changes = store.replace(fresh, version="10", began=store.begin(), namespace=None)
    assert sorted((change.type, change.object["metadata"]["name"]) for change in changes) == [
        ("ADDED", "new"),
        ("DELETED", "gone"),
        ("MODIFIED", "changed"),
    ]


def test_a_list_that_was_read_before_our_write_does_not_undo_it() -> None:
    store = Store()
    store.event("ADDED", an_object("deleted", 3))
    began = store.begin()
    store.written(an_object("created", 12))
    store.deleted(("ml", "deleted"), "u")
    changes = store.replace([an_object("deleted", 3)], version="10", began=began, namespace=None)
    assert changes == []
    assert store.get(("ml", "created")) is not None
    assert store.get(("ml", "deleted")) is None


def test_a_list_confirms_our_write_when_the_watch_was_cut_before_it_could() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3))
    store.written(an_object("iris", 5))
    changes = store.replace([an_object("iris", 5)], version="6", began=store.begin(), namespace=None)
    assert [told(change) for change in changes] == [("MODIFIED", "5", "3")]


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    store = Store()
    store.event("ADDED", an_object("iris", 3, namespace="a"))
    store.event("ADDED", an_object("iris", 3, namespace="b"))
    store.replace([], version="9", began=store.begin(), namespace="a")
    assert [key_of(obj) for obj in store.all()] == [("b", "iris")]


def test_objects_are_found_by_owner_namespace_and_labels() -> None:
    store = Store(indexed=("app",))
    store.event("ADDED", an_object("one", 1, owner="o1", labels={"app": "iris", "tier": "a"}))
    store.event("ADDED", an_object("two", 2, owner="o1", labels={"app": "iris", "tier": "b"}))
    store.event("ADDED", an_object("far", 3, namespace="x", labels={"app": "iris", "tier": "a"}))
    store.event("MODIFIED", an_object("two", 4, owner="o2", labels={"app": "wine", "tier": "b"}))
    assert [key_of(obj) for obj in store.owned("o1")] == [("ml", "one")]
    assert [key_of(obj) for obj in store.owned("o2")] == [("ml", "two")]
    assert [key_of(obj) for obj in store.selected(None, {"app": "iris"})] == [("ml", "one"), ("x", "far")]
    assert [key_of(obj) for obj in store.selected("ml", {"app": "iris", "tier": "a"})] == [("ml", "one")]
    assert [key_of(obj) for obj in store.selected("ml", {"tier": "b"})] == [("ml", "two")]
    assert store.selected(None, {"app": "none"}) == []


def test_an_index_that_is_declared_late_finds_what_was_there() -> None:
    store = Store()
    store.event("ADDED", an_object("one", 1, labels={"app": "iris"}))
    store.declare(["app"])
    store.event("DELETED", an_object("one", 2, labels={"app": "iris"}))
    assert store.selected(None, {"app": "iris"}) == []


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "text",
        {},
        {"metadata": None},
        {"metadata": {"name": ""}},
        {"metadata": {"name": 7}},
        {"metadata": {"name": "x", "namespace": 1}},
        {"metadata": {"name": "x", "labels": ["a"]}},
        {"metadata": {"name": "x", "labels": {"a": {}}}},
        {"metadata": {"name": "x", "ownerReferences": ["a"]}},
    ],
)
def test_what_is_no_object_is_refused(junk: object) -> None:
    with pytest.raises(MalformedError):
        well_formed(junk)


def test_managed_fields_are_not_kept() -> None:
    assert well_formed({"metadata": {"name": "x", "managedFields": [{}]}}) == {"metadata": {"name": "x"}}


NAMES = st.sampled_from(["a", "b", "c"])
OWNERS = st.sampled_from(["", "o1", "o2"])


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the server that is on its way to us."""

    object: Object
    deletion: bool


class ServerAndCache(RuleBasedStateMachine):
    """A server with a history, a watch that lags, lists at any moment, and writes of our own among those of others."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        self.uids = 0
        self.objects: dict[Key, Object] = {}
        self.stream: list[tuple[Literal["ADDED", "MODIFIED", "DELETED"], Object]] = []
        self.store = Store(indexed=("owner",))
        self.known: dict[Key, Object] = {}
        self.answers: list[Answer] = []
        self.floor: dict[Key, int] = {}
        self.dead: set[str] = set()
        self.pending_list: tuple[list[Object], str, int, int] | None = None

    def _change(self, name: str, owner: str) -> Object:
        self.version += 1
        key = ("ml", name)
        old = self.objects.get(key)
        if old is None:
            self.uids += 1
        uid = old["metadata"]["uid"] if old else f"u{self.uids}"
        obj = an_object(name, self.version, uid=uid, owner=owner, labels={"owner": owner})
        self.objects[key] = obj
        self.stream.append(("MODIFIED" if old else "ADDED", obj))
        return obj

    def _delete(self, name: str) -> Object | None:
        old = self.objects.pop(("ml", name), None)
        if old is None:
            return None
        self.version += 1
        gone = an_object(name, self.version, uid=old["metadata"]["uid"], labels={"owner": ""})
        self.stream.append(("DELETED", gone))
        return old

    def _tell(self, change: Change | None) -> None:
        if change is None:
            return
        if change.type == "DELETED":
            self.known.pop(key_of(change.object), None)
        else:
            self.known[key_of(change.object)] = change.object

    @initialize(names=st.lists(NAMES))
    def begin(self, names: list[str]) -> None:
        for name in names:
            self._change(name, "")

    @rule(name=NAMES, owner=OWNERS)
    def another_writes(self, name: str, owner: str) -> None:
        self._change(name, owner)

    @rule(name=NAMES)
    def another_deletes(self, name: str) -> None:
        self._delete(name)

    @rule(name=NAMES, owner=OWNERS)
    def we_write(self, name: str, owner: str) -> None:
        self.answers.append(Answer(self._change(name, owner), deletion=False))

    @rule(name=NAMES)
    def we_delete(self, name: str) -> None:
        """Whatever has the name; where nothing has, what the cache showed when we asked has gone."""
        cached = self.store.get(("ml", name))
        gone = self._delete(name) or cached
        if gone is not None:
            self.answers.append(Answer(gone, deletion=True))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        """In any order: each request may go over a connection of its own."""
        self._arrives(self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    def _arrives(self, answer: Answer) -> None:
        key, uid = key_of(answer.object), answer.object["metadata"]["uid"]
        if answer.deletion:
            self.store.deleted(key, uid)
            self.dead.add(uid)
        else:
            self.store.written(answer.object)
            if uid not in self.dead:
                self.floor[key] = max(int(answer.object["metadata"]["resourceVersion"]), self.floor.get(key, 0))

    @precondition(lambda self: self.stream and self.pending_list is None)
    @rule()
    def the_watch_tells(self) -> None:
        self._tell(self.store.event(*self.stream.pop(0)))

    @precondition(lambda self: self.pending_list is None)
    @rule()
    def a_list_is_read(self) -> None:
        """The watch is cut here: what it did not tell is told by the list, and the next watch begins after it."""
        self.pending_list = (list(self.objects.values()), str(self.version), self.store.begin(), len(self.stream))

    @precondition(lambda self: self.pending_list is not None)
    @rule()
    def a_list_arrives(self) -> None:
        assert self.pending_list is not None
        objects, version, began, passed = self.pending_list
        self.pending_list = None
        del self.stream[:passed]
        for change in self.store.replace(objects, version=version, began=began, namespace=None):
            self._tell(change)

    @invariant()
    def we_read_our_own_writes(self) -> None:
        for key, version in self.floor.items():
            cached = self.store.get(key)
            if cached is not None:
                assert int(cached["metadata"]["resourceVersion"]) >= version
                assert cached["metadata"]["uid"] not in self.dead
            else:
                alive = self.objects.get(key)
                untold = any(key_of(obj) == key for _, obj in self.stream) or self.pending_list is not None
                assert alive is None or untold, f"{key} is missing though it was written at {version}"

    @invariant()
    def the_indexes_agree_with_the_objects(self) -> None:
        everything = self.store.all()
        for owner in ("o1", "o2"):
            assert {key_of(obj) for obj in self.store.owned(owner)} == {
                key_of(obj)
                for obj in everything
                if (obj["metadata"].get("ownerReferences") or [{}])[0].get("uid") == owner
            }
        assert {key_of(obj) for obj in self.store.selected("ml", {"owner": "o1"})} == {
            key_of(obj) for obj in everything if obj["metadata"]["labels"]["owner"] == "o1"
        }

    def teardown(self) -> None:
        if self.pending_list is not None:
            self.a_list_arrives()
        else:
            self.a_list_is_read()
            self.a_list_arrives()
        while self.stream:
            self.the_watch_tells()
        for answer in self.answers:
            self._arrives(answer)
        assert {key: self.store.get(key) for key in self.objects} == self.objects
        assert len(self.store) == len(self.objects)
        assert self.known == self.objects, "a subscriber has to end up with the same picture"


TestServerAndCache = ServerAndCache.TestCase
TestServerAndCache.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
