"""The status: what is said in which situation, and that it moves only when something changed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.api.deployment import SeldonDeploymentStatus
from controller.deployment.status import as_json, rejected
from controller.deployment.subject import Subject
from controller.deployment.troubles import trouble

Read = Callable[..., Subject]
Make = Callable[..., dict[str, Any]]
DEPLOYMENT = ("Deployment", "iris-default-0-classifier")


def _conditions(status: SeldonDeploymentStatus) -> dict[str, str]:
    return {each.type: each.status for each in status.conditions}


def test_before_anything_stands_it_is_creating(world: Any, subject_for: Read, make_model: Make) -> None:
    status = world.status(subject_for(make_model()))
    assert (status.state, status.ready_predictors, status.replicas) == ("Creating", "0/1", 0)
    assert _conditions(status)["Ready"] == "False"


def test_it_says_what_is_routed_where(world: Any, subject_for: Read, make_model: Make) -> None:
    raw = make_model()
    (main,) = raw["spec"]["predictors"]
    canary, shadow = {**main, "name": "canary", "traffic": 10}, {**main, "name": "s", "shadow": True, "traffic": 20}
    raw["spec"]["predictors"] = [{**main, "traffic": 90}, canary, shadow]
    assert world.status(subject_for(raw)).traffic == ""
    assert world.converge(subject_for(raw)).traffic == "default 90, canary 10, s +20"
    raw["spec"]["predictors"].append({**main, "name": "t", "shadow": True})
    assert world.converge(subject_for(raw)).traffic == "default 90, canary 10, s +20, t +100"


def test_when_all_is_in_effect_it_is_available(world: Any, subject_for: Read, make_model: Make) -> None:
    status = world.converge(subject_for(make_model(replicas=2)))
    assert as_json(status) | {"conditions": None} == {
        "state": "Available",
        "observedGeneration": 1,
        "replicas": 2,
        "selector": (
            "seldon-app=iris-default,seldon-app-svc-classifier=iris-default-classifier,seldon-deployment-id=iris"
        ),
        "readyPredictors": "1/1",
        "traffic": "default 100",
        "deploymentStatus": {
            "iris-default-0-classifier": {
                "name": "default",
                "status": "Available",
                "replicas": 2,
                "availableReplicas": 2,
            }
        },
        "serviceStatus": {
            "iris-default": {
                "svcName": "iris-default",
                "httpEndpoint": "iris-default.ml:8000",
                "grpcEndpoint": "iris-default.ml:5001",
            },
            "iris-default-classifier": {
                "svcName": "iris-default-classifier",
                "httpEndpoint": "iris-default-classifier.ml:9000",
                "grpcEndpoint": "iris-default-classifier.ml:9500",
            },
        },
        "address": {"url": "http://iris-default.ml.svc.cluster.local:8000/api/v1.0/predictions"},
        "conditions": None,
    }
    assert set(_conditions(status).values()) == {"True"}


@pytest.mark.parametrize(
    ("protocol", "path"),
    [("tensorflow", "/v1/models/m:predict"), ("v2", "/v2/models/m/infer"), ("kfserving", "/v2/models/m/infer")],
)
def test_the_address_follows_the_protocol(world: Any, subject_for: Read, protocol: str, path: str) -> None:
    predictor = {"name": "p", "graph": {"name": "m"}, "componentSpecs": [{"spec": {"containers": [{"name": "m"}]}}]}
    raw = {"metadata": {"name": "iris", "namespace": "ml"}, "spec": {"predictors": [predictor], "protocol": protocol}}
    assert world.status(subject_for(raw)).address.url == f"http://iris-p.ml.svc.cluster.local:8000{path}"


def test_a_pod_that_does_not_start_is_named_with_its_containers_own_error(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.broken = {"seldonio/rollouts-sklearnserver:0.1.0"}
    subject = subject_for(make_model())
    world.step(subject)
    world.settle()
    status = world.status(subject)
    assert status.state == "Creating"
    assert "pod iris-default-0-classifier-" in status.description
    assert "container classifier: CrashLoopBackOff: Error: exit code 1: ValueError: no such model" in status.description


def _fail(world: Any) -> None:
    world.objects[DEPLOYMENT]["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    ]


def test_a_first_version_that_misses_its_deadline_is_failed(world: Any, subject_for: Read, make_model: Make) -> None:
    world.broken = {"seldonio/rollouts-sklearnserver:0.1.0"}
    subject = subject_for(make_model())
    world.step(subject)
    world.settle()
    _fail(world)
    status = world.status(subject)
    assert status.state == "Failed"
    assert "timed out" in status.description
    assert "still serves" not in status.description


def test_fixed_a_failed_update_is_failed_and_says_that_the_old_version_serves(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.converge(subject_for(make_model()))
    raw = make_model()
    component = {"spec": {"containers": [{"name": "classifier", "image": "bad:1"}]}}
    raw["spec"]["predictors"][0]["componentSpecs"] = [component]
    world.broken = {"bad:1"}
    world.step(subject_for(raw))
    world.settle()
    _fail(world)
    status = world.status(subject_for(raw))
    assert status.state == "Failed"
    assert status.description.endswith("; the previous version still serves")


def test_without_a_mesh_it_is_ready_and_a_condition_says_so(world: Any, subject_for: Read, make_model: Make) -> None:
    world.mesh = False
    status = world.converge(subject_for(make_model()))
    conditions = _conditions(status)
    assert (status.state, conditions["istioVirtualServicesReady"], conditions["Ready"]) == (
        "Available",
        "Unknown",
        "True",
    )


def test_fixed_the_mesh_is_a_part_of_the_state(world: Any, subject_for: Read, make_model: Make) -> None:
    subject = subject_for(make_model())
    world.converge(subject)
    refused = {"type": "Reconciled", "status": "False", "message": "no such gateway"}
    world.objects["VirtualService", "iris"]["status"] = {"conditions": [refused]}
    status = world.status(subject)
    assert (status.state, _conditions(status)["istioVirtualServicesReady"]) == ("Creating", "False")
    assert "no such gateway" in status.description


def test_fixed_times_move_only_when_a_condition_changes(world: Any, subject_for: Read, make_model: Make) -> None:
    subject = subject_for(make_model())
    world.step(subject)
    creating = world.status(subject)
    world.wait(60)
    world.converge(subject)
    available = world.status(subject, previous=creating)
    world.wait(60)
    assert as_json(world.status(subject, previous=available)) == as_json(available)
    moved = {each.type: each.last_transition_time for each in available.conditions}
    assert moved["Ready"] == moved["DeploymentsReady"] > moved["HpasReady"]


def test_what_others_note_in_the_status_stays(world: Any, subject_for: Read, make_model: Make) -> None:
    subject = subject_for(make_model())
    previous = world.converge(subject).model_copy(update={"annotations": {"team.example.com/seen": "", "b": "1"}})
    after = as_json(world.status(subject, previous))
    assert after["annotations"] == {"team.example.com/seen": "", "b": "1"}
    refused = rejected(("no",), generation=2, previous=previous, now=world.now)
    assert as_json(refused)["annotations"] == after["annotations"]


def test_a_rejected_spec_keeps_what_is_known_of_what_runs(world: Any, subject_for: Read, make_model: Make) -> None:
    before = world.converge(subject_for(make_model()))
    now = world.now + timedelta(seconds=5)
    status = rejected(["spec.x: 1 is not valid"], generation=2, previous=before, now=now)
    assert (status.state, status.observed_generation) == ("Failed", 2)
    assert status.description == "spec.x: 1 is not valid; what runs is left as it is"
    assert status.deployment_status == before.deployment_status
    assert _conditions(status)["Ready"] == "False"
    assert rejected(["spec.x: 1 is not valid"], generation=2, previous=status, now=now + timedelta(1)) == status


def test_what_only_drains_is_shown_as_retiring(world: Any, subject_for: Read, make_model: Make) -> None:
    world.converge(subject_for(make_model()))
    raw = make_model()
    raw["spec"]["predictors"][0]["name"] = "second"
    while not any(each.startswith("mark") for each in world.writes):
        world.step(subject_for(raw))
        world.settle()
    status = world.status(subject_for(raw))
    assert status.deployment_status[DEPLOYMENT[1]].status == "Retiring"
    assert status.state == "Available"


WAITING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
TROUBLES = {
    "waiting": ({"containerStatuses": [{"name": "m", **WAITING}]}, "container m: ImagePullBackOff: no such image"),
    "on the way": ({"containerStatuses": [{"name": "m", "state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
    "init container": (
        {"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]},
        "container i: Error: exit code 2",
    ),
    "unscheduled": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}]},
        "Unschedulable: no GPU",
    ),
    "restarted": (
        {
            "containerStatuses": [
                {
                    "name": "m",
                    "state": {"running": {}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ]
        },
        "container m: restarted: OOMKilled: exit code 137",
    ),
    "evicted": ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
    "nothing to say": ({"phase": "Pending"}, ""),
}


@pytest.mark.parametrize(("status", "said"), TROUBLES.values(), ids=TROUBLES.keys())
def test_the_words_of_a_pod(world: Any, status: dict[str, Any], said: str) -> None:
    world.pods["p"] = {
        "metadata": {"name": "p", "labels": {"app": "d"}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], **status},
    }
    assert trouble(world.observed(), "d") == (f"pod p: {said}" if said else "")
