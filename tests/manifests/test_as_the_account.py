"""The controllers do their work as the service account of the base, and are refused nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from controller.analysisruns.reconciler import AnalysisController
from controller.deployment.reconciler import DeploymentController
from controller.health import Health
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import fixed
from controller.kube.election import Election
from controller.kube.recorder import Recorder
from controller.kube.resources import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    EVENT,
    LEASE,
    SELDON_DEPLOYMENT,
    SELDON_ROLLOUT,
    SERVICE,
    Resource,
)
from controller.manager import Manager
from controller.metrics import Metrics
from controller.rollout.reconciler import RolloutController
from controller.startup import parse_settings
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[2]
TOKEN = "the-accounts"
ACCOUNT = "system:serviceaccount:seldon-system:seldon-rollouts-controller"
RBAC = {kind: Resource("rbac.authorization.k8s.io", "v1", f"{kind.lower()}s", kind, namespaced=not kind.startswith("C"))
        for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")}  # fmt: skip


def _documents(path: str) -> list[dict]:
    return [each for each in yaml.safe_load_all((ROOT / path).read_text()) if each]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningApiServer]:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(f'{TOKEN},{ACCOUNT},1,"system:serviceaccounts,system:authenticated"\n')
    folders = [ROOT / "crds", ROOT / "localcluster" / "istio_crds"]
    async with running_server(crds=folders, tokens=tokens, plain_http=True) as running:
        yield running


@pytest.fixture
async def admin(server: RunningApiServer) -> AsyncIterator[Client]:
    async with Client(fixed(server.url, server.admin_token, tls=server.ssl_context())) as client:
        for each in _documents("manifests/base/namespace.yaml"):
            await client.create(Resource("", "v1", "namespaces", "Namespace", namespaced=False), each)
        for each in _documents("manifests/base/rbac.yaml"):
            await client.create(RBAC[each["kind"]], each)
        yield client


async def _until(found: Callable, what: str) -> None:
    end = time.monotonic() + 30
    while not await found():
        assert time.monotonic() < end, f"not within 30 s: {what}"
        await asyncio.sleep(0.05)


def _refused(metrics: Metrics) -> list[dict[str, str]]:
    samples = [sample for family in metrics.api_requests.collect() for sample in family.samples]
    return [sample.labels for sample in samples if sample.labels.get("code") == "403" and sample.value]


async def test_an_update_and_a_deletion_need_no_more_than_the_base_grants(server, admin):
    settings = parse_settings(["--leader-elect"], {"POD_NAMESPACE": "seldon-system"})
    health = Health(Metrics())
    async with Client(fixed(server.url, TOKEN, tls=server.ssl_context()), metrics=health.metrics) as client:
        cluster = Cluster(client, recorder=Recorder(client))
        election = Election(client, namespace="seldon-system", name=settings.lease_name, identity="me")
        controllers = [
            DeploymentController(cluster, settings, drain=timedelta(seconds=0.1)),
            RolloutController(cluster, settings),
            AnalysisController(cluster, settings),
        ]
        stop = asyncio.Event()
        running = asyncio.create_task(
            Manager(cluster, controllers, health=health, election=election, grace=timedelta(seconds=5)).run(stop)
        )
        try:
            await _story(admin)
        finally:
            stop.set()
            await asyncio.wait_for(running, 20)
    assert _refused(health.metrics) == []
    assert (await admin.get(LEASE, "seldon-system", settings.lease_name))["spec"].get("holderIdentity", "") == ""


async def _story(admin: Client) -> None:
    """A SeldonDeployment loses a predictor; a rollout begins."""
    deployment = _documents("manifests/samples/ab-test.yaml")[0]
    rollout = _documents("manifests/samples/rollout-minimal.yaml")[0]
    for resource, obj in ((SELDON_DEPLOYMENT, deployment), (SELDON_ROLLOUT, rollout)):
        obj["metadata"]["namespace"] = "default"
        await admin.create(resource, obj)
    names = {"iris-ab-first", "iris-ab-second"}

    async def both_served() -> bool:
        return names <= {each["metadata"]["name"] for each in (await admin.list(SERVICE, "default"))[0]}

    async def rollout_answered() -> bool:
        phase = (await admin.get(SELDON_ROLLOUT, "default", "iris-rollout")).get("status", {}).get("phase")
        return bool(phase and (await admin.list(CONTROLLER_REVISION, "default"))[0])

    async def child_rendered() -> bool:
        found, _ = await admin.list(DEPLOYMENT, "default", labels="seldon-deployment-id!=iris-ab")
        return bool(found)

    await _until(both_served, "the Services of both predictors")
    await _until(rollout_answered, "the rollout's status and its revision")
    await _until(child_rendered, "the Deployment of the rollout's first revision")
    await admin.merge_patch(
        SELDON_DEPLOYMENT,
        "default",
        "iris-ab",
        {"spec": {"predictors": [deployment["spec"]["predictors"][0] | {"traffic": 100}]}},
    )

    async def told() -> bool:
        return bool((await admin.list(EVENT, "default"))[0])

    await _until(told, "an event")
    await admin.delete(SELDON_ROLLOUT, "default", "iris-rollout")
    await admin.delete(SELDON_DEPLOYMENT, "default", "iris-ab")
