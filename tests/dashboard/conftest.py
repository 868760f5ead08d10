"""A dashboard over a real API server: one rollout, an editor, a viewer, and a stranger to its namespace."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
import uvicorn
import yaml

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import Secret, connector
from controller.kube.resources import Resource
from localcluster.testserver import running_server
from seldon_rollouts.dashboard.app import TIMING, Options, create
from seldon_rollouts.dashboard.prefix import below as below_path

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic",
]  # fmt: skip
EDITOR, VIEWER, STRANGER = "editors-token", "viewers-token", "strangers-token"
ACCOUNT = "accounts-token"
TOKENS = (
    f"{EDITOR},ada,1,editors\n{VIEWER},vic,2,viewers\n{STRANGER},sam,3,strangers\n"
    f"{ACCOUNT},system:serviceaccount:seldon-system:seldon-rollouts-dashboard,4,system:serviceaccounts\n"
)
_RBAC = "rbac.authorization.k8s.io"
ROLES = {
    "ClusterRole": Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    "ClusterRoleBinding": Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
}

ROLLOUT: dict[str, Any] = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "SeldonRollout",
    "metadata": {"name": "iris", "namespace": "default"},
    "spec": {
        "template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "c", "modelUri": "gs://m/v2"}}]}},
        "strategy": {"canary": {"steps": [{"setWeight": 5}, {"analysis": {}}]}},
    },
}
METRIC = {"name": "errorRate", "verdict": "Inconclusive", "message": "failed requests: 1 %", "evidence": 3.0}
STATUS: dict[str, Any] = {
    "phase": "Progressing",
    "message": "revision 2 is progressing: step 1 of 2",
    "stepCount": 2,
    "stableRevision": {"hash": "aaa", "number": 1, "name": "iris-aaa", "role": "stable", "weight": 95},
    "canaryRevision": {
        "hash": "bbb",
        "number": 2,
        "name": "iris-bbb",
        "replicas": 1,
        "readyReplicas": 1,
        "weight": 5,
    },
    "weights": {"stable": 95, "canary": 5},
    "analysis": {"verdict": "Inconclusive", "updatedAt": "2026-01-01T00:01:00Z", "metrics": [METRIC]},
    "history": [
        {"at": "2026-01-01T00:00:00Z", "type": "RevisionCreated", "message": "revision 1 begins", "revision": 1},
        {"at": "2026-01-01T00:00:30Z", "type": "Promoted", "message": "revision 1 serves", "revision": 1},
        {"at": "2026-01-01T00:00:40Z", "type": "RevisionCreated", "message": "revision 2 begins", "revision": 2},
    ],
}


def kept(digest: str, number: int, uri: str) -> dict[str, Any]:
    """A revision as the controller keeps it."""
    graph = {"name": "c", "implementation": "SKLEARN_SERVER", "modelUri": uri}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"iris-{digest}",
            "namespace": "default",
            "labels": {"rollouts.seldon.io/rollout": "iris", "rollouts.seldon.io/revision-hash": digest},
        },
        "revision": number,
        "data": {"template": {"spec": {"predictors": [{"name": "default", "graph": graph}]}}},
    }


RUN: dict[str, Any] = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "AnalysisRun",
    "metadata": {
        "name": "iris-bbb-2-step-2",
        "namespace": "default",
        "labels": {
            "rollouts.seldon.io/rollout": "iris",
            "rollouts.seldon.io/revision-hash": "bbb",
            "rollouts.seldon.io/run": "step-2",
        },
    },
    "spec": {"metrics": [{"name": "accuracy", "provider": {"prometheus": {"query": "accuracy"}}}]},
}
RUN_STATUS: dict[str, Any] = {
    "phase": "Failed",
    "message": "metric accuracy failed",
    "startedAt": "2026-01-01T00:00:50Z",
    "completedAt": "2026-01-01T00:01:50Z",
    "metricResults": [
        {
            "name": "accuracy", "phase": "Failed", "count": 2, "successful": 1, "failed": 1,
            "measurements": [
                {"phase": "Successful", "value": "0.97"},
                {"phase": "Failed", "value": "0.61", "message": "result >= 0.9 is false"},
            ],
        }
    ],
}  # fmt: skip


def bound(group: str, role: str, verbs: list[str]) -> list[tuple[Resource, dict[str, Any]]]:
    """A role on rollouts in the namespace `default`, and who has it."""
    meta = {"name": role, "namespace": "default"}
    api = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["rollouts.seldon.io"], "resources": ["seldonrollouts"], "verbs": verbs}]
    return [
        (Resource(api, "v1", "roles", "Role"),
         {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": rules}),
        (Resource(api, "v1", "rolebindings", "RoleBinding"),
         {"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": meta,
          "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
          "subjects": [{"apiGroup": api, "kind": "Group", "name": group}]}),
    ]  # fmt: skip


class Running:
    """A dashboard over an API server that has one rollout."""

    def __init__(self, url: str, client: Client) -> None:
        self.url, self.client = url, client

    async def say(self, **changes: Any) -> None:
        """Write the rollout's status, as the controller would."""
        live = await self.client.get(resources.SELDON_ROLLOUT, "default", "iris")
        version = live["metadata"]["resourceVersion"]
        status = {**STATUS, **changes}
        await self.client.patch_status(resources.SELDON_ROLLOUT, "default", "iris", status, resource_version=version)

    async def until(self, check: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the dashboard shows it."""
        headers = {"Authorization": f"Bearer {EDITOR}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as http, asyncio.timeout(10):
            while True:
                answer = await http.get("/api/v1/rollouts/default/iris")
                if answer.status_code == 200 and check(answer.json()):
                    return
                await asyncio.sleep(0.05)


class Server:
    """The API server's address book: clients of the administrator and of each token's owner."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig

    def client(self, token: Secret | None = None) -> Client:
        """Ask as the administrator, or as a token's owner."""
        return Client(connector(self.kubeconfig, None, now=clock.now, bearer=token))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: Any) -> AsyncIterator[Server]:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.csv"
    tokens.write_text(TOKENS)
    async with running_server(crds=[ROOT / "crds"], tokens=tokens) as running:
        made = Server(str(running.kubeconfig_path))
        async with made.client() as client:
            await client.create(resources.SELDON_ROLLOUT, ROLLOUT)
            for digest, number, uri in (("aaa", 1, "gs://m/v1"), ("bbb", 2, "gs://m/v2")):
                await client.create(resources.CONTROLLER_REVISION, kept(digest, number, uri))
            made_run = await client.create(resources.ANALYSIS_RUN, RUN)
            await client.patch_status(
                resources.ANALYSIS_RUN, "default", RUN["metadata"]["name"], RUN_STATUS,
                resource_version=made_run["metadata"]["resourceVersion"],
            )  # fmt: skip
            editors = bound("editors", "edit", ["get", "list", "watch", "patch"])
            for resource, obj in (*editors, *bound("viewers", "view", ["get", "list"])):
                await client.create(resource, obj)
            for obj in yaml.safe_load_all((ROOT / "manifests" / "dashboard" / "rbac.yaml").read_text()):
                if obj["kind"] in ROLES:
                    await client.create(ROLES[obj["kind"]], obj)
        yield made


async def serve(server: Server, options: Options, prefix: str = "") -> AsyncIterator[Running]:
    """Run a dashboard with the account of its manifests until the caller is done with it."""
    async with server.client() as client, server.client(Secret(ACCOUNT)) as own:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        app = create(Cluster(own, timing=TIMING), options, as_person=server.client)
        config = uvicorn.Config(
            below_path(prefix, app), host="127.0.0.1", port=port, log_level="warning",
            timeout_graceful_shutdown=1, ws="none",
        )  # fmt: skip
        dashboard = uvicorn.Server(config)
        task = asyncio.create_task(dashboard.serve())
        while not dashboard.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        made = Running(f"http://127.0.0.1:{port}{prefix}", client)
        await made.say()
        try:
            await made.until(lambda shown: shown["row"]["phase"] == "Progressing")
            yield made
        finally:
            dashboard.should_exit = True
            await task


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(server: Server) -> AsyncIterator[Running]:
    async for running in serve(server, Options(hosts=("127.0.0.1",), patience=0.5)):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(server: Server) -> AsyncIterator[Running]:
    """A dashboard that shows nothing to those who are not signed in."""
    async for running in serve(server, Options(login=True, token_header="x-forwarded-access-token")):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def below(server: Server) -> AsyncIterator[Running]:
    """A dashboard that is one of several below one host."""
    async for running in serve(server, Options(hosts=("127.0.0.1",), patience=0.5), prefix="/team/rollouts"):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def running(served: Running) -> Running:
    """The dashboard, with the rollout as it was at the start."""
    await served.say()
    await served.until(lambda shown: shown["row"]["phase"] == "Progressing")
    return served
