"""In the place of workload controllers and kubelets: every Deployment has a ready pod as soon as there is one."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from localcluster.client import ApiClient
from localcluster.reflector import Reflector


def live(kubeconfig: str) -> None:
    """Run the world until the process is ended."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_live(kubeconfig))


async def _live(kubeconfig: str) -> None:
    async with ApiClient.from_kubeconfig(Path(kubeconfig)) as client:
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def changed(new: dict[str, Any] | None, _: dict[str, Any] | None) -> None:
            if new is not None and not (new.get("status") or {}).get("availableReplicas"):
                waiting.put_nowait(new)

        reflector = Reflector(client, "apps/v1", "deployments", None, on_change=changed)
        await reflector.synced()
        made: set[str] = set()

        async def work() -> None:
            while True:
                deployment = await waiting.get()
                if deployment["metadata"]["uid"] not in made:
                    made.add(deployment["metadata"]["uid"])
                    await _make_ready(client, deployment, len(made))

        await asyncio.gather(*(work() for _ in range(8)))


async def _make_ready(client: ApiClient, deployment: dict[str, Any], number: int) -> None:
    """Give a Deployment a ready pod that its Service leads to, and the status that says so."""
    metadata, labels = deployment["metadata"], deployment["spec"]["template"]["metadata"]["labels"]
    namespace, name = metadata["namespace"], f"{metadata['name'][:50]}-0"
    address = f"10.3.{number // 250}.{number % 250 + 1}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    ready = {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    await client.create("v1", "pods", pod)
    await client.patch("v1", "pods", name, {"status": ready}, namespace=namespace, sub="status")
    await client.create("discovery.k8s.io/v1", "endpointslices", _leading_to(pod, address))
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    status = {"observedGeneration": metadata["generation"], **counts}
    await client.patch(
        "apps/v1", "deployments", metadata["name"], {"status": status}, namespace=namespace, sub="status"
    )


def _leading_to(pod: dict[str, Any], address: str) -> dict[str, Any]:
    metadata = pod["metadata"]
    service, namespace = metadata["labels"]["seldon-app"], metadata["namespace"]
    labels = {
        "kubernetes.io/service-name": service,
        "seldon-deployment-id": metadata["labels"]["seldon-deployment-id"],
    }
    target = {"kind": "Pod", "name": metadata["name"], "namespace": namespace}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-x", "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "targetRef": target}],
    }


@contextlib.contextmanager
def world(kubeconfig: Path) -> Iterator[BaseProcess]:
    """Run the world beside."""
    process = multiprocessing.get_context("spawn").Process(target=live, args=(str(kubeconfig),), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()
