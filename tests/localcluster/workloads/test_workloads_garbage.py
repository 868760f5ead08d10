"""Garbage: what follows from a deletion, decided from what there is; and done on a server."""

import asyncio
import itertools
from typing import Any

import pytest

from localcluster.client import ApiClient
from localcluster.objects import NotFoundError
from localcluster.testserver import is_real, running_server
from localcluster.workloads.collector import Collector
from localcluster.workloads.garbage import Remove, Rewrite, Thing, plan


def thing(
    name: str, *owners: str, finalizers: tuple[str, ...] = (), namespace: str = "ml", blocks: bool = True
) -> Thing:
    metadata: dict[str, Any] = {"name": name, "uid": name, "resourceVersion": "1", "namespace": namespace}
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": each, "uid": each, "blockOwnerDeletion": blocks}
        for each in owners
    ]
    metadata |= {"ownerReferences": references} if references else {}
    metadata |= {"finalizers": list(finalizers), "deletionTimestamp": "2024-05-01T12:00:00Z"} if finalizers else {}
    return Thing(group_version="v1", plural="configmaps", obj={"metadata": metadata})


def told(*things: Thing) -> list[tuple[Any, ...]]:
    def words(step: Any) -> tuple[Any, ...]:
        match step:
            case Remove(thing=about, propagation=how, because=gone):
                return ("remove", about.uid, how, [each["uid"] for each in gone])
            case Rewrite(thing=about, metadata=metadata):
                (field,) = metadata
                value = metadata[field]
                return (
                    "rewrite",
                    about.uid,
                    field,
                    [each["uid"] if isinstance(each, dict) else each for each in value or ()],
                )
        raise AssertionError(step)

    return [words(step) for step in plan(things)]


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        pytest.param([thing("a"), thing("b", "a")], [], id="an owner that stays"),
        pytest.param([thing("b", "a")], [("remove", "b", "Background", ["a"])], id="an owner that is gone"),
        pytest.param(
            [thing("a"), thing("b", "a", "x")],
            [("rewrite", "b", "ownerReferences", ["a"])],
            id="one of two owners is gone",
        ),
        pytest.param(
            [thing("a", namespace="other"), thing("b", "a")],
            [("remove", "b", "Background", ["a"])],
            id="an owner in another namespace is none",
        ),
        pytest.param([thing("a", namespace=""), thing("b", "a")], [], id="a cluster-wide owner"),
        pytest.param(
            [thing("a", finalizers=("foregroundDeletion",)), thing("b", "a")],
            [("remove", "b", "Background", [])],
            id="foreground: dependents first",
        ),
        pytest.param(
            [thing("a", finalizers=("foregroundDeletion",)), thing("b", "a"), thing("c", "b")],
            [("remove", "b", "Foreground", [])],
            id="foreground goes on to dependents of dependents",
        ),
        pytest.param(
            [thing("a", finalizers=("foregroundDeletion",)), thing("b", "a", blocks=False)],
            [("rewrite", "a", "finalizers", []), ("remove", "b", "Background", [])],
            id="foreground waits only for those that block",
        ),
        pytest.param(
            [thing("a", finalizers=("foregroundDeletion", "mine"))],
            [("rewrite", "a", "finalizers", ["mine"])],
            id="foreground ends when no dependent is left",
        ),
        pytest.param(
            [thing("a", finalizers=("foregroundDeletion",)), thing("d"), thing("b", "a", "d")],
            [("rewrite", "b", "ownerReferences", ["d"])],
            id="foreground leaves what another owner keeps",
        ),
        pytest.param(
            [thing("a", finalizers=("orphan",)), thing("b", "a")],
            [("rewrite", "b", "ownerReferences", [])],
            id="orphan: dependents forget it first",
        ),
        pytest.param(
            [thing("a", finalizers=("orphan",))], [("rewrite", "a", "finalizers", [])], id="orphan ends when all forgot"
        ),
        pytest.param([thing("b", "a", finalizers=("mine",))], [], id="what goes already is let go"),
    ],
)
def test_what_follows_from_a_deletion(things: list[Thing], expected: list[tuple[Any, ...]]) -> None:
    for order in itertools.permutations(things):
        assert sorted(told(*order)) == sorted(expected)


async def _gone(client: ApiClient, *path: str, namespace: str | None = None) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await client.get(*path, namespace=namespace)
            except NotFoundError:
                return
            await asyncio.sleep(0.05)


def _map(name: str, owner: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "ml"}
    if owner is not None:
        meta = owner["metadata"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}
        metadata["ownerReferences"] = [{**reference, "blockOwnerDeletion": True}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def test_owners_take_their_own_with_them_and_a_namespace_goes_with_its_content() -> None:
    async with running_server() as server, ApiClient.from_kubeconfig(server.kubeconfig_path) as client:
        collector = Collector(client)
        if is_real():  # ours collects by itself
            await collector.start()
        try:
            await client.create("v1", "namespaces", {"metadata": {"name": "ml"}})
            for how in ("Background", "Foreground"):
                owner = await client.create("v1", "configmaps", _map(f"owner-{how.lower()}"))
                child = await client.create("v1", "configmaps", _map(f"child-{how.lower()}", owner))
                await client.create("v1", "configmaps", _map(f"grandchild-{how.lower()}", child))
                await client.delete("v1", "configmaps", f"owner-{how.lower()}", namespace="ml", propagation=how)
                for name in ("owner", "child", "grandchild"):
                    await _gone(client, "v1", "configmaps", f"{name}-{how.lower()}", namespace="ml")
            owner = await client.create("v1", "configmaps", _map("owner"))
            await client.create("v1", "configmaps", _map("orphan", owner))
            await client.delete("v1", "configmaps", "owner", namespace="ml", propagation="Orphan")
            await _gone(client, "v1", "configmaps", "owner", namespace="ml")
            orphan = await client.get("v1", "configmaps", "orphan", namespace="ml")
            assert "ownerReferences" not in orphan["metadata"]
            await client.delete("v1", "namespaces", "ml")
            await _gone(client, "v1", "namespaces", "ml")
        finally:
            await collector.stop()
