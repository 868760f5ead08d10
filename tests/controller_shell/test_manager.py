"""The manager on a real API server, with a small controller that copies ConfigMaps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from controller.errors import InvalidSpecError
from controller.health import Health
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import fixed
from controller.kube.election import Election
from controller.kube.errors import NotFoundError
from controller.kube.lease import Terms
from controller.kube.reflector import Timing
from controller.kube.resources import CONFIG_MAP, LEASE, Resource
from controller.kube.watches import Watch
from controller.manager import Manager
from controller.metrics import Metrics
from controller.queue import Key
from localcluster.apiserver.process import RunningApiServer

Object = dict[str, Any]
Until = Callable[..., Awaitable[Any]]
TERMS = Terms(duration=timedelta(seconds=1.5), deadline=timedelta(seconds=1), retry=timedelta(seconds=0.1))
ABSENT = Resource("nowhere.example.com", "v1", "nothings", "Nothing")


def source(namespace: str, name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"role": "source"}}, "data": data}


def source_keys(obj: Object) -> Iterable[Key]:
    if obj.get("data", {}).get("keys") == "broken":
        raise ValueError("no keys for this one")
    return [(obj["metadata"]["namespace"], obj["metadata"]["name"])]


class Copier:
    """Copies each source; what a source's data says makes it fail, wait, come back or break."""

    name = "copier"

    def __init__(self, cluster: Cluster, *, needs: Resource | None = None) -> None:
        self.cluster = cluster
        self.watches = (
            Watch(CONFIG_MAP, source_keys, labels="role=source"),
            *((Watch(needs, source_keys),) if needs else ()),
        )
        self.passes: list[str] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self.runs = 0
        self.requeue: Callable[[Key], None] | None = None
        self.hold = asyncio.Event()

    def start(self, requeue: Callable[[Key], None]) -> None:
        self.requeue = requeue

    async def run(self) -> None:
        self.runs += 1
        if self.runs < 2:
            raise RuntimeError("run breaks once")

    async def reconcile(self, key: Key) -> timedelta | None:
        self.passes.append(key[1])
        obj = self.cluster.get(CONFIG_MAP, *key)
        if obj is None:
            return None
        try:
            return await self._copy(key, obj.get("data") or {})
        except asyncio.CancelledError:
            self.cancelled.append(key[1])
            raise
        finally:
            self.finished.append(key[1])

    async def _copy(self, key: Key, data: dict[str, str]) -> timedelta | None:
        match data.get("do"):
            case "crash":
                raise ZeroDivisionError("crashed")
            case "invalid":
                raise InvalidSpecError("data.do", "invalid", "something else")
            case "again":
                return timedelta(seconds=0.02)
            case "hold":
                await self.hold.wait()
            case _:
                pass
        copy = {"metadata": {"name": f"{key[1]}-copy", "namespace": key[0]}, "data": data}
        await self.cluster.apply(CONFIG_MAP, copy)
        return None


@dataclass
class Running:
    copier: Copier
    health: Health
    client: Client
    cluster: Cluster
    task: asyncio.Task[None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, metric: str, **labels: str) -> float:
        return self.health.metrics.registry.get_sample_value(metric, labels) or 0.0


@contextlib.asynccontextmanager
async def managing(
    server: RunningApiServer,
    namespace: str,
    timing: Timing,
    *,
    identity: str = "",
    needs: Resource | None = None,
    grace: timedelta = timedelta(seconds=5),
) -> AsyncIterator[Running]:
    metrics = Metrics()
    health = Health(metrics)
    async with Client(
        fixed(server.url, server.admin_token, tls=server.ssl_context()), metrics=metrics, chance=lambda: 0.0
    ) as client:
        cluster = Cluster(client, namespaces=(namespace,), timing=timing)
        copier = Copier(cluster, needs=needs)
        election = None
        if identity:
            election = Election(client, namespace=namespace, name="lease", identity=identity, terms=TERMS)
        manager = Manager(cluster, [copier], health=health, workers=2, election=election, grace=grace)
        stop = asyncio.Event()
        running = Running(copier, health, client, cluster, asyncio.create_task(manager.run(stop)), stop)
        try:
            yield running
            stop.set()
            async with asyncio.timeout(15):
                await running.task
        finally:
            stop.set()
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)


async def test_what_was_there_and_what_changes_is_reconciled(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "before", a="1"))
    async with managing(server, namespace, quick) as running:
        await until(lambda: "before" in running.copier.finished)
        await client.create(CONFIG_MAP, source(namespace, "after", a="2"))
        await until(lambda: "after" in running.copier.finished)
        assert running.health.leading
        assert running.health.problems(running.health.ready) == []
        assert running.health.problems(running.health.live) == []
    assert (await client.get(CONFIG_MAP, namespace, "before-copy"))["data"] == {"a": "1"}
    assert (await client.get(CONFIG_MAP, namespace, "after-copy"))["data"] == {"a": "2"}


async def test_nothing_is_reconciled_before_every_cache_is_complete(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "iris"))
    async with managing(server, namespace, quick, needs=ABSENT) as running:
        await until(
            lambda: (
                running.count(
                    "seldon_rollouts_watch_restarts_total", resource="nothings.nowhere.example.com", reason="NotFound"
                )
                >= 2
            )
        )
        assert running.copier.passes == []
        (problem,) = running.health.problems(running.health.ready)
        assert "nothings.nowhere.example.com" in problem


async def test_a_crash_backs_its_key_off_and_touches_nothing_else(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    async with managing(server, namespace, quick) as running:
        await client.create(CONFIG_MAP, source(namespace, "bad", do="crash"))
        await until(lambda: running.copier.passes.count("bad") >= 3)
        await client.create(CONFIG_MAP, source(namespace, "good"))
        await until(lambda: "good" in running.copier.finished)
        await client.apply(CONFIG_MAP, source(namespace, "bad", do="nothing"))
        await until(
            lambda: running.count("seldon_rollouts_reconcile_seconds_count", controller="copier", result="ok") >= 2
        )
        assert not running.task.done()
        assert (
            running.count("seldon_rollouts_reconcile_errors_total", controller="copier", error="ZeroDivisionError") >= 3
        )


async def test_what_a_person_wrote_wrong_is_not_tried_again_until_it_changes(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    async with managing(server, namespace, quick) as running:
        await client.create(CONFIG_MAP, source(namespace, "wrong", do="invalid"))
        await client.create(CONFIG_MAP, source(namespace, "clock", do="again"))
        await until(lambda: running.copier.passes.count("clock") > 30)
        assert running.copier.passes.count("wrong") == 1
        await client.apply(CONFIG_MAP, source(namespace, "wrong", do="right"))
        await until(lambda: running.copier.passes.count("wrong") == 2)


async def test_a_controller_may_wake_a_key_itself_and_its_own_work_is_run_again_after_it_broke(
    server: RunningApiServer, namespace: str, quick: Timing, until: Until
) -> None:
    async with managing(server, namespace, quick) as running:
        await until(lambda: running.copier.requeue is not None and bool(running.health.leading))
        assert running.copier.requeue is not None
        running.copier.requeue((namespace, "by-hand"))
        await until(lambda: "by-hand" in running.copier.passes)
        await until(lambda: running.copier.runs == 2)


async def test_an_object_whose_keys_cannot_be_told_does_not_stop_the_others(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "a-odd", keys="broken"))
    await client.create(CONFIG_MAP, source(namespace, "b-fine"))
    async with managing(server, namespace, quick) as running:
        await until(lambda: "b-fine" in running.copier.finished)
        assert running.count("seldon_rollouts_malformed_objects_total", resource="configmaps") >= 1


async def test_a_deletion_is_a_pass_too(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "iris"))
    async with managing(server, namespace, quick) as running:
        await until(lambda: "iris" in running.copier.finished)
        seen = len(running.copier.passes)
        await client.delete(CONFIG_MAP, namespace, "iris")
        await until(lambda: len(running.copier.passes) > seen)


async def test_at_the_end_passes_under_way_finish_and_the_lease_is_given_up(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "iris", do="hold"))
    async with managing(server, namespace, quick, identity="first") as running:
        await until(lambda: running.copier.passes == ["iris"])
        running.stop.set()
        await asyncio.sleep(0.05)  # the end has begun; the pass is still under way
        assert not running.task.done()
        running.copier.hold.set()
        await running.task
        assert running.copier.cancelled == []
    assert (await client.get(CONFIG_MAP, namespace, "iris-copy"))["data"] == {"do": "hold"}
    assert "holderIdentity" not in (await client.get(LEASE, namespace, "lease"))["spec"]


async def test_a_pass_that_does_not_end_is_cut_off_at_the_end_of_the_grace(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "iris", do="hold"))
    async with managing(server, namespace, quick, identity="first", grace=timedelta(seconds=0.2)) as running:
        await until(lambda: running.copier.passes == ["iris"])
        running.stop.set()
        await asyncio.wait_for(running.task, 5)
        assert running.copier.cancelled == ["iris"]
    assert "holderIdentity" not in (await client.get(LEASE, namespace, "lease"))["spec"]


async def test_the_standby_reads_all_and_writes_nothing_until_the_leader_has_gone(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    async with managing(server, namespace, quick, identity="first") as first:
        await until(lambda: bool(first.health.leading))
        async with managing(server, namespace, quick, identity="second") as second:
            await until(lambda: second.health.problems(second.health.ready) == [] and second.health.leading is False)
            await client.create(CONFIG_MAP, source(namespace, "iris", a="1"))
            await until(lambda: "iris" in first.copier.finished)
            await until(lambda: second.cluster.get(CONFIG_MAP, namespace, "iris") is not None)
            assert second.copier.passes == []
            assert second.count("seldon_rollouts_leader") == 0
            first.stop.set()
            await first.task
            await until(lambda: "iris" in second.copier.finished)
            assert second.count("seldon_rollouts_leader") == 1


async def test_a_leader_that_loses_its_lease_stops_its_passes_at_once_and_stands_by(
    server: RunningApiServer, client: Client, namespace: str, quick: Timing, until: Until
) -> None:
    await client.create(CONFIG_MAP, source(namespace, "iris", do="hold"))
    async with managing(server, namespace, quick, identity="first") as running:
        await until(lambda: running.copier.passes == ["iris"])
        await client.apply(
            LEASE,
            {
                "metadata": {"name": "lease", "namespace": namespace},
                "spec": {
                    "holderIdentity": "thief",
                    "renewTime": "2026-01-01T00:00:00.000000Z",
                    "leaseDurationSeconds": 1,
                },
            },
        )
        await until(lambda: running.copier.cancelled == ["iris"])
        assert not running.task.done()
        with pytest.raises(NotFoundError):
            await client.get(CONFIG_MAP, namespace, "iris-copy")
        running.copier.hold.set()
        await until(lambda: "iris" in running.copier.finished[1:])  # the thief is silent: we lead again
    assert (await client.get(CONFIG_MAP, namespace, "iris-copy"))["data"] == {"do": "hold"}


async def test_two_controllers_of_one_name_are_refused(client: Client) -> None:
    cluster = Cluster(client)
    manager = Manager(cluster, [Copier(cluster), Copier(cluster)], health=Health(Metrics()))
    with pytest.raises(ValueError, match="not distinct"):
        await manager.run(asyncio.Event())
