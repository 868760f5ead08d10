"""Deployments of real processes: they get ready, roll over without a lost request, and say where they stand."""

import asyncio

import aiohttp

from localcluster.mesh.names import pod_address


async def complete(room, until, version, replicas=2):
    async def look():
        pods = [pod for pod in await room.items("pods") if "deletionTimestamp" not in pod["metadata"]]
        found = await room.get("deployments", "web", "apps/v1")
        status = found.get("status") or {}
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("availableReplicas") == status.get("replicas") == status.get("updatedReplicas") == replicas
            and {pod["spec"]["containers"][0]["args"][1] for pod in pods} == {version}
        )

    await until(look)


async def ready_addresses(room):
    return [pod_address(one["addresses"][0]) for one in await room.endpoints() if one["conditions"]["ready"]]


async def led_to(room, until, replicas=2):
    """Wait for the endpoints, which follow the pods on their own and not the deployment's status."""

    async def all_of_them():
        found = await ready_addresses(room)
        return len(found) == replicas and found

    return await until(all_of_them)


async def test_a_deployment_becomes_pods_behind_a_service(room, until):
    await room.service()
    await room.deployment()
    await complete(room, until, "1")
    addresses = await led_to(room, until)
    async with aiohttp.ClientSession() as session:
        for address in addresses:
            async with session.get(f"http://{address}:8080/") as answer:
                assert await answer.text() == "1"


async def test_a_rolling_update_loses_no_request_that_goes_to_ready_endpoints(room, until):
    await room.service()
    await room.deployment()
    await complete(room, until, "1")
    await led_to(room, until)
    seen, failed, over = set(), [], asyncio.Event()

    async def traffic():
        async with aiohttp.ClientSession() as session:
            while not over.is_set():
                for address in await ready_addresses(room):
                    try:
                        async with session.get(f"http://{address}:8080/") as answer:
                            seen.add(await answer.text())
                    except (aiohttp.ClientError, OSError) as error:
                        failed.append(repr(error))

    user = asyncio.create_task(traffic())
    await until(lambda: "1" in seen)
    await room.deployment(version="2")
    await complete(room, until, "2")
    await until(lambda: "2" in seen or failed)
    over.set()
    await user
    assert failed == []
    assert seen == {"1", "2"}


async def test_kubectl_follows_a_rollout_scales_it_and_deletes_it(room, kubectl, until):
    await room.deployment(replicas=1)
    where = ("-n", room.namespace)
    assert "successfully rolled out" in kubectl(*where, "rollout", "status", "deployment/web", "--timeout=30s")
    kubectl(*where, "set", "env", "deployment/web", "COLOUR=blue")
    kubectl(*where, "rollout", "status", "deployment/web", "--timeout=30s")
    kubectl(*where, "rollout", "undo", "deployment/web")
    kubectl(*where, "rollout", "status", "deployment/web", "--timeout=30s")
    history = kubectl(*where, "rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["2", "3"]
    kubectl(*where, "scale", "deployment/web", "--replicas=0")
    kubectl(*where, "rollout", "status", "deployment/web", "--timeout=30s")
    assert "Scaled down replica set" in kubectl(*where, "get", "events", "-o", "jsonpath={.items[*].message}")
    kubectl(*where, "delete", "deployment/web", "--timeout=30s")

    async def nothing_is_left():
        return not await room.items("replicasets", "apps/v1") and not await room.items("pods")

    await until(nothing_is_left)
