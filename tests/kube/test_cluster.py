"""The facade on a real API server: caches that converge, own writes that are read, kinds that come and go."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from controller.kube.client import Client
from controller.kube.cluster import Cluster, FencedError
from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.reflector import Timing
from controller.kube.resources import CONFIG_MAP, NAMESPACE, SELDON_ROLLOUT, VIRTUAL_SERVICE, Resource
from controller.kube.watches import Change

CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
Object = dict[str, Any]
Until = Callable[..., Awaitable[Any]]
_numbers = itertools.count()


def config_map(namespace: str, name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"app": name}}, "data": data}


@pytest_asyncio.fixture
async def namespace(client: Client) -> str:
    """A namespace of its own for each test."""
    name = f"test-{next(_numbers)}-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name


@pytest_asyncio.fixture
async def cluster(client: Client, quick: Timing, namespace: str) -> AsyncIterator[Cluster]:
    made = Cluster(client, timing=quick, namespaces=(namespace,))
    yield made
    await made.stop()


class Picture:
    """What a subscriber knows from changes alone."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.changes: list[Change] = []

    def take(self, change: Change) -> None:
        self.changes.append(change)
        name = change.object["metadata"]["name"]
        if change.type == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = change.object


async def test_what_was_there_and_what_comes_are_both_told(
    client: Client, cluster: Cluster, namespace: str, until: Until
) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "before"))
    picture = Picture()
    cluster.watch(CONFIG_MAP, labels="app in (before,after)", on_change=picture.take)
    await cluster.start()
    await cluster.synced()
    assert [change.type for change in picture.changes] == ["ADDED"]
    await client.create(CONFIG_MAP, config_map(namespace, "after"))
    await client.create(CONFIG_MAP, config_map(namespace, "other"))
    await until(lambda: "after" in picture.objects)
    assert set(picture.objects) == {"before", "after"}
    assert cluster.get(CONFIG_MAP, namespace, "other") is None
    assert "managedFields" not in picture.objects["after"]["metadata"]


async def test_our_own_writes_are_read_before_the_watch_tells_of_them(
    cluster: Cluster, namespace: str, until: Until
) -> None:
    picture = Picture()
    cluster.watch(CONFIG_MAP, on_change=picture.take, indexed=("app",))
    await cluster.start()
    await cluster.synced()
    for number in range(20):
        applied = await cluster.apply(CONFIG_MAP, config_map(namespace, "iris", step=str(number)))
        assert cluster.get(CONFIG_MAP, namespace, "iris") == applied
        assert cluster.selected(CONFIG_MAP, namespace, {"app": "iris"}) == [applied]
    await cluster.delete(CONFIG_MAP, namespace, "iris")
    assert cluster.get(CONFIG_MAP, namespace, "iris") is None
    await cluster.create(CONFIG_MAP, config_map(namespace, "iris", step="again"))
    await until(lambda: picture.objects.get("iris", {}).get("data") == {"step": "again"})
    found = cluster.get(CONFIG_MAP, namespace, "iris")
    assert found is not None
    assert found["data"] == {"step": "again"}


async def test_deleting_twice_is_success_and_deleting_a_successor_is_not(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(CONFIG_MAP, config_map(namespace, "iris"))
    await cluster.delete(CONFIG_MAP, namespace, "iris", uid=made["metadata"]["uid"])
    await cluster.delete(CONFIG_MAP, namespace, "iris", uid=made["metadata"]["uid"])
    await cluster.create(CONFIG_MAP, config_map(namespace, "iris"))
    with pytest.raises(ConflictError):
        await cluster.delete(CONFIG_MAP, namespace, "iris", uid=made["metadata"]["uid"])


async def test_a_late_answer_that_nothing_was_there_does_not_hide_what_came_since(
    client: Client, cluster: Cluster, namespace: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Picture()
    cluster.watch(CONFIG_MAP, on_change=picture.take)
    await cluster.start()
    await cluster.synced()
    ask = client.delete

    async def late(*args: Any, **options: Any) -> Object:
        try:
            return await ask(*args, **options)
        finally:
            await client.create(CONFIG_MAP, config_map(namespace, "iris"))
            await until(lambda: "iris" in picture.objects)

    monkeypatch.setattr(client, "delete", late)
    await cluster.delete(CONFIG_MAP, namespace, "iris")
    assert cluster.get(CONFIG_MAP, namespace, "iris") is not None
    await cluster.merge_patch(CONFIG_MAP, namespace, "iris", {"data": {"step": "1"}})
    await until(lambda: picture.objects["iris"].get("data") == {"step": "1"})


async def test_an_object_with_finalizers_stays_in_the_cache_until_it_has_gone(
    cluster: Cluster, namespace: str, until: Until
) -> None:
    picture = Picture()
    cluster.watch(CONFIG_MAP, on_change=picture.take)
    await cluster.start()
    await cluster.synced()
    obj = config_map(namespace, "iris")
    obj["metadata"]["finalizers"] = ["example.com/wait"]
    await cluster.create(CONFIG_MAP, obj)
    await cluster.delete(CONFIG_MAP, namespace, "iris")
    found = cluster.get(CONFIG_MAP, namespace, "iris")
    assert found is not None
    assert "deletionTimestamp" in found["metadata"]
    await cluster.merge_patch(CONFIG_MAP, namespace, "iris", {"metadata": {"finalizers": None}})
    await until(lambda: bool(picture.changes) and picture.changes[-1].type == "DELETED")
    assert cluster.get(CONFIG_MAP, namespace, "iris") is None


async def test_a_stale_precondition_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(CONFIG_MAP, config_map(namespace, "iris"))
    version = made["metadata"]["resourceVersion"]
    await cluster.merge_patch(CONFIG_MAP, namespace, "iris", {"data": {"a": "1"}}, resource_version=version)
    with pytest.raises(ConflictError):
        await cluster.merge_patch(CONFIG_MAP, namespace, "iris", {"data": {"a": "2"}}, resource_version=version)


async def test_the_cache_converges_while_writers_fight(
    client: Client, cluster: Cluster, namespace: str, until: Until
) -> None:
    picture = Picture()
    cluster.watch(CONFIG_MAP, on_change=picture.take)
    await cluster.start()
    await cluster.synced()
    chance = random.Random(7)

    async def fight(writer: int) -> None:
        for step in range(25):
            name = f"m{chance.randrange(4)}"
            try:
                if chance.random() < 0.25:
                    await cluster.delete(CONFIG_MAP, namespace, name)
                else:
                    await cluster.apply(CONFIG_MAP, config_map(namespace, name, by=f"{writer}.{step}"))
            except ConflictError:
                continue

    await asyncio.gather(*(fight(writer) for writer in range(4)))
    truth = {obj["metadata"]["name"]: obj["data"] for obj in (await client.list(CONFIG_MAP, namespace))[0]}
    await until(lambda: {name: obj["data"] for name, obj in picture.objects.items()} == truth)
    assert {obj["metadata"]["name"]: obj["data"] for obj in cluster.list(CONFIG_MAP, namespace)} == truth


async def test_a_list_of_many_pages_is_whole(client: Client, namespace: str, quick: Timing) -> None:
    await asyncio.gather(*(client.create(CONFIG_MAP, config_map(namespace, f"m{n}")) for n in range(25)))
    async with Cluster(client, timing=replace(quick, page=7), namespaces=(namespace,)) as cluster:
        cluster.watch(CONFIG_MAP, on_change=lambda _: None)
        await cluster.synced()
        assert {obj["metadata"]["name"] for obj in cluster.list(CONFIG_MAP)} >= {f"m{n}" for n in range(25)}


async def test_only_the_namespaces_that_were_named_are_watched(client: Client, namespace: str, quick: Timing) -> None:
    other = f"{namespace}-other"
    await client.create(NAMESPACE, {"metadata": {"name": other}})
    await client.create(CONFIG_MAP, config_map(namespace, "here"))
    await client.create(CONFIG_MAP, config_map(other, "there"))
    async with Cluster(client, timing=quick, namespaces=(namespace,)) as cluster:
        cluster.watch(CONFIG_MAP, on_change=lambda _: None)
        await cluster.synced()
        assert cluster.get(CONFIG_MAP, namespace, "here") is not None
        assert cluster.get(CONFIG_MAP, other, "there") is None
        await cluster.apply(CONFIG_MAP, config_map(other, "mine"))
        assert cluster.get(CONFIG_MAP, other, "mine") is None, "a write does not widen the cache"


async def test_differing_selectors_share_a_cache_and_each_hears_only_of_its_own(
    client: Client, cluster: Cluster, namespace: str, until: Until
) -> None:
    a, b = Picture(), Picture()
    cluster.watch(CONFIG_MAP, labels="app=a", on_change=a.take)
    cluster.watch(CONFIG_MAP, labels="app=b", on_change=b.take)
    await cluster.start()
    await cluster.synced()
    await client.create(CONFIG_MAP, config_map(namespace, "a"))
    await client.create(CONFIG_MAP, config_map(namespace, "b"))
    await until(lambda: set(a.objects) == {"a"} and set(b.objects) == {"b"})
    await client.merge_patch(CONFIG_MAP, namespace, "a", {"metadata": {"labels": {"app": "b"}}})
    await until(lambda: not a.objects and set(b.objects) == {"a", "b"})


async def test_a_kind_that_nobody_watches_cannot_be_read_from_a_cache(cluster: Cluster) -> None:
    with pytest.raises(LookupError, match=r"configmaps is not watched"):
        cluster.get(CONFIG_MAP, "ml", "iris")


async def test_who_no_longer_leads_writes_nothing(cluster: Cluster, client: Client, namespace: str) -> None:
    cluster.fence = lambda: False
    with pytest.raises(FencedError):
        await cluster.apply(CONFIG_MAP, config_map(namespace, "iris"))
    with pytest.raises(NotFoundError):
        await client.get(CONFIG_MAP, namespace, "iris")


def crd(plural: str, kind: str, group: str, versions: list[str]) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": schema,
                    "subresources": {"status": {}},
                }
                for version in versions
            ],
        },
    }


async def test_an_optional_kind_comes_and_goes_with_its_crd(
    client: Client, cluster: Cluster, namespace: str, until: Until
) -> None:
    picture = Picture()
    cluster.watch(VIRTUAL_SERVICE, optional=True, on_change=picture.take)
    await cluster.start()
    await cluster.synced()
    assert not cluster.available(VIRTUAL_SERVICE)
    route = {"metadata": {"name": "iris", "namespace": namespace}, "spec": {"hosts": ["*"]}}
    with pytest.raises(NotFoundError, match="not served"):
        await cluster.apply(VIRTUAL_SERVICE, route)
    await cluster.delete(VIRTUAL_SERVICE, namespace, "iris")  # it is gone, as wanted

    await client.create(
        CUSTOM_RESOURCE_DEFINITION, crd("virtualservices", "VirtualService", "networking.istio.io", ["v1beta1"])
    )
    await until(lambda: cluster.available(VIRTUAL_SERVICE))
    applied = await cluster.apply(VIRTUAL_SERVICE, route)
    assert applied["apiVersion"] == "networking.istio.io/v1beta1", "the newest version that is served"
    await until(lambda: "iris" in picture.objects)

    await client.delete(CUSTOM_RESOURCE_DEFINITION, None, "virtualservices.networking.istio.io")
    await until(lambda: not cluster.available(VIRTUAL_SERVICE))
    assert cluster.list(VIRTUAL_SERVICE) == []
    assert picture.objects == {}


async def test_a_required_kind_that_is_not_served_keeps_us_waiting_and_says_so(
    client: Client, cluster: Cluster, namespace: str, until: Until
) -> None:
    cluster.watch(SELDON_ROLLOUT, on_change=lambda _: None)
    await cluster.start()
    await until(lambda: any("404" in problem for problem in cluster.unsynced()))
    await client.create(
        CUSTOM_RESOURCE_DEFINITION, crd("seldonrollouts", "SeldonRollout", "rollouts.seldon.io", ["v1alpha1"])
    )
    await until(lambda: not cluster.unsynced())

    made = await cluster.create(
        SELDON_ROLLOUT, {"metadata": {"name": "iris", "namespace": namespace}, "spec": {"a": 1}}
    )
    version = made["metadata"]["resourceVersion"]
    first = await cluster.patch_status(
        SELDON_ROLLOUT, namespace, "iris", {"phase": "Healthy", "old": 1}, resource_version=version
    )
    second = await cluster.patch_status(
        SELDON_ROLLOUT, namespace, "iris", {"phase": "Paused"}, resource_version=first["metadata"]["resourceVersion"]
    )
    assert second["status"] == {"phase": "Paused"}, "a status is replaced, not merged"
    assert second["spec"] == {"a": 1}
    assert cluster.get(SELDON_ROLLOUT, namespace, "iris") == second
    with pytest.raises(ConflictError):
        await cluster.patch_status(SELDON_ROLLOUT, namespace, "iris", {"phase": "Degraded"}, resource_version=version)
