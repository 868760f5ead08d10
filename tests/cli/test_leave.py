"""`seldon-rollouts leave` against a real API server: what it would make, what it refuses, and how it waits."""

import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from controller.api.meta import FINALIZER, LEFT_ANNOTATION
from controller.kube import resources

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
GRAPH = {"name": "c", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m/1"}
SPEC = {"predictors": [{"name": "default", "replicas": 2, "graph": GRAPH}]}
STABLE = {"hash": "abc", "number": 3, "role": "stable"}
CANARY = {"hash": "def", "number": 4, "role": "canary"}


@pytest.fixture
def leave(typed):
    return partial(typed, "leave")


async def rollout(client, name, **status):
    """A rollout whose third revision is stable, with five pods by now."""
    obj = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout"}
    spec = {"template": {"spec": SPEC}, "routing": {"hosts": ["ml.example.com"]}}
    meta = {"name": name, "namespace": "default"}
    made = await client.create(resources.SELDON_ROLLOUT, {**obj, "metadata": meta, "spec": spec})
    found = {"phase": "Healthy", "stableRevision": {**STABLE, "name": f"{name}-abc"}, **status}
    version = made["metadata"]["resourceVersion"]
    await client.patch_status(resources.SELDON_ROLLOUT, "default", name, found, resource_version=version)
    kept = {"metadata": {"name": f"{name}-abc", "namespace": "default"}, "revision": 3}
    template = {"metadata": {"labels": {"team": "ml"}}, "spec": SPEC}
    kind = {"apiVersion": "apps/v1", "kind": "ControllerRevision"}
    await client.create(resources.CONTROLLER_REVISION, {**kind, **kept, "data": {"template": template}})
    child = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment"}
    sized = {"predictors": [{**SPEC["predictors"][0], "replicas": 5}]}
    await client.create(
        resources.SELDON_DEPLOYMENT,
        {**child, "metadata": {"name": f"{name}-abc", "namespace": "default"}, "spec": sized},
    )


async def test_a_dry_run_shows_the_seldondeployment_and_what_happens_and_writes_nothing(cluster, leave):
    _, client = cluster
    await rollout(client, "shown")
    done = await leave("shown", "--dry-run")
    assert done.returncode == 0, done.stderr
    shown = yaml.safe_load(done.stdout)
    assert shown["metadata"]["labels"] == {"team": "ml"}
    assert shown["metadata"]["annotations"] == {"seldon.io/istio-host": "ml.example.com"}
    assert shown["spec"]["predictors"][0]["replicas"] == 5
    assert "# 1. this SeldonDeployment is made, and its pods come up beside those of revision 3" in done.stdout
    live = await client.get(resources.SELDON_ROLLOUT, "default", "shown")
    assert "deletionPolicy" not in live["spec"] or live["spec"]["deletionPolicy"] == "Delete"


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("moving", {"phase": "Progressing", "canaryRevision": {**CANARY, "name": "moving-def"}},
         "revision 4 beside stable's 3: promote or abort it first"),
        ("young", {"phase": "Pending", "stableRevision": None}, "serves nothing yet (Pending)"),
        ("wrong", {"phase": "Invalid", "message": "spec.x: unknown"}, "is invalid; correct it first: spec.x: unknown"),
    ],
)  # fmt: skip
async def test_it_is_refused_while_stable_does_not_serve_alone(cluster, leave, name, status, told):
    _, client = cluster
    await rollout(client, name, **{key: value for key, value in status.items() if value is not None})
    if status.get("stableRevision", "") is None:
        live = await client.get(resources.SELDON_ROLLOUT, "default", name)
        version = live["metadata"]["resourceVersion"]
        await client.patch_status(
            resources.SELDON_ROLLOUT, "default", name, {"phase": "Pending"}, resource_version=version
        )
    done = await leave(name)
    assert done.returncode == 1
    assert told in " ".join(done.stderr.split())
    assert (await client.get(resources.SELDON_ROLLOUT, "default", name))["spec"].get("deletionPolicy") != "Leave"


async def test_a_rollout_is_deleted_once_it_is_held_and_its_leaving_is_signed(cluster, leave):
    _, client = cluster
    await rollout(client, "held")
    await client.merge_patch(resources.SELDON_ROLLOUT, "default", "held", {"metadata": {"finalizers": [FINALIZER]}})
    done = await leave("held", "--reason", "too grand", "--timeout", "1")
    live = await client.get(resources.SELDON_ROLLOUT, "default", "held")
    assert done.returncode == 1
    assert "is not left within 1 s, and is not given up" in done.stderr
    assert "deletionTimestamp" in live["metadata"]
    assert live["spec"]["deletionPolicy"] == "Leave"
    signed = json.loads(live["metadata"]["annotations"][LEFT_ANNOTATION])
    assert (signed["revision"], signed["reason"]) == (3, "too grand")
    assert signed["by"]
