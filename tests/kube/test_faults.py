"""What a server may do to an informer: cut and mute watches, forget history, send garbage."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from controller.kube.client import Client
from controller.kube.connection import fixed
from controller.kube.informer import Informer
from controller.kube.reflector import Timing
from controller.kube.resources import POD
from controller.kube.watches import Change
from controller.metrics import Metrics

Object = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Until = Callable[..., Awaitable[Any]]


def pod(name: str, version: int, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "ml", "uid": name, "resourceVersion": str(version), **more}}


def line(kind: str, obj: Any) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


class Faulty:
    """A server that answers lists and watches from a script; the last watch of the script stays open and silent."""

    def __init__(self, silence: Answer) -> None:
        self.silence = silence
        self.lists: list[Answer] = []
        self.watches: list[Answer] = []
        self.listed = 0
        self.watched: list[dict[str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            self.watched.append(dict(request.query))
            answer = self.watches.pop(0) if self.watches else self.silence
            return await answer(request)
        self.listed += 1
        return await (self.lists.pop(0) if len(self.lists) > 1 else self.lists[0])(request)


def a_list(*items: Any, version: str = "10", token: str = "") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"kind": "PodList", "metadata": {"resourceVersion": version, "continue": token}, "items": items}
        return web.json_response(body)

    return answer


def a_status(code: int, reason: str = "", headers: dict[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": code, "reason": reason}, status=code, headers=headers)

    return answer


def a_watch(*chunks: bytes, cut: bool = False) -> Answer:
    """Send chunks, then end well, or cut the connection in the middle."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


@pytest_asyncio.fixture
async def faulty(listening: Callable[..., AbstractAsyncContextManager[str]], silence: Answer) -> AsyncIterator[Faulty]:
    server = Faulty(silence)
    async with listening(server.handle) as server.url:
        yield server


@pytest_asyncio.fixture
async def client(faulty: Faulty) -> AsyncIterator[Client]:
    async with Client(fixed(faulty.url), metrics=Metrics(), chance=lambda: 0.0) as made:
        yield made


@contextlib.asynccontextmanager
async def informing(
    client: Client, timing: Timing, *, optional: bool = False
) -> AsyncIterator[tuple[Informer, list[Change]]]:
    informer = Informer(client, POD, timing=timing, chance=lambda: 0.0)
    changes: list[Change] = []
    informer.subscribe(changes.append, optional=optional)
    task = asyncio.create_task(informer.run())
    try:
        yield informer, changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.type, change.object["metadata"]["name"]) for change in changes]


def count(client: Client, metric: str, **labels: str) -> float:
    return client.metrics.registry.get_sample_value(metric, labels) or 0.0


async def test_a_watch_that_was_cut_goes_on_where_it_was(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list(pod("a", 3))]
    faulty.watches = [
        a_watch(line("ADDED", pod("b", 11)), b'{"type": "ADD', cut=True),
        a_watch(line("ADDED", pod("c", 12))),
    ]
    async with informing(client, quick) as (_, changes):
        await until(lambda: len(faulty.watched) >= 3)
    assert names(changes) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
    assert [query["resourceVersion"] for query in faulty.watched[:3]] == ["10", "11", "12"]
    assert faulty.listed == 1, "nothing was lost, so nothing had to be listed again"


async def test_a_bookmark_moves_the_place_without_a_change(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list()]
    faulty.watches = [a_watch(line("BOOKMARK", {"metadata": {"resourceVersion": "99"}}))]
    async with informing(client, quick) as (_, changes):
        await until(lambda: len(faulty.watched) == 2)
    assert faulty.watched[1]["resourceVersion"] == "99"
    assert faulty.watched[0]["allowWatchBookmarks"] == "true"
    assert changes == []


@pytest.mark.parametrize("inside", [True, False], ids=["inside the stream", "as the answer"])
async def test_forgotten_history_is_listed_again_and_what_was_missed_is_told(
    faulty: Faulty, client: Client, quick: Timing, until: Until, inside: bool
) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    faulty.lists = [a_list(pod("a", 3), pod("b", 4)), a_list(pod("b", 20), pod("c", 21), version="30")]
    faulty.watches = [a_watch(line("ERROR", gone)) if inside else a_status(410, "Expired")]
    async with informing(client, quick) as (informer, changes):
        await until(lambda: len(faulty.watched) == 2)
        assert names(changes[2:]) == [("MODIFIED", "b"), ("ADDED", "c"), ("DELETED", "a")]
        assert informer.store.get(("ml", "a")) is None
    assert faulty.watched[1]["resourceVersion"] == "30"
    assert count(client, "seldon_rollouts_watch_restarts_total", resource="pods", reason="gone") == 1


async def test_garbage_costs_only_itself_and_the_cache_is_made_sure_of_afterwards(
    faulty: Faulty, client: Client, quick: Timing, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.lists = [a_list(pod("a", 3), "no object", {"metadata": {}}), a_list(pod("a", 3), pod("healed", 14))]
    faulty.watches = [
        a_watch(
            b"not json\n",
            b'{"type": "ADDED"}\n[]\n',
            line("ADDED", {"metadata": {"name": 5}}),
            line("PERHAPS", pod("x", 12)),
            line("BOOKMARK", {}),
            line("ADDED", pod("b", 13)),
        )
    ]
    with caplog.at_level(logging.WARNING, "seldon_rollouts.kube"):
        async with informing(client, quick) as (informer, changes):
            await until(lambda: len(faulty.watched) == 2)
            assert informer.store.get(("ml", "healed")) is not None
    assert names(changes)[:2] == [("ADDED", "a"), ("ADDED", "b")]
    assert count(client, "seldon_rollouts_malformed_objects_total", resource="pods") == 8
    assert len([record for record in caplog.records if "unreadable" in record.message]) == 8
    assert faulty.listed == 2


async def test_a_line_of_several_mebibytes_is_an_object_like_any_other(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    big = pod("big", 11, annotations={"text": "x" * 3_900_000})
    faulty.lists = [a_list()]
    faulty.watches = [a_watch(line("ADDED", big), line("ADDED", pod("next", 12)))]
    async with informing(client, quick) as (_, changes):
        await until(lambda: names(changes) == [("ADDED", "big"), ("ADDED", "next")])


async def test_a_line_beyond_all_bounds_is_passed_over(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list(), a_list(pod("next", 12))]
    faulty.watches = [a_watch(b"x" * 5_000_000 + b"\n", line("ADDED", pod("next", 12)))]
    async with informing(client, quick) as (_, changes):
        await until(lambda: names(changes) == [("ADDED", "next")])
    assert count(client, "seldon_rollouts_malformed_objects_total", resource="pods") == 1


async def test_a_server_that_falls_silent_is_left_and_asked_again_from_the_same_place(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list(pod("a", 3))]
    faulty.watches = [faulty.silence, faulty.silence]
    async with informing(client, replace(quick, quiet=timedelta(seconds=0.1))) as (informer, _):
        await until(lambda: len(faulty.watched) >= 3)
        assert informer.store.get(("ml", "a")) is not None
    assert {query["resourceVersion"] for query in faulty.watched} == {"10"}
    assert faulty.listed == 1
    assert count(client, "seldon_rollouts_watch_restarts_total", resource="pods", reason="silent") >= 2


async def test_a_list_that_expires_between_two_pages_begins_again(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list(pod("a", 3), token="next"), a_status(410, "Expired"), a_list(pod("b", 4))]
    async with informing(client, quick) as (informer, changes):
        await until(lambda: informer.synced)
    assert names(changes) == [("ADDED", "b")]


async def test_an_api_server_in_trouble_is_asked_with_growing_patience_until_it_recovers(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_status(500), a_status(500), a_status(403, "Forbidden"), a_list(pod("a", 3))]
    async with informing(client, quick) as (informer, changes):
        await until(lambda: informer.synced)
        assert informer.problem == ""
    assert names(changes) == [("ADDED", "a")]


async def test_a_kind_that_seems_gone_for_a_moment_keeps_its_objects(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    """Discovery may blink while a server starts; only a second look empties the cache."""
    resources = {"resources": [{"name": "pods"}]}
    answers = [resources, None, resources]

    async def discover_or_list(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1":
            found = answers.pop(0) if answers else resources
            return web.json_response(found) if found else await a_status(404, "NotFound")(request)
        return await a_list(pod("a", 3))(request)

    faulty.lists = [discover_or_list]
    faulty.watches = [a_status(404, "NotFound")]
    async with informing(client, quick, optional=True) as (informer, changes):
        await until(lambda: len(faulty.watched) == 2)
        assert informer.store.get(("ml", "a")) is not None
    assert names(changes) == [("ADDED", "a")]


async def test_a_subscriber_that_fails_harms_neither_the_stream_nor_the_others(
    faulty: Faulty, client: Client, quick: Timing, until: Until
) -> None:
    faulty.lists = [a_list(pod("a", 3), pod("b", 4))]
    informer = Informer(client, POD, timing=quick)
    changes: list[Change] = []
    informer.subscribe(lambda change: 1 / 0)  # type: ignore[arg-type]  # it fails
    informer.subscribe(changes.append)
    task = asyncio.create_task(informer.run())
    await until(lambda: len(changes) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
