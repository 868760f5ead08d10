"""The store in one process: deterministic, isolated, and honest about its past."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcluster.apiserver import patches
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.errors import ApiError
from localcluster.apiserver.history import History
from localcluster.apiserver.listing import Query
from localcluster.apiserver.selectors import labels
from localcluster.apiserver.store import Store, Write


@pytest.fixture
def new_world(world):
    return type(world)


def test_the_same_calls_give_the_same_objects(new_world):
    def story(world):
        world.config("a", {"k": "v"})
        world.later(5)
        world.store.patch(world.configs, "default", "a", media=patches.MERGE, body={"data": {"k": "w"}})
        world.store.create(world.configs, {"metadata": {"generateName": "x-"}}, namespace="default")
        return world.store.list(world.configs).objects

    assert story(new_world()) == story(new_world())


def test_what_is_given_to_the_store_stays_the_callers(world):
    mine = {"metadata": {"name": "a"}, "data": {"k": "v"}}
    before = copy.deepcopy(mine)
    world.store.create(world.configs, mine, namespace="default")
    assert mine == before
    mine["data"]["k"] = "changed"
    assert world.store.get(world.configs, "default", "a")["data"] == {"k": "v"}


def test_an_older_object_does_not_change_when_a_newer_one_is_written(world):
    first = world.config("a", {"k": "v"})
    snapshot = copy.deepcopy(first)
    world.store.patch(world.configs, "default", "a", media=patches.MERGE, body={"data": {"k": "w"}})
    world.store.apply(
        world.configs, "default", "a", {"metadata": {"name": "a", "labels": {"x": "y"}}}, write=Write(manager="m")
    )
    assert first == snapshot


def test_revisions_grow_by_one_with_every_write(world):
    start = world.store.revision
    world.config("a")
    world.config("b")
    world.store.delete(world.configs, "default", "a")
    assert world.store.revision == start + 3
    assert [event.revision for event in world.store.history.since(world.configs.collection, start)] == [
        start + 1,
        start + 2,
        start + 3,
    ]


def test_events_say_what_was_before(world):
    start = world.store.revision
    world.config("a", {"k": "v"})
    world.store.patch(world.configs, "default", "a", media=patches.MERGE, body={"data": {"k": "w"}})
    world.store.delete(world.configs, "default", "a")
    events = list(world.store.history.since(world.configs.collection, start))
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event.previous and event.previous["data"] for event in events] == [None, {"k": "v"}, {"k": "w"}]


def test_a_past_that_is_forgotten_is_gone(new_world):
    world = new_world(keep=3)
    start = world.store.revision
    for n in range(5):
        world.config(f"c{n}")
    with pytest.raises(ApiError) as caught:
        world.store.history.since(world.configs.collection, start)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    assert len(list(world.store.history.since(world.configs.collection, world.store.revision - 3))) == 3


def test_a_page_whose_moment_is_forgotten_is_gone(new_world):
    world = new_world(keep=3)
    for n in range(5):
        world.config(f"c{n}")
    first = world.store.list(world.configs, Query(limit=2))
    for n in range(5, 10):
        world.config(f"c{n}")
    with pytest.raises(ApiError) as caught:
        world.store.list(world.configs, Query(token=first.token))
    assert caught.value.code == 410


def test_compaction_forgets_everywhere(world):
    start = world.store.revision
    world.config("a")
    world.store.history.compact(world.store.revision)
    with pytest.raises(ApiError):
        world.store.history.since(world.configs.collection, start)
    with pytest.raises(ApiError):
        world.store.history.since(world.store.kind("v1", "Pod").collection, start)


@settings(max_examples=40, deadline=None)
@given(
    writes=st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["put", "delete"])), max_size=30),
    cut=st.integers(0, 30),
    limit=st.integers(1, 4),
)
def test_pages_show_the_list_of_their_moment_whatever_is_written_between(writes, cut, limit):
    from datetime import UTC, datetime
    from itertools import count

    numbers = count()
    store = Store(
        clock=lambda: datetime(2024, 1, 1, tzinfo=UTC), uids=lambda: str(next(numbers)), suffixes=str, history=History()
    )
    store.create(store.kind("v1", "Namespace"), {"metadata": {"name": "default"}})
    kind = store.kind("v1", "ConfigMap")

    def do(name, what):
        known = store.find(kind, "default", name) is not None
        if what == "delete" and known:
            store.delete(kind, "default", name)
        elif what == "put" and known:
            store.patch(kind, "default", name, media=patches.MERGE, body={"data": {"n": str(next(numbers))}})
        elif what == "put":
            store.create(kind, {"metadata": {"name": name}}, namespace="default")

    for name, what in writes[:cut]:
        do(name, what)
    expected = copy.deepcopy(store.list(kind).objects)
    page = store.list(kind, Query(limit=limit))
    seen = list(page.objects)
    rest = iter(writes[cut:])
    while page.token:
        for name, what in rest:
            do(name, what)
            break
        page = store.list(kind, Query(limit=limit, token=page.token))
        seen += page.objects
    assert seen == expected


@settings(max_examples=40, deadline=None)
@given(writes=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"])), max_size=25))
def test_the_events_since_any_moment_lead_from_it_to_the_present(writes):
    from datetime import UTC, datetime
    from itertools import count

    numbers = count()
    store = Store(clock=lambda: datetime(2024, 1, 1, tzinfo=UTC), uids=lambda: str(next(numbers)), suffixes=str)
    store.create(store.kind("v1", "Namespace"), {"metadata": {"name": "default"}})
    kind = store.kind("v1", "ConfigMap")
    moments = []
    for name, what in writes:
        moments.append((store.revision, {obj["metadata"]["name"]: obj for obj in store.list(kind).objects}))
        known = store.find(kind, "default", name) is not None
        if what == "delete" and known:
            store.delete(kind, "default", name)
        elif what == "put" and known:
            store.patch(kind, "default", name, media=patches.MERGE, body={"data": {"n": str(next(numbers))}})
        elif what == "put":
            store.create(kind, {"metadata": {"name": name}}, namespace="default")
    present = {obj["metadata"]["name"]: obj for obj in store.list(kind).objects}
    for revision, known in moments:
        for event in store.history.since(kind.collection, revision):
            if event.type == "DELETED":
                del known[event.key[1]]
            else:
                known[event.key[1]] = event.entry.object
        assert known == present


def test_lists_select_by_label_and_namespace(world):
    world.config("a", labels={"x": "1"})
    world.config("b", labels={"x": "2"})
    found = world.store.list(world.configs, Query(labels=labels("x=2"), namespace="default"))
    assert [obj["metadata"]["name"] for obj in found.objects] == ["b"]
    assert world.store.list(world.configs, Query(namespace="other")).objects == []


def test_a_deletion_with_grace_is_in_the_clocks_time(world):
    pods = world.store.kind("v1", "Pod")
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 40, "containers": [{"name": "c", "image": "i"}]}
    world.store.create(pods, {"metadata": {"name": "p"}, "spec": spec}, namespace="default")
    world.later(60)
    marked = world.store.delete(pods, "default", "p")
    assert marked["metadata"]["deletionTimestamp"] == "2024-01-01T00:01:40Z"


def test_the_collector_works_when_it_is_asked_to(world):
    owner = world.config("owner")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    world.config("child", ownerReferences=[reference])
    world.store.delete(world.configs, "default", "owner")
    assert world.names() == ["child"]
    assert world.collector.busy
    world.collector.run()
    assert world.names() == []
    assert not world.collector.busy


@pytest.mark.parametrize("propagation", ["Background", "Foreground", ""])
def test_a_tree_of_owners_goes_as_a_whole(world, propagation):
    parent = world.config("root")
    for depth in range(5):
        reference = {
            "apiVersion": "v1", "kind": "ConfigMap", "name": parent["metadata"]["name"],
            "uid": parent["metadata"]["uid"], "blockOwnerDeletion": True,
        }  # fmt: skip
        parent = world.config(f"level{depth}", ownerReferences=[reference])
    world.store.delete(world.configs, "default", "root", Deletion(propagation=propagation))
    world.collector.run()
    assert world.names() == []
