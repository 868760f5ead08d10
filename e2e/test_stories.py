"""The demo's stories, as tests: every reply is accounted for at the client."""

import subprocess
import sys
from typing import Any

import pytest

from e2e import manifests

SELDON = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}


def rollout(name: str, uri: str, steps: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    steps = steps or [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}, {"analysis": {}}]
    return manifests.rollout(uri, {"canary": {"steps": steps}}, name=name, scaleDownDelay="5s")


def phase(kube, name: str) -> str:
    return str(kube.status(name).get("phase"))


def serve(kube, name: str, uri: str, **more: Any) -> None:
    kube.write(rollout(name, uri, **more))
    kube.until("the first revision serves", lambda: phase(kube, name) == "Healthy")


def stable_number(kube, name: str) -> int:
    return int(kube.status(name).get("stableRevision", {}).get("number", 0))


def test_a_seldondeployment_is_served_and_updated_without_a_failed_request(kube, crowd, trained) -> None:
    def deployment(uri: str) -> dict[str, Any]:
        meta = {
            "apiVersion": "machinelearning.seldon.io/v1",
            "kind": "SeldonDeployment",
            "metadata": {"name": "digits"},
        }
        return {**meta, "spec": {"predictors": [{"name": "default", "replicas": 1, "graph": manifests.graph(uri)}]}}

    kube.write(deployment(trained.uris[0]), **SELDON)
    kube.until("it is available", lambda: kube.status("digits", **SELDON).get("state") == "Available")
    with crowd("digits", 100) as users:
        kube.until("answers come", lambda: users.sent > 100)
        kube.write(deployment(trained.uris[1]), **SELDON)
        kube.until("the update is available", lambda: kube.status("digits", **SELDON).get("state") == "Available")
        before = users.sent
        kube.until("answers go on", lambda: users.sent > before + 200)
    assert users.failures == []


def test_a_better_model_is_promoted_by_itself_and_no_request_is_lost(kube, crowd, trained) -> None:
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 240) as users:
        kube.write(rollout("digits", trained.uris[1]))
        kube.until("it is promoted", lambda: phase(kube, "digits") == "Healthy" and stable_number(kube, "digits") == 2)
    assert users.failures == []
    assert kube.status("digits")["stableRevision"]["weight"] == 100


@pytest.mark.parametrize(
    ("model", "metric", "text"), [(2, "errorRate", "failed"), (3, "latency", "slower than")], ids=["errors", "slowness"]
)
def test_a_bad_model_is_rolled_back_by_itself_with_its_reason(kube, crowd, trained, model, metric, text) -> None:
    serve(kube, "digits", trained.uris[1])
    with crowd("digits", 240) as users:
        kube.write(rollout("digits", trained.uris[model]))
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
        status = kube.status("digits")
        (rejected,) = status["rejected"]
        sent = users.sent
        kube.until("requests under way are answered", lambda: users.sent > sent + 300)
        met = users.answered(rejected["hash"])
        kube.until("stable goes on serving", lambda: users.sent > sent + 600)
        assert 0 < met == users.answered(rejected["hash"]), "nobody is answered by it any more"
    assert rejected["reason"]["metric"] == metric
    assert text in rejected["message"]
    assert rejected["reason"]["evidence"] >= rejected["reason"]["needed"] or "at once" in rejected["message"]
    assert {failure.revision for failure in users.failures} <= {rejected["hash"]}
    events = kube.core.list_namespaced_event(kube.namespace).items
    assert any(event.reason == "RolledBack" and text in event.message for event in events)


def test_a_killed_controller_goes_on_from_its_place(world, kube, crowd, trained) -> None:
    if world.faults is None:
        pytest.skip("nothing is killed on a real cluster")
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 240) as users:
        kube.write(rollout("digits", trained.uris[1]))
        kube.until("a step is done", lambda: kube.status("digits").get("currentStepIndex", 0) >= 1)
        world.faults.kill("controller")
        kube.until("it is promoted", lambda: phase(kube, "digits") == "Healthy" and stable_number(kube, "digits") == 2)
    assert users.failures == []
    done = [entry["message"] for entry in kube.status("digits")["history"] if entry["type"] == "StepCompleted"]
    assert len(done) == len(set(done)) == 4


def test_a_model_that_cannot_start_gets_no_traffic_and_says_why(kube, crowd, trained) -> None:
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 60) as users:
        kube.write(rollout("digits", "file:///nowhere/at/all"))
        kube.until(
            "it says why",
            lambda: "classifier-model-initializer" in str(kube.status("digits").get("message")),
            timeout=60,
        )
        kube.write(rollout("digits", trained.uris[0]))
        kube.until("stable is what is wanted again", lambda: phase(kube, "digits") == "Healthy")
    assert users.failures == []


def test_a_person_aborts_from_the_command_line(world, kube, crowd, trained, project) -> None:
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 60) as users:
        kube.write(rollout("digits", trained.uris[1], steps=[{"setWeight": 50}, {"pause": {}}]))
        kube.until("it waits for a person", lambda: phase(kube, "digits") == "Paused")
        command = [
            sys.executable, "-m", "seldon_rollouts", "abort", "digits", "-n", kube.namespace,
            "--kubeconfig", world.kubeconfig, "--reason", "not today",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        kube.until("stable serves all", lambda: phase(kube, "digits") == "Degraded")
    assert users.failures == []
    assert "not today" in kube.status("digits")["rejected"][-1]["message"]
