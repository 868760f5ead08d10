"""`seldon-rollouts adopt` against a real API server: what it would write, what it refuses, and how it waits."""

from functools import partial
from pathlib import Path

import pytest
import yaml

from controller.kube import resources

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
GRAPH = {"name": "c", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m/1"}
SPEC = {"predictors": [{"name": "default", "replicas": 2, "graph": GRAPH}]}


@pytest.fixture
def adopt(typed):
    return partial(typed, "adopt")


async def deployment(client, name, **meta):
    obj = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment"}
    live = {**obj, "metadata": {"name": name, "namespace": "default", **meta}, "spec": SPEC}
    return await client.create(resources.SELDON_DEPLOYMENT, live)


async def test_a_dry_run_shows_the_rollout_with_its_hosts_and_writes_nothing(cluster, adopt):
    _, client = cluster
    marks = {"team": "ml", "app.kubernetes.io/instance": "argo-app"}
    await deployment(
        client, "shown", labels=marks, annotations={"kubectl.kubernetes.io/last-applied-configuration": "x"}
    )
    route = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    http = [{"route": [{"destination": {"host": "shown-default"}}]}]
    spec = {"hosts": ["ml.example.com"], "gateways": ["istio-system/seldon-gateway"], "http": http}
    await client.create(
        resources.VIRTUAL_SERVICE, {**route, "metadata": {"name": "shown", "namespace": "default"}, "spec": spec}
    )
    done = await adopt("shown", "--dry-run")
    assert done.returncode == 0, done.stderr
    shown = yaml.safe_load(done.stdout)
    assert shown["spec"]["adopt"] is True
    assert shown["spec"]["template"] == {"metadata": {"labels": {"team": "ml"}}, "spec": SPEC}
    assert shown["spec"]["routing"] == {"hosts": ["ml.example.com"], "gateways": ["istio-system/seldon-gateway"]}
    rollouts, _ = await client.list(resources.SELDON_ROLLOUT, "default")
    assert "shown" not in [each["metadata"]["name"] for each in rollouts]


async def test_what_cannot_be_taken_over_is_refused_with_the_reason(cluster, adopt):
    _, client = cluster
    kind = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout"}
    made = await client.create(
        resources.SELDON_ROLLOUT,
        {**kind, "metadata": {"name": "iris", "namespace": "default"}, "spec": {"template": {"spec": SPEC}}},
    )
    owner = {**kind, "name": "iris", "uid": made["metadata"]["uid"], "controller": True}
    await deployment(client, "child", ownerReferences=[owner])
    missing, owned = await adopt("nowhere"), await adopt("child")
    assert (missing.returncode, owned.returncode) == (1, 1)
    assert "there is no SeldonDeployment 'nowhere' in namespace default" in missing.stderr
    assert "belongs to SeldonRollout iris" in owned.stderr


async def test_it_waits_and_says_what_is_lacking_when_nobody_takes_over(cluster, adopt):
    _, client = cluster
    await deployment(client, "waiting")
    done = await adopt("waiting", "--timeout", "1")
    assert done.returncode == 1
    assert "was not taken over within 1 s" in done.stderr
    assert "is one running?" in done.stderr
    made = await client.get(resources.SELDON_ROLLOUT, "default", "waiting")
    assert made["spec"]["adopt"] is True
    again = await adopt("waiting")
    assert "there is a SeldonRollout default/waiting already" in again.stderr
