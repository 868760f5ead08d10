"""The operator on a real (embedded) API server, with the local cluster's workloads and pods that are ready at once."""

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
from controller.health import Health, Metrics
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector
from controller.manager import Manager
from controller.settings import Settings
from localcluster.apiserver.process import RunningApiServer, running_api_server
from localcluster.client import ApiClient, Reflector
from localcluster.workloads.controller import Workloads

ROOT = Path(__file__).parents[2]
SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
ISTIO = "networking.istio.io/v1"
KINDS = {
    "services": "v1",
    "deployments": "apps/v1",
    "horizontalpodautoscalers": "autoscaling/v2",
    "poddisruptionbudgets": "policy/v1",
    "destinationrules": ISTIO,
    "virtualservices": ISTIO,
}
PATIENCE = 20.0
Make = Callable[..., dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_api_server(crds=[ROOT / "crds", ROOT / "localcluster/istio_crds"], plain_http=True) as running:
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

    def _connect(self) -> Any:
        return connector(str(self.server.kubeconfig_path), None, now=clock.now)

    def settings(self) -> Settings:
        return Settings(namespaces=(self.namespace,))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[MortalClient]:
        """Run the operator with the real manager."""
        stop, metrics = asyncio.Event(), Metrics()
        async with MortalClient(self._connect(), metrics=metrics) as client:
            cluster = Cluster(client, namespaces=(self.namespace,))
            controller = DeploymentController(cluster, self.settings(), drain=timedelta(seconds=0.3))
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
            controller = DeploymentController(cluster, self.settings(), drain=timedelta(seconds=0.05))
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

    async def children(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = {}
        for plural, group_version in KINDS.items():
            items, _ = await self.client.list(group_version, plural, namespace=self.namespace)
            found |= {(each["kind"], each["metadata"]["name"]): each for each in items}
        return found

    async def names(self) -> set[tuple[str, str]]:
        return set(await self.children())


@pytest.fixture
async def lab(server: RunningApiServer, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    async with ApiClient.from_kubeconfig(server.kubeconfig_path) as client:
        namespace = f"ns-{abs(hash(request.node.name)) % 10**8}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await client.create("v1", "namespaces", body)
        pods = Pods(client)
        reflector = Reflector(client, "v1", "pods", namespace, on_change=pods.changed)
        workloads = Workloads(client)
        await workloads.start()
        await reflector.synced()
        try:
            yield Lab(server, client, pods, namespace)
        finally:
            await workloads.stop()
            await reflector.stop()
            await asyncio.gather(*pods.tasks, return_exceptions=True)


SIMPLE = {
    ("Service", "iris-default"),
    ("Service", "iris-default-classifier"),
    ("Deployment", "iris-default-0-classifier"),
    ("DestinationRule", "iris-default"),
    ("VirtualService", "iris"),
}


async def test_a_model_becomes_available_with_at_most_twelve_writes(lab: Lab, make_model: Make) -> None:
    async with lab.running() as operator:
        await lab.apply(make_model())
        status = await lab.state("Available")
        assert await lab.names() == SIMPLE
        assert operator.writes <= 12
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert set(conditions.values()) == {"True"}
    assert conditions.keys() >= {"DeploymentsReady", "ServicesReady", "istioVirtualServicesReady", "Ready"}
    assert status["replicas"] == 1
    url = f"http://iris-default.{lab.namespace}.svc.cluster.local:8000/api/v1.0/predictions"
    assert status["address"]["url"] == url
    assert status["deploymentStatus"]["iris-default-0-classifier"]["availableReplicas"] == 1


async def test_at_rest_nothing_is_written(lab: Lab, make_model: Make) -> None:
    async with lab.running() as operator:
        await lab.apply(make_model())
        await lab.state("Available")
        before = operator.writes
        await lab.client.patch(*SDEP, "iris", {"metadata": {"annotations": {"x": "y"}}}, namespace=lab.namespace)
        version = (await lab.get())["metadata"]["resourceVersion"]
        await asyncio.sleep(1.0)  # rest is the absence of writes: there is no condition to wait for
        assert operator.writes == before
        assert (await lab.get())["metadata"]["resourceVersion"] == version


async def test_a_restarted_operator_writes_nothing(lab: Lab, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
    await lab.one_life("iris", writes=0)
    async with lab.running() as operator:
        await asyncio.sleep(0.5)  # rest is the absence of writes: there is no condition to wait for
        assert operator.writes == 0


async def test_a_deleted_model_takes_everything_with_it(lab: Lab, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
        await lab.client.delete(*SDEP, "iris", namespace=lab.namespace)

        async def gone() -> bool:
            return not await lab.names()

        await eventually(gone, "everything to be collected")


async def test_traffic_and_replicas_change_no_pod_template(lab: Lab, make_model: Make) -> None:
    raw = make_model()
    predictor = raw["spec"]["predictors"][0]
    raw["spec"]["predictors"] = [
        {**predictor, "name": "main", "traffic": 90},
        {**predictor, "name": "b", "traffic": 10},
    ]
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        before = {name: obj["metadata"]["uid"] for name, obj in (await pods_of(lab)).items()}
        for each, traffic in zip(raw["spec"]["predictors"], (40, 60), strict=True):
            each.update(traffic=traffic, replicas=2)
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "canary"}
        await lab.apply(raw)
        await lab.state("Available")
        after = {name: obj["metadata"]["uid"] for name, obj in (await pods_of(lab)).items()}
        assert before.items() <= after.items()
        assert len(after) == 4
        route = (await lab.children())["VirtualService", "iris"]["spec"]["http"][0]["route"]
        assert [each["weight"] for each in route] == [40, 60]


async def pods_of(lab: Lab) -> dict[str, dict[str, Any]]:
    items, _ = await lab.client.list("v1", "pods", namespace=lab.namespace)
    return {each["metadata"]["name"]: each for each in items}


async def test_a_replaced_predictor_serves_until_the_new_one_is_routed_and_then_goes(
    lab: Lab, make_model: Make
) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        raw["spec"]["predictors"][0]["name"] = "second"
        await lab.apply(raw)
        await lab.state("Available")
        route = (await lab.children())["VirtualService", "iris"]["spec"]["http"][0]["route"]
        assert route[0]["destination"]["subset"] == "second"
        wanted = {(kind, name.replace("default", "second")) for kind, name in SIMPLE}

        async def collected() -> bool:
            return await lab.names() == wanted

        await eventually(collected, "the first predictor's objects to be deleted")


async def test_a_failed_update_keeps_serving_and_names_pod_and_error(lab: Lab, make_model: Make) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0]["progressDeadlineSeconds"] = 1
    lab.pods.broken = {"broken:1"}
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        components = [{"spec": {"containers": [{"name": "classifier", "image": "broken:1"}]}}]
        raw["spec"]["predictors"][0]["componentSpecs"] = components
        await lab.apply(raw)
        status = await lab.state("Failed")
        assert "the previous version still serves" in status["description"]
        assert "CrashLoopBackOff: Error: exit code 1: ValueError: no such model" in status["description"]
        items, _ = await lab.client.list("discovery.k8s.io/v1", "endpointslices", namespace=lab.namespace)
        ready = [each for piece in items for each in piece.get("endpoints") or () if each["conditions"]["ready"]]
        assert ready


async def test_a_bad_spec_is_explained_and_nothing_that_runs_is_touched(lab: Lab, make_model: Make) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        before = {key: obj["metadata"]["resourceVersion"] for key, obj in (await lab.children()).items()}
        raw["spec"]["predictors"][0]["traffic"] = 42
        raw["spec"]["predictors"][0]["graph"]["implementation"] = "NO_SUCH_SERVER"
        await lab.apply(raw)
        status = await lab.state("Failed")
        after = {key: obj["metadata"]["resourceVersion"] for key, obj in (await lab.children()).items()}
        assert "spec.predictors[0].traffic: 42" in status["description"]
        assert "NO_SUCH_SERVER" in status["description"]
        assert after == before


async def test_what_others_have_under_our_name_is_not_taken_over(lab: Lab, make_model: Make) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris-default", "namespace": lab.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    await lab.client.create("v1", "services", theirs)
    async with lab.running():
        await lab.apply(make_model())
        status = await lab.state("Failed")
        assert "Service iris-default exists" in status["description"]
        service = await lab.client.get("v1", "services", "iris-default", namespace=lab.namespace)
        assert service["spec"]["selector"] == {"app": "theirs"}


async def test_zero_replicas_are_available(lab: Lab, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model(replicas=1))
        await lab.state("Available")
        await lab.apply(make_model(replicas=0))
        status = await lab.state("Available")
        assert status["replicas"] == 0
        assert not await pods_of(lab)


async def test_drift_is_healed(lab: Lab, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
        await lab.client.delete(ISTIO, "destinationrules", "iris-default", namespace=lab.namespace)
        patch = {"spec": {"selector": {"seldon-app": "elsewhere"}}}
        await lab.client.patch("v1", "services", "iris-default", patch, namespace=lab.namespace)

        async def healed() -> bool:
            children = await lab.children()
            service = children["Service", "iris-default"]
            return set(children) == SIMPLE and service["spec"]["selector"] == {"seldon-app": "iris-default"}

        await eventually(healed, "drift to be healed")


async def test_the_stable_revision_of_a_rollout_has_no_route_of_its_own(lab: Lab, make_model: Make) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "stable"}
        await lab.apply(raw)

        async def without() -> bool:
            return await lab.names() == SIMPLE - {("VirtualService", "iris")}

        await eventually(without, "the route to go")
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "retired"}
        await lab.apply(raw)

        async def back() -> bool:
            return await lab.names() == SIMPLE

        await eventually(back, "the route to come back")


async def test_a_process_that_dies_after_every_single_write_converges_and_leaks_nothing(
    lab: Lab, make_model: Make
) -> None:
    raw = make_model()

    async def converge(state: str) -> None:
        async def step() -> bool:
            await lab.one_life("iris", writes=1)
            obj = await lab.get()
            status = obj.get("status") or {}
            return status.get("state") == state and status["observedGeneration"] == obj["metadata"]["generation"]

        await eventually(step, f"{state} by single writes")

    await lab.apply(raw)
    await converge("Available")
    assert await lab.names() == SIMPLE
    raw["spec"]["predictors"][0]["name"] = "second"
    await lab.apply(raw)
    await converge("Available")
    wanted = {(kind, name.replace("default", "second")) for kind, name in SIMPLE}

    async def collected() -> bool:
        await lab.one_life("iris", writes=1)
        return await lab.names() == wanted

    await eventually(collected, "the first predictor to be collected by single writes")


async def test_what_the_api_server_refuses_is_told_in_its_words(lab: Lab, make_model: Make) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0]["labels"] = {"team": "not a label!"}
    async with lab.running():
        await lab.apply(raw)
        status = await lab.state("Failed")
        assert "iris-default-0-classifier" in status["description"]
        assert "not a label!" in status["description"]
        raw["spec"]["predictors"][0]["labels"] = {}
        await lab.apply(raw)
        await lab.state("Available")
