"""An embedded API server with the local cluster's workloads, pods that are ready at once, and the operator in it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controller import clock
from controller.deployment.reconciler import DeploymentController
from controller.health import Health
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector
from controller.kube.reflector import DEFAULT_TIMING, Timing
from controller.manager import Manager
from controller.metrics import Metrics
from controller.settings import Settings
from localcluster.apiserver.process import RunningApiServer
from localcluster.client import ApiClient
from localcluster.reflector import Reflector
from localcluster.testserver import is_real, running_server
from localcluster.workloads.collector import Collector
from localcluster.workloads.controller import Workloads

ROOT = Path(__file__).parents[3]
SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
ISTIO = "networking.istio.io/v1"
KINDS = {
    "services": "v1",
    "deployments": "apps/v1",
    "horizontalpodautoscalers": "autoscaling/v2",
    "poddisruptionbudgets": "policy/v1",
    "destinationrules": ISTIO,
    "virtualservices": ISTIO,
    "authorizationpolicies": "security.istio.io/v1",
    "peerauthentications": "security.istio.io/v1",
    "scaledobjects": "keda.sh/v1alpha1",
}
PATIENCE = 20.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    folders = [ROOT / "crds", ROOT / "localcluster/istio_crds", Path(__file__).parent / "crds"]
    async with running_server(crds=folders, plain_http=True) as running:
        yield running


async def eventually(probe: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask until the answer is true; fail after a bounded time with what was waited for and the last answer."""
    answer = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not (answer := await probe()):  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.02)
    assert answer, f"waited {PATIENCE} s for {what}"
    return answer


@dataclass
class Pods:
    """Makes every pod ready as soon as it is there, unless its image is broken; ends it as soon as it is deleted."""

    client: ApiClient
    broken: set[str] = field(default_factory=set)
    count: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def changed(self, new: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        if new is not None:
            task = asyncio.create_task(self._look(new))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _look(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        if "deletionTimestamp" in meta:
            await self.client.delete("v1", "pods", meta["name"], namespace=meta["namespace"], grace=0)
        elif not (pod.get("status") or {}).get("podIP"):
            self.count += 1
            status = self._status(pod, f"127.2.{self.count // 250}.{self.count % 250 + 1}")
            await self.client.patch(
                "v1", "pods", meta["name"], {"status": status}, namespace=meta["namespace"], sub="status"
            )

    def _status(self, pod: dict[str, Any], address: str) -> dict[str, Any]:
        bad = [each for each in pod["spec"]["containers"] if each["image"] in self.broken]
        ready = "False" if bad else "True"
        ended = {"exitCode": 1, "reason": "Error", "message": "ValueError: no such model"}
        return {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")],
            "containerStatuses": [
                {
                    "name": each["name"],
                    "image": each["image"],
                    "imageID": "",
                    "restartCount": 1,
                    "ready": False,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                    "lastState": {"terminated": ended},
                }
                for each in bad
            ],
        }


class CrashError(Exception):
    """The process ended here."""


class MortalClient(Client):
    """A client whose process dies after a number of writes."""

    lives: int | None = None
    writes: int = 0

    async def send(self, request: Any, **more: Any) -> Any:
        if request.method in {"POST", "PATCH", "PUT", "DELETE"} and "/events" not in request.path:
            if self.lives is not None and self.writes >= self.lives:
                raise CrashError
            self.writes += 1
        return await super().send(request, **more)


@dataclass
class Lab:
    """A namespace of its own, a person with kubectl, and the operator."""

    server: RunningApiServer
    client: ApiClient
    pods: Pods
    namespace: str
    operator: MortalClient | None = None
    watched: tuple[str, ...] | None = None
    """The namespaces that the operator is told to look after; its own when None."""
    told: dict[str, Any] = field(default_factory=dict)
    """What else the operator is told at its start."""
    silence: timedelta = timedelta(0)
    """How long it waits for a mesh of which nothing has been heard. There is none here, unless a test plays it."""
    timing: Timing = DEFAULT_TIMING
    """How often it looks for kinds that are not served."""

    def _connect(self) -> Any:
        return connector(str(self.server.kubeconfig_path), None, now=clock.now)

    def settings(self) -> Settings:
        watched = (self.namespace,) if self.watched is None else self.watched
        return Settings.model_validate({"namespaces": watched, **self.told})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[MortalClient]:
        """Run the operator with the real manager."""
        stop, metrics = asyncio.Event(), Metrics()
        async with MortalClient(self._connect(), metrics=metrics) as client:
            cluster = Cluster(client, namespaces=(self.namespace,), timing=self.timing)
            controller = DeploymentController(
                cluster, self.settings(), drain=timedelta(seconds=0.3), silence=self.silence
            )
            task = asyncio.create_task(Manager(cluster, [controller], health=Health(metrics)).run(stop))
            self.operator = client
            try:
                yield client
            finally:
                stop.set()
                await task

    async def one_life(self, name: str, writes: int) -> None:
        """Run a process that dies after so many writes, or ends when nothing is left to do."""
        async with MortalClient(self._connect()) as client:
            client.lives = writes
            cluster = Cluster(client, namespaces=(self.namespace,))
            controller = DeploymentController(
                cluster, self.settings(), drain=timedelta(seconds=0.05), silence=self.silence
            )
            for watch in controller.watches:
                cluster.watch(watch.resource, labels=watch.labels, optional=watch.optional, on_change=lambda _: None)
            async with cluster:
                await cluster.synced()
                with contextlib.suppress(CrashError):
                    await controller.reconcile((self.namespace, name))

    async def apply(self, obj: dict[str, Any]) -> None:
        metadata = {"name": obj["metadata"]["name"], "namespace": self.namespace}
        metadata |= {name: obj["metadata"][name] for name in ("labels", "annotations") if name in obj["metadata"]}
        body = {"apiVersion": SDEP[0], "kind": "SeldonDeployment", "metadata": metadata, "spec": obj["spec"]}
        await self.client.apply(*SDEP, body)

    async def get(self, name: str = "iris") -> dict[str, Any]:
        return await self.client.get(*SDEP, name, namespace=self.namespace)

    async def state(self, state: str, name: str = "iris") -> dict[str, Any]:
        """Wait for a state of the present generation; return the status."""

        async def reached() -> Any:
            obj = await self.get(name)
            status = obj.get("status") or {}
            fresh = status.get("observedGeneration") == obj["metadata"]["generation"]
            return status if fresh and status.get("state") == state else None

        return await eventually(reached, f"{name} to be {state}")

    async def eventually(self, probe: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Ask until the answer is true."""
        return await eventually(probe, what)

    async def pod_uids(self) -> dict[str, str]:
        items, _ = await self.client.list("v1", "pods", namespace=self.namespace)
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in items}

    async def children(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = {}
        for plural, group_version in KINDS.items():
            items, _ = await self.client.list(group_version, plural, namespace=self.namespace)
            found |= {(each["kind"], each["metadata"]["name"]): each for each in items}
        return found

    async def names(self) -> set[tuple[str, str]]:
        return set(await self.children())


@contextlib.asynccontextmanager
async def furnished(server: RunningApiServer, namespace: str) -> AsyncIterator[Lab]:
    """Give a namespace, workloads and pods of one server."""
    async with ApiClient.from_kubeconfig(server.kubeconfig_path) as client:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await client.create("v1", "namespaces", body)
        pods = Pods(client)
        reflector = Reflector(client, "v1", "pods", namespace, on_change=pods.changed)
        workloads = Workloads(client)
        await workloads.start()
        await reflector.synced()
        collector = Collector(client)
        if is_real():
            await collector.start()
        try:
            yield Lab(server, client, pods, namespace)
        finally:
            await collector.stop()
            await workloads.stop()
            await reflector.stop()
            await asyncio.gather(*pods.tasks, return_exceptions=True)


@pytest.fixture
async def lab(server: RunningApiServer, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    async with furnished(server, f"ns-{abs(hash(request.node.name)) % 10**8}") as made:
        yield made


@pytest.fixture
async def lab_without_mesh() -> AsyncIterator[Lab]:
    """A lab on a server of its own, without Istio's kinds."""
    async with (
        running_server(crds=[ROOT / "crds"], plain_http=True) as server,
        furnished(server, "plain") as made,
    ):
        yield made
