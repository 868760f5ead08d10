"""What follows from a deletion. In a real cluster the controller manager does this, so these run on ours alone."""

import asyncio

import pytest

pytestmark = pytest.mark.usefixtures("ours_only")


async def make(api, name, owner=None, *, blocks=False, controller=True, finalizers=()):
    metadata = {"name": name, "finalizers": list(finalizers)}
    if owner is not None:
        owners = owner if isinstance(owner, list) else [owner]
        metadata["ownerReferences"] = [
            {
                "apiVersion": "v1", "kind": "ConfigMap",
                "name": each["metadata"]["name"], "uid": each["metadata"]["uid"],
                "controller": controller, "blockOwnerDeletion": blocks,
            }
            for each in owners
        ]  # fmt: skip
    made = await api.post(api.core("configmaps"), {"metadata": metadata})
    assert made.code == 201, made.body
    return made


async def exists(api, name):
    return (await api.get(api.core("configmaps", name))).code == 200


async def gone(api, name):
    for _ in range(100):
        if not await exists(api, name):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_dependents_go_after_their_owner(api):
    owner = await make(api, "owner")
    child = await make(api, "child", owner)
    await make(api, "grandchild", child)
    await api.delete(api.core("configmaps", "owner"))
    assert await gone(api, "grandchild")
    assert not await exists(api, "child")


async def test_dependents_go_before_their_owner_in_the_foreground(api):
    owner = await make(api, "owner")
    await make(api, "child", owner, blocks=True, finalizers=["example.com/hold"])
    await api.delete(api.core("configmaps", "owner"), propagationPolicy="Foreground")
    waiting = await api.get(api.core("configmaps", "owner"))
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in (await api.get(api.core("configmaps", "child")))["metadata"]
    await api.patch(api.core("configmaps", "child"), {"metadata": {"finalizers": None}})
    assert await gone(api, "owner")


async def test_a_dependent_that_does_not_block_is_not_waited_for(api):
    owner = await make(api, "owner")
    await make(api, "child", owner, finalizers=["example.com/hold"])
    await api.delete(api.core("configmaps", "owner"), propagationPolicy="Foreground")
    assert await gone(api, "owner")
    await api.patch(api.core("configmaps", "child"), {"metadata": {"finalizers": None}})


async def test_orphans_stay_and_forget_their_owner(api):
    owner = await make(api, "owner")
    await make(api, "child", owner)
    await api.delete(api.core("configmaps", "owner"), propagationPolicy="Orphan")
    assert await gone(api, "owner")
    child = await api.get(api.core("configmaps", "child"))
    assert child.code == 200
    assert "ownerReferences" not in child["metadata"]


async def test_one_of_two_owners_is_enough(api):
    one, two = await make(api, "one"), await make(api, "two")
    await make(api, "child", [one, two], controller=False)
    await api.delete(api.core("configmaps", "one"))
    for _ in range(200):
        child = await api.get(api.core("configmaps", "child"))
        if len(child["metadata"]["ownerReferences"]) == 1:
            break
        await asyncio.sleep(0.02)
    assert [owner["name"] for owner in child["metadata"]["ownerReferences"]] == ["two"]
    await api.delete(api.core("configmaps", "two"))
    assert await gone(api, "child")


async def test_an_owner_that_never_was_is_an_owner_that_is_gone(api):
    await make(api, "child", {"metadata": {"name": "ghost", "uid": "00000000-0000-4000-8000-000000000000"}})
    assert await gone(api, "child")


async def test_a_namespace_takes_its_content_along(api):
    await make(api, "a")
    await make(api, "held", finalizers=["example.com/hold"])
    await api.delete(f"/api/v1/namespaces/{api.namespace}")
    assert await gone(api, "a")
    assert (await api.get(f"/api/v1/namespaces/{api.namespace}"))["status"]["phase"] == "Terminating"
    await api.patch(api.core("configmaps", "held"), {"metadata": {"finalizers": None}})
    for _ in range(200):
        namespace = await api.get(f"/api/v1/namespaces/{api.namespace}")
        if namespace.code == 404:
            break
        await asyncio.sleep(0.02)
    assert namespace.code == 404


async def test_the_first_namespaces_are_there(api):
    listed = await api.get("/api/v1/namespaces")
    assert {item["metadata"]["name"] for item in listed["items"]} >= {"default", "kube-system", "kube-public"}
