"""Adoption and leaving under traffic: every reply is counted at the client."""

import subprocess
import sys

import kubernetes
import pytest

from e2e.manifests import graph
from e2e.test_stories import SELDON, phase

MESH = {"group": "networking.istio.io", "version": "v1", "plural": "virtualservices"}


@pytest.fixture
def gone(kube):
    def check(name: str, **kind: str) -> bool:
        try:
            kube.read(name, **kind)
        except kubernetes.client.ApiException as error:
            return error.status == 404
        return False

    return check


def test_a_live_seldondeployment_is_adopted_and_left_serving_without_a_failed_request(
    world, kube, crowd, trained, project, gone
) -> None:
    meta = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "digits"}}
    predictors = [{"name": "default", "replicas": 1, "graph": graph(trained.uris[0])}]
    kube.write({**meta, "spec": {"predictors": predictors}}, **SELDON)
    kube.until("it is available", lambda: kube.status("digits", **SELDON).get("state") == "Available")
    with crowd("digits", 20) as early:
        # Available means what the operator sees; the gateway may still be taking the first route.
        kube.until("the gateway answers", lambda: early.sent > len(early.failures))
    with crowd("digits", 200) as users:
        kube.until("answers come", lambda: users.sent > 200)
        assert users.failures == [], "before anything happens"
        command = [
            sys.executable, "-m", "seldon_rollouts", "adopt", "digits", "-n", kube.namespace,
            "--kubeconfig", world.kubeconfig, "--timeout", "120",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is a rollout now" in done.stdout
        assert gone("digits", **SELDON)
        assert phase(kube, "digits") == "Healthy"
        stable = kube.status("digits")["stableRevision"]["name"]
        assert users.failures == [], "while it is adopted"
        adopted = kube.read("digits")
        spec = {**adopted["spec"], "deletionPolicy": "KeepStable"}
        kube.write({**adopted, "metadata": {"name": "digits"}, "spec": spec})
        kube.until("its traffic is held", lambda: bool(kube.read("digits")["metadata"].get("finalizers")))
        kube.remove("digits")
        kube.until("the rollout is gone", lambda: gone("digits"))
        sent = users.sent
        kube.until("answers go on", lambda: users.sent > sent + 600)
    assert users.failures == []
    assert "ownerReferences" not in kube.read(stable, **SELDON)["metadata"]
    assert "ownerReferences" not in kube.read("digits", **MESH)["metadata"]


@pytest.mark.long
def test_a_rollout_is_left_for_a_plain_seldondeployment_without_a_failed_request(
    world, kube, crowd, trained, project, gone
) -> None:
    template = {"spec": {"predictors": [{"name": "default", "replicas": 1, "graph": graph(trained.uris[0])}]}}
    meta = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout", "metadata": {"name": "plain"}}
    kube.write({**meta, "spec": {"template": template, "scaleDownDelay": "5s"}})
    kube.until("it serves", lambda: phase(kube, "plain") == "Healthy")
    with crowd("plain", 200) as users:
        kube.until("answers come", lambda: users.sent > 200)
        command = [
            sys.executable, "-m", "seldon_rollouts", "leave", "plain", "-n", kube.namespace,
            "--kubeconfig", world.kubeconfig, "--timeout", "120", "--reason", "a test",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is a plain SeldonDeployment again" in done.stdout
        assert gone("plain")
        sent = users.sent
        kube.until("answers go on", lambda: users.sent > sent + 600)
    assert users.failures == []
    live = kube.read("plain", **SELDON)
    assert kube.read("plain", **MESH)["metadata"]["ownerReferences"][0]["uid"] == live["metadata"]["uid"]
    assert kube.status("plain", **SELDON)["state"] == "Available"
