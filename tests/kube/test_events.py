"""Events tell people what happened, once and with a count, at a bounded rate, and nobody waits for them."""

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import fixed
from controller.kube.events import WINDOW, EventLog, Occurrence
from controller.kube.recorder import LONGEST_MESSAGE, Recorder
from controller.kube.resources import CONFIG_MAP, EVENT, NAMESPACE

Object = dict[str, Any]
Until = Callable[..., Awaitable[Any]]
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
IRIS = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "SeldonRollout",
    "metadata": {"name": "iris", "namespace": "ml", "uid": "u1", "resourceVersion": "7"},
}


def said(message: str = "pods are not ready", uid: str = "u1") -> Occurrence:
    return Occurrence(namespace="ml", uid=uid, type="Warning", reason="Waiting", message=message, action="")


def test_the_first_is_written_at_once_and_repeats_raise_its_count_later() -> None:
    log = EventLog("host")
    log.record(said(), IRIS, AT)
    (first,) = log.due(AT)
    assert (first.new, first.body["count"]) == (True, 1)
    for second in (1, 2, 3):
        log.record(said(), IRIS, AT + second * SECOND)
    assert log.due(AT + 3 * SECOND) == []
    assert log.next_at() == AT + 10 * SECOND
    (again,) = log.due(AT + 10 * SECOND)
    assert (again.new, again.name, again.body["count"]) == (False, first.name, 4)
    assert again.body["firstTimestamp"] == "2026-01-01T12:00:00Z"
    assert again.body["lastTimestamp"] == "2026-01-01T12:00:03Z"
    assert log.next_at() is None


def test_an_event_names_its_object_as_kubectl_describe_looks_for_it() -> None:
    log = EventLog("host")
    log.record(said(), IRIS, AT)
    (write,) = log.due(AT)
    assert write.body["metadata"]["namespace"] == "ml"
    assert write.body["involvedObject"] == {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "namespace": "ml",
        "name": "iris",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert write.name.startswith("iris.")


def test_the_same_story_after_the_server_forgot_it_is_a_new_event() -> None:
    log = EventLog("host")
    log.record(said(), IRIS, AT)
    (first,) = log.due(AT)
    log.record(said(), IRIS, AT + WINDOW)
    (later,) = log.due(AT + WINDOW)
    assert later.new
    assert later.name != first.name


def test_one_object_that_says_ever_new_things_is_slowed_down_and_others_are_not() -> None:
    log = EventLog("host", burst=3, refill=10 * SECOND)
    taken = [log.record(said(f"message {number}"), IRIS, AT) for number in range(5)]
    assert taken == [True, True, True, False, False]
    assert log.dropped == 2
    assert log.record(said("of another", uid="u2"), IRIS, AT)
    assert log.record(said("message 0"), IRIS, AT), "a repeat costs nothing"
    assert not log.record(said("later"), IRIS, AT + 9 * SECOND)
    assert log.record(said("later"), IRIS, AT + 10 * SECOND)


def test_a_write_that_failed_is_tried_again_and_given_up_in_the_end() -> None:
    log = EventLog("host")
    log.record(said(), IRIS, AT)
    now = AT
    tries = 0
    while True:
        writes = log.due(now)
        assert [write.new for write in writes] == [True]
        tries += 1
        if not log.failed(writes[0], now):
            break
        assert log.due(now) == [], "not in a hot loop"
        now = log.next_at() or now
    assert tries == 4
    assert log.next_at() is None


def test_at_the_end_everything_is_written() -> None:
    log = EventLog("host")
    log.record(said(), IRIS, AT)
    log.due(AT)
    log.record(said(), IRIS, AT + SECOND)
    (last,) = log.due(AT + SECOND, all_of_them=True)
    assert last.body["count"] == 2


def test_memory_is_bounded() -> None:
    log = EventLog("host")
    for number in range(5000):
        log.record(said(uid=f"u{number}"), IRIS, AT)
    assert len(log._series) == len(log._buckets) == 4096
    assert len(log.due(AT)) == 4096


async def test_repeated_events_are_one_object_with_a_count(client: Client, until: Until) -> None:
    namespace = f"events-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": namespace}})
    regarding = await client.create(CONFIG_MAP, {"metadata": {"name": "iris", "namespace": namespace}})
    recorder = Recorder(client, events=EventLog("host", spacing=timedelta(seconds=0.05)))
    cluster = Cluster(client, recorder=recorder)
    for _ in range(30):
        await cluster.event(regarding, type="Warning", reason="Waiting", message="pods are not ready")
    await cluster.event(regarding, type="Normal", reason="Promoted", message="x" * 5000)
    await cluster.stop()
    found, _ = await client.list(EVENT, namespace)
    counts = {event["reason"]: event.get("count") for event in found}
    assert counts == {"Waiting": 30, "Promoted": 1}
    assert all(event["involvedObject"]["uid"] == regarding["metadata"]["uid"] for event in found)
    (long,) = [event["message"] for event in found if event["reason"] == "Promoted"]
    assert len(long) == LONGEST_MESSAGE


async def test_a_count_is_raised_while_we_run(client: Client, until: Until) -> None:
    namespace = f"events-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": namespace}})
    regarding = await client.create(CONFIG_MAP, {"metadata": {"name": "iris", "namespace": namespace}})
    recorder = Recorder(client, events=EventLog("host", spacing=timedelta(seconds=0.05)))
    recorder.record(regarding, type="Normal", reason="Again", message="m")
    requests = client.metrics.registry.get_sample_value

    def sent(verb: str, code: str) -> float:
        return requests("seldon_rollouts_api_requests_total", {"verb": verb, "code": code}) or 0.0

    await until(lambda: sent("create", "201") == 3)
    recorder.record(regarding, type="Normal", reason="Again", message="m")
    await until(lambda: sent("patch", "200") == 1)
    await recorder.close()
    found, _ = await client.list(EVENT, namespace)
    assert [event["count"] for event in found] == [2]


async def test_an_event_that_cannot_be_written_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with Client(fixed("http://127.0.0.1:1")) as nobody:
        cluster = Cluster(nobody)
        began = time.monotonic()
        await cluster.event(IRIS, type="Normal", reason="Promoted", message="m")
        assert time.monotonic() - began < 0.5
        await cluster.stop()
    assert "event not written" in caplog.text
