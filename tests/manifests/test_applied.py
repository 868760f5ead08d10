"""kubectl puts the base and the samples into an API server, which then grants what the controller needs."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from controller.api.permissions import PERMISSIONS
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server
from seldon_rollouts.bundle import Installation, bundle
from seldon_rollouts.cli.install import documents

ROOT = Path(__file__).parents[2]
ISTIO = ROOT / "localcluster" / "istio_crds"
OVERLAY = "manifests/overlays/without-prometheus-operator"  # PodMonitor is not a kind of this server
ACCOUNT = "system:serviceaccount:seldon-system:seldon-rollouts-controller"

pytestmark = [
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH"),
    pytest.mark.asyncio(loop_scope="module"),
]


async def _kubectl(server: RunningApiServer, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "kubectl", "--kubeconfig", str(server.kubeconfig_path), *words, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, f"kubectl {' '.join(words)}: {err.decode()}"
    return out.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(crds=[ISTIO]) as running:
        await _kubectl(running, "apply", "--server-side", "-k", OVERLAY)
        await _kubectl(running, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        await _kubectl(running, "apply", "-f", "manifests/components/webhook/rbac.yaml")
        await _kubectl(running, "apply", "-f", "manifests/samples")
        yield running


async def test_applying_twice_changes_nothing(server):
    await _kubectl(server, "apply", "-f", "manifests/samples")  # whatever another test has scaled
    again = await _kubectl(server, "apply", "-f", "manifests/samples")
    assert [line for line in again.splitlines() if not line.endswith(" unchanged")] == []


async def test_an_installation_with_all_its_parts_is_taken(server, tmp_path):
    """All but the monitors and the alerts, whose kinds this server lacks."""
    wanted = Installation(
        prometheus_secret="prometheus", pod_monitors=False, grafana=True, monitoring_labels={"release": "prometheus"},
        webhooks=True, notifications=True, dashboard=True,
    )  # fmt: skip
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(bundle(documents(wanted), wanted)))
    words = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--warnings-as-errors", "-f", str(file))
    told = await _kubectl(server, *words)
    assert "deployment.apps/seldon-rollouts-dashboard serverside-applied (server dry run)" in told
    assert "validatingwebhookconfiguration" in told


async def test_every_sample_is_taken_without_a_warning(server):
    told = await _kubectl(server, "apply", "--dry-run=server", "--warnings-as-errors", "-f", "manifests/samples")
    assert "(server dry run)" in told


async def test_short_names_category_and_columns_are_served(server):
    table = await _kubectl(server, "get", "srollout")
    columns = ["NAME", "PHASE", "STEP", "WEIGHT", "STABLE", "CANARY", "VERDICT", "STALLED", "AGE"]
    assert table.split("\n")[0].split() == columns
    table = await _kubectl(server, "get", "sdep", "iris")
    assert table.split("\n")[0].split() == ["NAME", "STATE", "READY", "REPLICAS", "TRAFFIC", "AGE"]
    names = await _kubectl(server, "get", "seldon", "-o", "name")
    assert "seldonrollout.rollouts.seldon.io/iris-canary" in names.split()
    assert "seldondeployment.machinelearning.seldon.io/iris" in names.split()


async def test_the_old_versions_of_a_seldon_deployment_are_served(server):
    for version in ("v1alpha2", "v1alpha3"):
        found = json.loads(
            await _kubectl(
                server, "get", f"seldondeployments.{version}.machinelearning.seldon.io", "iris", "-o", "json"
            )
        )
        assert found["apiVersion"] == f"machinelearning.seldon.io/{version}"
        assert found["spec"]["predictors"][0]["graph"]["implementation"] == "SKLEARN_SERVER"


async def test_kubectl_explains_a_field_in_the_models_words(server):
    text = await _kubectl(server, "explain", "srollout.spec.scaleDownDelay")
    assert "How long a revision without traffic is kept" in " ".join(text.split())


async def test_kubectl_scales_both_kinds(server):
    await _kubectl(server, "scale", "sdep", "iris-ab", "--replicas=3")
    assert await _kubectl(server, "get", "sdep", "iris-ab", "-o", "jsonpath={.spec.replicas}") == "3"
    await _kubectl(server, "scale", "srollout", "iris-canary", "--replicas=4")
    assert (
        await _kubectl(server, "get", "srollout", "iris-canary", "-o", "jsonpath={.spec.template.spec.replicas}") == "4"
    )


async def test_defaults_are_filled_in_where_they_are_promised(server):
    found = json.loads(await _kubectl(server, "get", "srollout", "iris-rollout", "-o", "json"))["spec"]
    assert (found["progressDeadline"], found["scaleDownDelay"], found["revisionHistoryLimit"]) == ("10m", "30s", 10)
    assert found["template"]["spec"]["predictors"] == [
        {
            "name": "default",
            "graph": {
                "name": "classifier",
                "implementation": "SKLEARN_SERVER",
                "modelUri": "gs://seldon-models/sklearn/iris",
            },
        }
    ]


async def _allowed(session, **attributes) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": ACCOUNT, "groups": ["system:serviceaccounts"], "resourceAttributes": attributes},
    }
    async with session.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review) as answer:
        assert answer.status == 201, await answer.text()
        return bool((await answer.json())["status"]["allowed"])


async def test_the_api_server_allows_the_account_what_the_table_says(server):
    async with server.session() as session:
        for permission in PERMISSIONS:
            for resource in permission.resources:
                plural, _, subresource = resource.partition("/")
                for verb in permission.verbs:
                    asked = {"group": permission.group, "resource": plural, "verb": verb, "subresource": subresource}
                    asked["namespace"] = "seldon-system" if permission.part.endswith("own") else "default"
                    asked["name"] = permission.names[0] if permission.names else ""
                    assert await _allowed(session, **asked), asked


@pytest.mark.parametrize(
    ("group", "resource", "verb", "namespace", "name"),
    [
        ("", "secrets", "list", "default", ""),
        ("", "configmaps", "get", "seldon-system", "another"),
        ("", "configmaps", "get", "default", "seldon-config"),
        ("", "pods", "create", "default", ""),
        ("rollouts.seldon.io", "seldonrollouts", "update", "default", ""),
        ("rollouts.seldon.io", "seldonrollouts", "delete", "default", ""),
        ("rbac.authorization.k8s.io", "clusterroles", "patch", "", ""),
        ("coordination.k8s.io", "leases", "update", "default", "seldon-rollouts-controller"),
    ],
)
async def test_the_api_server_refuses_the_account_everything_else(server, group, resource, verb, namespace, name):
    async with server.session() as session:
        asked = {"group": group, "resource": resource, "verb": verb, "namespace": namespace, "name": name}
        assert not await _allowed(session, **asked)
