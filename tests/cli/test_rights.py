"""What the roles of an installation let people see by the command line: all that the guide says, and no secrets."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from controller import clock
from controller.api.rbac import people_objects
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[2]
RBAC = "rbac.authorization.k8s.io"
ROLES = resources.Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
OWN_ROLES = resources.Resource(RBAC, "v1", "roles", "Role")
BINDINGS = resources.Resource(RBAC, "v1", "rolebindings", "RoleBinding")
SPEC = {
    "predictors": [{"name": "main", "graph": {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}}]
}
ROLLOUT = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "SeldonRollout",
    "metadata": {"name": "iris", "namespace": "default"},
    "spec": {"template": {"spec": SPEC}},
}
STATUS = {"phase": "Healthy", "stableRevision": {"name": "iris-abc", "hash": "abc", "number": 1, "role": "stable"}}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "iris-abc-0", "namespace": "default", "labels": {"seldon-deployment-id": "iris-abc"}},
    "spec": {"containers": [{"name": "main", "image": "main"}]},
}
PROMOTE_ONLY = [
    {"apiGroups": ["rollouts.seldon.io"], "resources": ["seldonrollouts"], "verbs": ["get", "list", "patch"]}
]
Ran = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


def binding(user: str, kind: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{user}-{role}", "namespace": "default"},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The kubeconfig of the administrator, on a server with a rollout, its roles, and people who have them."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.csv"
    tokens.write_text("scientist-token,scientist,1\nreleaser-token,releaser,2\n")
    async with running_server(crds=[ROOT / "crds", ROOT / "localcluster/istio_crds"], tokens=tokens) as running:
        async with Client(connector(str(running.kubeconfig_path), None, now=clock.now)) as client:
            for role in people_objects():
                await client.create(ROLES, role)
                await client.create(BINDINGS, binding("scientist", "ClusterRole", role["metadata"]["name"]))
            own = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": PROMOTE_ONLY}
            await client.create(OWN_ROLES, {**own, "metadata": {"name": "promote-only", "namespace": "default"}})
            await client.create(BINDINGS, binding("releaser", "Role", "promote-only"))
            version = (await client.create(resources.SELDON_ROLLOUT, ROLLOUT))["metadata"]["resourceVersion"]
            await client.create(resources.POD, POD)
            await client.patch_status(resources.SELDON_ROLLOUT, "default", "iris", STATUS, resource_version=version)
        yield running.kubeconfig_path


@pytest.fixture
def ran(server: Path, tmp_path: Path) -> Ran:
    """Runs a command line as somebody."""
    known = server.read_text("utf-8")

    async def call(person: str, *words: str) -> "subprocess.CompletedProcess[str]":
        theirs = yaml.safe_load(known)
        theirs["users"][0]["user"] = {"token": f"{person}-token"}
        file = tmp_path / person
        file.write_text(yaml.safe_dump(theirs))
        command = [sys.executable, "-m", "seldon_rollouts", *words, "--kubeconfig", str(file)]
        return await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    return call


@pytest.mark.parametrize(
    "command", ["get iris", "explain iris", "history iris", "status iris", "adopt other --dry-run", "diff iris"]
)
async def test_who_has_the_roles_of_the_guide_sees_all_that_commands_show(ran: Ran, command: str) -> None:
    done = await ran("scientist", *command.split())
    assert "Forbidden" not in done.stderr
    assert "not shown" not in done.stdout


async def test_who_may_only_promote_sees_the_rollout_and_is_told_what_is_not_shown(ran: Ran) -> None:
    done = await ran("releaser", "get", "iris")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SeldonRollout default/iris" in done.stdout
    assert "not shown: Deployments, SeldonDeployments, pods  you may not see them" in done.stdout
    assert "not shown" not in (await ran("scientist", "get", "iris")).stdout


async def test_doctor_does_not_deny_what_somebody_may_do_in_one_namespace_nor_what_it_may_not_see(ran: Ran) -> None:
    done = await ran("releaser", "doctor", "-n", "default", "-o", "json")
    found = [check["found"] for check in json.loads(done.stdout)]
    assert "you may patch SeldonRollouts in namespace default" in found
    assert "you may not create SeldonRollouts" in found
    assert "Gateways may not be seen: whether there is one is not known" in found


async def test_nobody_is_let_at_secrets_by_these_roles() -> None:
    granted = [rule for role in people_objects() for rule in role["rules"]]
    assert not any({"secrets", "*"} & set(rule["resources"]) for rule in granted)
