"""An API server, the controllers of rollouts and of AnalysisRuns on it, and what stands around them: pods, mesh, users.

The judge of requests is replaced by one that says what the test wants; templates are measured for real, at a service
that answers as Prometheus does.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from analysis.samples import Traffic
from analysis.spec import Comparison, Key
from analysis.verdict import Judgement, Verdict
from controller import clock
from controller.analysisruns.reconciler import AnalysisController
from controller.health import Health
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import fixed
from controller.kube.errors import ConflictError, NotFoundError
from controller.manager import Manager
from controller.metrics import Metrics
from controller.rollout.reconciler import RolloutController
from controller.settings import Settings
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0
NAMES = (f"runs-{number}" for number in itertools.count(1))
Object = dict[str, Any]


class CrashError(Exception):
    """The process ended here."""


class MortalClient(Client):
    """A client whose process dies right after a write of a kind was done."""

    dies_after = ""
    dead = False

    async def send(self, request: Any, **more: Any) -> Any:
        if self.dead:
            raise CrashError
        answer = await super().send(request, **more)
        if self.dies_after and request.method == "POST" and self.dies_after in request.path:
            self.dead = True
            raise CrashError
        return answer


@dataclass
class Judge:
    """In the place of `analysis.monitor.Monitor`: one verdict for all, and users who go where the weights say."""

    verdict: Verdict = Verdict.INCONCLUSIVE
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Of rollouts that are judged otherwise, by name."""
    tracked: dict[Key, Comparison] = field(default_factory=dict)
    routes: dict[str, tuple[Object, datetime]] = field(default_factory=dict)
    """The specs of the VirtualServices by name, and when each was taken."""
    ticked: datetime = field(default_factory=clock.now)
    """When the window that is told of began, unless the route was taken since."""

    def taken(self, name: str, route: Object) -> None:
        if route != self.routes.get(name, ({}, None))[0]:
            self.routes[name] = (route, clock.now())

    def track(self, comparison: Comparison) -> None:
        self.tracked[comparison.key] = comparison

    def untrack(self, key: Key) -> None:
        self.tracked.pop(key, None)

    def judgement(self, key: Key) -> Judgement | None:
        verdict = self.verdicts.get(key[1], self.verdict)
        return Judgement(verdict=verdict, message=f"it is {verdict}") if key in self.tracked else None

    def traffic(self, key: Key) -> Traffic | None:
        comparison, (route, since) = self.tracked.get(key), self.routes.get(key[1], ({}, self.ticked))
        if comparison is None:
            return None
        at, (stable, canary) = max(since, self.ticked), self.requests(comparison, route)
        return Traffic(stable_requests=stable, canary_requests=canary, since=at, at=at)

    def requests(self, comparison: Comparison, route: Object) -> tuple[int, int]:
        """How many of a thousand live requests each arm gets, with the copies."""
        shares = {comparison.stable.deployment: 0.0, comparison.canary.deployment: 0.0}
        http = next((each for each in route.get("http", ()) if each.get("name") == "rest"), {})
        copies = [{**each, "weight": each["percentage"]["value"]} for each in http.get("mirrors", ())]
        for part in [*http.get("route", ()), *copies]:
            host = part["destination"]["host"]
            arm = next(name for name in shares if host.startswith(name))
            shares[arm] += part.get("weight", 100)
        stable, canary = shares.values()
        return round(10 * stable), round(10 * canary)

    async def tick(self, at: datetime) -> frozenset[Key]:
        self.ticked = max(self.ticked, at)
        return frozenset(self.tracked)


class Metered:
    """Answers every PromQL query with one value, or not at all."""

    def __init__(self) -> None:
        self.value: str | None = "1"
        self.url = ""

    def answer(self) -> tuple[int, str]:
        if self.value is None:
            return 503, "no storage"
        found = {"resultType": "vector", "result": [{"metric": {}, "value": [1, self.value]}]}
        return 200, json.dumps({"status": "success", "data": found})


@pytest.fixture
def metered(served: Callable[..., AbstractContextManager[str]]) -> Iterator[Metered]:
    made = Metered()
    with served(lambda *_: made.answer()) as made.url:
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(crds=[ROOT / "crds", ROOT / "localcluster/istio_crds"], plain_http=True) as running:
        yield running


def model(name: str) -> Object:
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": f"gs://m/{name}"}
    return {"spec": {"predictors": [{"name": "default", "replicas": 1, "graph": graph}]}}


@dataclass
class Lab:
    """A namespace of its own and a person with kubectl."""

    server: RunningApiServer
    client: Client
    namespace: str
    metered: Metered
    judge: Judge = field(default_factory=Judge)
    intents: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def connection(self) -> Any:
        return fixed(self.server.url, self.server.admin_token, tls=self.server.ssl_context())

    @contextlib.asynccontextmanager
    async def controllers(self, *, dies_after: str = "") -> AsyncIterator[MortalClient]:
        """Run both controllers with the real manager; give the client that they write by."""
        stop = asyncio.Event()
        async with MortalClient(self.connection(), chance=lambda: 0.0) as client:
            client.dies_after = dies_after
            cluster = Cluster(client, namespaces=(self.namespace,))
            settings = Settings(prometheus_url=self.metered.url, tick=timedelta(seconds=1))
            rollouts = RolloutController(cluster, settings)
            rollouts._monitor = self.judge  # type: ignore[assignment]  # it has the face of one
            both = [rollouts, AnalysisController(cluster, settings)]
            manager = Manager(cluster, both, health=Health(Metrics()), grace=timedelta(seconds=1))
            task = asyncio.create_task(manager.run(stop))
            try:
                yield client
            finally:
                stop.set()
                await task

    # what stands around

    async def surroundings(self) -> None:
        """Give every SeldonDeployment its pods at once, and let the mesh take every route."""
        while True:
            for child in (await self.client.list(resources.SELDON_DEPLOYMENT, self.namespace))[0]:
                await self._serve(child)
            for route in (await self.client.list(resources.VIRTUAL_SERVICE, self.namespace))[0]:
                self.judge.taken(route["metadata"]["name"], route["spec"])
                generation = route["metadata"]["generation"]
                condition = {"type": "Reconciled", "status": "True", "observedGeneration": generation}
                if (route.get("status") or {}).get("conditions") != [condition]:
                    await self._say(resources.VIRTUAL_SERVICE, route, {"conditions": [condition]})
            await asyncio.sleep(0.05)

    async def _serve(self, child: Object) -> None:
        meta, replicas = child["metadata"], child["spec"]["predictors"][0].get("replicas", 1)
        labels = {"seldon-deployment-id": meta["name"]}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "model", "image": "model"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
        owner = {"apiVersion": child["apiVersion"], "kind": child["kind"], "name": meta["name"], "uid": meta["uid"]}
        wanted = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": meta["name"],
                "namespace": self.namespace,
                "labels": labels,
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": spec,
        }
        made = await self.client.apply(resources.DEPLOYMENT, wanted)
        ready = {"replicas": replicas, "readyReplicas": replicas} if replicas else {}
        if {key: (made.get("status") or {}).get(key) for key in ready} != ready:
            await self._say(resources.DEPLOYMENT, made, ready)
        said = {"state": "Available", "observedGeneration": meta["generation"]}
        if {key: (child.get("status") or {}).get(key) for key in said} != said:
            await self._say(resources.SELDON_DEPLOYMENT, child, said)

    async def _say(self, resource: resources.Resource, obj: Object, status: Object) -> None:
        meta = obj["metadata"]
        with contextlib.suppress(ConflictError, NotFoundError):
            await self.client.patch_status(
                resource, self.namespace, meta["name"], status, resource_version=meta["resourceVersion"]
            )

    # what a person does

    async def template(self, spec: Object, name: str = "rate") -> None:
        meta = {"name": name, "namespace": self.namespace}
        kind = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "AnalysisTemplate"}
        await self.client.apply(resources.ANALYSIS_TEMPLATE, {**kind, "metadata": meta, "spec": spec})

    async def serve(self, strategy: Object, name: str = "iris", labels: Object | None = None, **spec: Any) -> None:
        """Bring a first revision up."""
        kind = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout"}
        meta = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        await self.client.create(
            resources.SELDON_ROLLOUT,
            {**kind, "metadata": meta, "spec": {"template": model("one"), "strategy": strategy, **spec}},
        )
        await self.phase("Healthy", name)

    async def change(self, version: str, name: str = "iris", **spec: Any) -> None:
        patch = {"spec": {"template": model(version), **spec}}
        await self.client.merge_patch(resources.SELDON_ROLLOUT, self.namespace, name, patch)

    async def ask(self, verb: str, name: str = "iris") -> None:
        intent = json.dumps({"id": str(next(self.intents)), "verb": verb, "by": "ada", "reason": "because"})
        patch = {"metadata": {"annotations": {"rollouts.seldon.io/intent": intent}}}
        await self.client.merge_patch(resources.SELDON_ROLLOUT, self.namespace, name, patch)

    # what is there

    async def status(self, name: str = "iris") -> Object:
        live = await self.client.get(resources.SELDON_ROLLOUT, self.namespace, name)
        found: Object = live.get("status") or {}
        return found if found.get("observedGeneration") == live["metadata"]["generation"] else {}

    async def phase(self, phase: str, name: str = "iris") -> Object:
        """Wait for a phase of the present generation; return the status."""
        return await self.until(lambda status: status.get("phase") == phase, f"the phase {phase} of {name}", name)

    async def until(self, so: Callable[[Object], bool], what: str, name: str = "iris") -> Object:
        return await eventually(lambda: self.status(name), so, what)

    async def runs(self) -> dict[str, Object]:
        """The AnalysisRuns by their role: background, step-2."""
        found = (await self.client.list(resources.ANALYSIS_RUN, self.namespace))[0]
        return {run["metadata"]["labels"]["rollouts.seldon.io/run"]: run for run in found}

    async def run(self, role: str, so: Callable[[Object], bool] = lambda _: True) -> Object:
        """Wait for a run to be there, and so."""
        found = await eventually(self.runs, lambda runs: role in runs and so(runs[role]), f"a run {role}")
        return found[role]


async def eventually(probe: Callable[[], Awaitable[Any]], so: Callable[[Any], bool], what: str) -> Any:
    """Ask until the answer is so; fail after a bounded time with what was waited for and the last answer."""
    answer = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not so(answer := await probe()):  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.05)
    assert so(answer), f"waited {PATIENCE} s for {what}; last {json.dumps(answer, default=str)[:3000]}"
    return answer


@pytest.fixture
async def lab(server: RunningApiServer, metered: Metered) -> AsyncIterator[Lab]:
    connection = fixed(server.url, server.admin_token, tls=server.ssl_context())
    async with Client(connection, chance=lambda: 0.0) as client:
        name = next(NAMES)
        await client.create(resources.NAMESPACE, {"metadata": {"name": name}})
        made = Lab(server, client, name, metered)
        around = asyncio.create_task(made.surroundings())
        yield made
        around.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await around
