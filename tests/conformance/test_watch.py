"""Watches: what happened since, what happens now, in order, once, and when to begin again."""

import asyncio

import pytest

from localcluster.testserver import is_real


async def make(api, name, **metadata):
    return await api.post(api.core("configmaps"), {"metadata": {"name": name, **metadata}})


def told(event):
    return event["type"], event["object"]["metadata"]["name"]


async def test_a_watch_tells_of_everything_in_order(api):
    start = (await api.get(api.core("configmaps"))).version
    async with api.watch(api.core("configmaps"), resourceVersion=start) as events:
        await make(api, "a")
        await api.patch(api.core("configmaps", "a"), {"data": {"k": "v"}})
        await api.delete(api.core("configmaps", "a"))
        seen = [await events.next() for _ in range(3)]
    assert [told(event) for event in seen] == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))
    assert seen[1]["object"]["data"] == {"k": "v"}
    assert seen[2]["object"]["data"] == {"k": "v"}


async def test_a_watch_begins_after_its_version(api):
    first = await make(api, "a")
    await make(api, "b")
    async with api.watch(api.core("configmaps"), resourceVersion=first.version) as events:
        assert told(await events.next()) == ("ADDED", "b")


@pytest.mark.parametrize("version", ["", "0"])
async def test_a_watch_without_a_version_begins_with_what_is_there(api, version):
    await make(api, "a")
    async with api.watch(api.core("configmaps"), resourceVersion=version, fieldSelector="metadata.name=a") as events:
        assert told(await events.next()) == ("ADDED", "a")


async def test_a_watch_of_one_object(api):
    made = await make(api, "a")
    async with api.watch(
        api.core("configmaps"), resourceVersion=made.version, fieldSelector="metadata.name=b"
    ) as events:
        await make(api, "c")
        await make(api, "b")
        assert told(await events.next()) == ("ADDED", "b")


async def test_an_object_that_leaves_a_selection_is_deleted_from_it(api):
    made = await make(api, "a", labels={"in": "yes"})
    async with api.watch(api.core("configmaps"), resourceVersion=made.version, labelSelector="in=yes") as events:
        await api.patch(api.core("configmaps", "a"), {"metadata": {"labels": {"in": "no"}}})
        left = await events.next()
        assert told(left) == ("DELETED", "a")
        await api.patch(api.core("configmaps", "a"), {"metadata": {"labels": {"in": "yes"}}})
        assert told(await events.next()) == ("ADDED", "a")
        patched = await api.patch(api.core("configmaps", "a"), {"data": {"k": "v"}})
        changed = await events.next()
    assert told(changed) == ("MODIFIED", "a")
    assert changed["object"]["metadata"]["resourceVersion"] == patched.version


async def test_a_watch_ends_after_its_time(api):
    start = (await api.get(api.core("configmaps"))).version
    async with api.watch(api.core("configmaps"), resourceVersion=start, timeoutSeconds=1) as events:
        await make(api, "a")
        assert told(await events.next()) == ("ADDED", "a")
        with pytest.raises(EOFError):
            await events.next(seconds=10)


async def test_bookmarks_come_when_asked_for(api):
    start = (await make(api, "a")).version
    query = {"resourceVersion": start, "timeoutSeconds": 3, "allowWatchBookmarks": "true"}
    async with api.watch(api.core("configmaps"), **query) as events:
        await make(api, "b")
        seen = await events.rest()
    marks = [event for event in seen if event["type"] == "BOOKMARK"]
    assert [told(event) for event in seen if event["type"] != "BOOKMARK"] == [("ADDED", "b")]
    for mark in marks:
        assert mark["object"]["kind"] == "ConfigMap"
        assert int(mark["object"]["metadata"]["resourceVersion"]) > int(start)


@pytest.mark.parametrize("version", ["x", "-1"])
async def test_a_version_that_is_no_number_is_refused(api, version):
    answer = await api.get(api.core("configmaps"), watch=1, resourceVersion=version)
    assert (answer.code, answer["message"].startswith("resourceVersion: Invalid value")) == (500, True)


async def test_a_watch_of_a_table_names_its_columns_once(api):
    start = (await api.get(api.core("configmaps"))).version
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with api.watch(api.core("configmaps"), resourceVersion=start, accept=accept) as events:
        await make(api, "a")
        await make(api, "b")
        first, second = await events.next(), await events.next()
    assert first["object"]["rows"][0]["cells"][0] == "a"
    assert first["object"]["columnDefinitions"]
    assert not second["object"]["columnDefinitions"]


async def test_every_watcher_hears_everything(api):
    start = (await api.get(api.core("configmaps"))).version

    async def listen():
        async with api.watch(api.core("configmaps"), resourceVersion=start) as events:
            return [told(await events.next()) for _ in range(20)]

    listeners = [asyncio.create_task(listen()) for _ in range(3)]
    for at in range(20):
        await make(api, f"c{at}")
    for heard in await asyncio.gather(*listeners):
        assert heard == [("ADDED", f"c{at}") for at in range(20)]


async def test_events_that_carry_a_large_object_arrive_whole(api):
    start = (await api.get(api.core("configmaps"))).version
    async with api.watch(api.core("configmaps"), resourceVersion=start) as events:
        await api.post(api.core("configmaps"), {"metadata": {"name": "big"}, "data": {"k": "x" * 900_000}})
        event = await events.next()
    assert len(event["object"]["data"]["k"]) == 900_000


async def test_initial_events_end_with_a_bookmark(api):
    await make(api, "a")
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "fieldSelector": "metadata.name=a",
    }
    async with api.watch(api.core("configmaps"), **query) as events:
        first = await events.next()
        if is_real() and first["type"] == "ERROR":
            pytest.skip(f"the real server cannot: {first['object']['message']}")
        assert told(first) == ("ADDED", "a")
        mark = await events.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
