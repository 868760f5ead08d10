"""The order of writes: make before break, whatever changes and wherever the controller dies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.api.meta import format_instant
from controller.deployment.actions import Apply, Delete, Mark
from controller.deployment.observed import RETIRED_ANNOTATION, identity
from controller.deployment.subject import Subject

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]


def _applied(plan: Any) -> list[tuple[str, str]]:
    return [identity(each.object) for each in plan.actions if isinstance(each, Apply)]


def _container(name: str, image: str, **component: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": image}]}, **component}


def _custom(name: str = "model", image: str = "model:1", **predictor: Any) -> dict[str, Any]:
    return {"name": "default", "componentSpecs": [_container(name, image)], "graph": {"name": name}, **predictor}


def _of(*predictors: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "iris", "namespace": "ml", "uid": "uid-1", "generation": 1},
        "spec": {"predictors": list(predictors), **spec},
    }


def _chain(*names: str) -> dict[str, Any]:
    graph: dict[str, Any] = {}
    for name in reversed(names):
        graph = {"name": name, "children": [graph] if graph else []}
    return {"name": "default", "componentSpecs": [_container(name, f"{name}:1") for name in names], "graph": graph}


THREE = _of(_custom(replicas=3))
AUTOSCALED = _of({**_custom(), "componentSpecs": [_container("model", "model:1", hpaSpec={"maxReplicas": 5})]})


def test_the_first_writes_are_services_then_workloads_and_no_route_before_pods_are_ready(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    subject = subject_for(make_model())
    plan = world.step(subject)
    assert [each.object["kind"] for each in plan.actions if isinstance(each, Apply)] == [
        "Service",
        "Service",
        "Deployment",
    ]
    world.settle()
    plan = world.step(subject)
    assert [kind for kind, _ in _applied(plan)] == ["DestinationRule", "VirtualService"]


def test_a_rule_is_written_only_when_the_service_leads_to_the_ready_pods(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    subject = subject_for(make_model())
    world.step(subject)
    world.settle()
    blind = world.observed()
    world.observed = lambda: type(blind)(uid=blind.uid, objects=blind.objects, pods=blind.pods, endpoints={}, mesh=True)
    _, _, plan = world.plan(subject)
    assert plan.actions == ()
    assert plan.requeue_after is not None


def test_a_first_rule_is_written_with_the_first_pods_and_the_route_only_with_all(world: Any, subject_for: Read) -> None:
    subject = subject_for(THREE)
    world.step(subject)
    world.settle()
    for pod in list(world.pods.values())[1:]:
        pod["status"]["conditions"][0]["status"] = "False"
    live = world.objects["Deployment", "iris-default-0-model"]
    live["status"] |= {"readyReplicas": 1, "availableReplicas": 1}
    _, _, plan = world.plan(subject)
    assert [kind for kind, _ in _applied(plan)] == ["DestinationRule"]
    assert (plan.routed, plan.settled) == (False, False)


def test_at_rest_nothing_is_written(world: Any, subject_for: Read, make_model: Make) -> None:
    subject = subject_for(make_model())
    world.converge(subject)
    _, _, plan = world.plan(subject)
    assert (plan.actions, plan.requeue_after, plan.settled) == ((), None, True)


def test_old_objects_are_marked_then_deleted_after_the_drain_orchestrators_first(world: Any, subject_for: Read) -> None:
    world.converge(subject_for(_of(_chain("a", "b"))))
    world.writes.clear()
    after = subject_for(_of({**_chain("c"), "name": "new"}))
    world.converge(after)
    marks = [each for each in world.writes if each.startswith("mark")]
    deletions = [each for each in world.writes if each.startswith("delete")]
    assert len(marks) == 6
    assert world.writes.index(marks[0]) > world.writes.index("update VirtualService iris")
    assert deletions == [
        "delete DestinationRule iris-default",
        "delete Deployment iris-default-0-a",
        "delete Deployment iris-default-1-b",
        "delete Service iris-default-a",
        "delete Service iris-default-b",
        "delete Service iris-default",
    ]


def test_what_is_wanted_again_while_it_drains_is_kept(world: Any, subject_for: Read) -> None:
    first, second = subject_for(_of(_custom())), subject_for(_of(_custom(name="other")))
    world.converge(first)
    while not any(each.startswith("mark") for each in world.writes):
        world.step(second)
        world.settle()
    world.served = world.answers
    world.converge(first)
    assert ("Deployment", "iris-default-0-model") in world.objects
    assert not any(each["metadata"]["annotations"].get(RETIRED_ANNOTATION) for each in world.objects.values())


def test_a_broken_update_leaves_the_old_version_and_its_route(world: Any, subject_for: Read) -> None:
    world.converge(subject_for(_of(_custom())))
    world.served = world.answers
    world.broken = {"bad:1"}
    after = subject_for(_of(_custom(name="other", image="bad:1")))
    for _ in range(10):
        world.step(after)
        world.settle()
        world.wait(60)
    assert ("Deployment", "iris-default-0-model") in world.objects
    assert not any(each.startswith(("mark", "delete")) for each in world.writes)


def test_traffic_moves_away_from_a_predictor_that_is_partly_down(world: Any, subject_for: Read) -> None:
    def split(main: int) -> Subject:
        return subject_for(
            _of(
                {**_custom(replicas=2), "name": "main", "traffic": main},
                {**_custom(image="m:2"), "name": "canary", "traffic": 100 - main},
            )
        )

    world.converge(split(50))
    world.objects["Deployment", "iris-main-0-model"]["status"]["availableReplicas"] = 1
    plan = world.step(split(100))
    assert _applied(plan) == [("VirtualService", "iris")]


def test_no_traffic_goes_to_a_predictor_without_ready_pods(world: Any, subject_for: Read) -> None:
    world.converge(subject_for(_of(_custom())))
    world.broken = {"bad:1"}
    after = subject_for(_of({**_custom(), "traffic": 50}, {**_custom(image="bad:1"), "name": "canary", "traffic": 50}))
    for _ in range(5):
        world.step(after)
        world.settle()
    route = world.objects["VirtualService", "iris"]["spec"]["http"][0]["route"]
    assert [each["destination"]["subset"] for each in route] == ["default"]


def test_a_predictor_without_traffic_gets_some_only_when_its_pods_are_ready(world: Any, subject_for: Read) -> None:
    def split(canary: int) -> Subject:
        bad = {**_custom(image="bad:1"), "name": "canary", "traffic": canary}
        return subject_for(_of({**_custom(), "traffic": 100 - canary}, bad))

    world.broken = {"bad:1"}
    for _ in range(4):
        world.step(split(0))
        world.settle()
    for _ in range(4):
        world.step(split(50))
        world.settle()
    route = world.objects["VirtualService", "iris"]["spec"]["http"][0]["route"]
    assert [each["weight"] for each in route] == [100, 0]


def test_an_autoscalers_number_of_pods_survives_its_coming(world: Any, subject_for: Read) -> None:
    before, after = THREE, AUTOSCALED
    world.converge(subject_for(before))
    _, _, plan = world.plan(subject_for(after))
    applied = next(
        each.object for each in plan.actions if isinstance(each, Apply) and each.object["kind"] == "Deployment"
    )
    assert applied["spec"]["replicas"] == 3
    assert (
        applied["metadata"]["resourceVersion"]
        == world.objects["Deployment", "iris-default-0-model"]["metadata"]["resourceVersion"]
    )


def test_a_scaled_deployment_with_an_autoscaler_is_left_alone(world: Any, subject_for: Read) -> None:
    subject = subject_for(AUTOSCALED)
    world.converge(subject)
    world.objects["Deployment", "iris-default-0-model"]["spec"]["replicas"] = 5
    _, _, plan = world.plan(subject)
    assert plan.actions == ()


def test_an_autoscaler_that_is_not_wanted_is_deleted_at_once(world: Any, subject_for: Read) -> None:
    before, after = AUTOSCALED, THREE
    world.converge(subject_for(before))
    plan = world.step(subject_for(after))
    assert [each.kind for each in plan.actions if isinstance(each, Delete)] == ["HorizontalPodAutoscaler"]


@pytest.mark.parametrize("headless", ["true", "false"])
def test_a_service_that_becomes_headless_or_stops_is_recreated(world: Any, subject_for: Read, headless: str) -> None:
    other = {"true": "false", "false": "true"}[headless]
    world.converge(subject_for(_of(_custom(), annotations={"seldon.io/headless-svc": other})))
    _, _, plan = world.plan(subject_for(_of(_custom(), annotations={"seldon.io/headless-svc": headless})))
    about = [each for each in plan.actions if not (isinstance(each, Apply) and each.object["kind"] == "Deployment")]
    assert [type(each) for each in about] == [Delete, Apply]


def test_something_of_others_under_our_name_is_an_obstacle_and_is_not_touched(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    theirs = {
        "kind": "Service",
        "metadata": {"name": "iris-default", "uid": "x", "resourceVersion": "1"},
        "spec": {"selector": {"app": "x"}},
    }
    world.objects["Service", "iris-default"] = theirs
    _, _, plan = world.plan(subject_for(make_model()))
    assert plan.obstacles == ("Service iris-default exists and is not this SeldonDeployment's; delete or rename it",)
    assert not any(
        isinstance(each, Apply) and each.object["metadata"]["name"] == "iris-default" for each in plan.actions
    )


def test_what_a_deleted_namesake_left_is_waited_for(world: Any, subject_for: Read, make_model: Make) -> None:
    owner = {"kind": "SeldonDeployment", "name": "iris", "uid": "old", "controller": True}
    metadata = {"name": "iris-default", "uid": "x", "resourceVersion": "1", "ownerReferences": [owner]}
    world.objects["Service", "iris-default"] = {
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": "x"}},
    }
    _, _, plan = world.plan(subject_for(make_model()))
    assert plan.obstacles == ()
    assert any("iris-default" in each for each in plan.waits)


def test_without_a_mesh_only_services_and_workloads_are_written(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.mesh = False
    status = world.converge(subject_for(make_model()))
    assert {kind for kind, _ in world.objects} == {"Service", "Deployment"}
    assert status.state == "Available"


def test_when_a_mesh_appears_its_objects_are_written(world: Any, subject_for: Read, make_model: Make) -> None:
    world.mesh = False
    world.converge(subject_for(make_model()))
    world.mesh = True
    world.converge(subject_for(make_model()))
    assert {kind for kind, _ in world.objects} >= {"DestinationRule", "VirtualService"}


def test_the_stable_revision_of_a_rollout_loses_its_own_route_and_nothing_else(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.converge(subject_for(make_model()))
    before = set(world.objects)
    stable = make_model()
    stable["metadata"]["labels"] = {"rollouts.seldon.io/role": "stable"}
    world.writes.clear()
    world.converge(subject_for(stable))
    assert before - set(world.objects) == {("VirtualService", "iris")}
    assert world.writes == ["delete VirtualService iris"]


def test_nothing_is_retired_before_the_mesh_has_the_new_route(world: Any, subject_for: Read) -> None:
    world.converge(subject_for(_of(_custom())))
    after = subject_for(_of({**_custom(), "name": "new"}))
    while "update VirtualService iris" not in world.writes:
        world.step(after)
        world.settle()
    route = world.objects["VirtualService", "iris"]
    said = {"conditions": [{"type": "Reconciled", "status": "True"}]}
    route["status"] = {**said, "observedGeneration": route["metadata"]["generation"] - 1}
    _, _, plan = world.plan(after)
    assert plan.actions == ()
    assert plan.waits == ("the mesh has not taken over the VirtualService yet",)
    route["status"] = {**said, "observedGeneration": route["metadata"]["generation"]}
    _, _, plan = world.plan(after)
    assert {type(each) for each in plan.actions} == {Mark}


SAID = {"type": "Reconciled", "status": "True"}
HEARD = "the mesh has not said yet that it has the VirtualService"
MESHES = {
    "silent": (0, None, HEARD, 2),
    "silent for long enough": (2, None, "", None),
    "of a server whose clock is ahead": (-60, None, "", None),
    "answers": (0, {"observedGeneration": 1, "conditions": [SAID]}, "", None),
    "answers without a number": (0, {"conditions": [SAID]}, "", None),
    "answered for what was before": (
        60, {"observedGeneration": 0, "conditions": [SAID]}, "the mesh has not taken over the VirtualService yet", None,
    ),
    "has told some of its proxies": (
        60, {"conditions": [{**SAID, "observedGeneration": "1", "status": "False", "message": "1/2 proxies"}]},
        "the mesh does not have the VirtualService: 1/2 proxies", None,
    ),
    "says other things, as analysis does": (
        2, {"observedGeneration": 0, "conditions": [{**SAID, "type": "PassedAnalysis"}]}, "", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("age", "status", "words", "rest"), MESHES.values(), ids=MESHES.keys())
def test_a_first_route_counts_when_the_mesh_says_that_it_has_it_or_says_nothing_for_long(
    world: Any,
    subject_for: Read,
    make_model: Make,
    age: int,
    status: dict[str, Any] | None,
    words: str,
    rest: int | None,
) -> None:
    subject = subject_for(make_model())
    world.converge(subject)
    route = world.objects["VirtualService", "iris"]
    route["metadata"]["creationTimestamp"] = format_instant(world.now - timedelta(seconds=age))
    route["status"] = status
    world.patience = timedelta(seconds=2)
    _, _, plan = world.plan(subject)
    assert "; ".join(plan.waits) == words
    assert plan.settled is (not words)
    assert plan.requeue_after == (timedelta(seconds=rest) if rest else None)
    assert world.status(subject).state == ("Creating" if words else "Available")


DRIFTS = {
    "route weight": ("VirtualService", "iris", lambda obj: obj["spec"]["http"][0]["route"][0].update(weight=1)),
    "service selector": ("Service", "iris-default", lambda obj: obj["spec"]["selector"].update({"seldon-app": "x"})),
    "image": (
        "Deployment",
        "iris-default-0-classifier",
        lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image="evil:1"),
    ),
    "replicas": ("Deployment", "iris-default-0-classifier", lambda obj: obj["spec"].update(replicas=7)),
    "rule": ("DestinationRule", "iris-default", lambda obj: obj["spec"].pop("trafficPolicy")),
    "label": ("Service", "iris-default", lambda obj: obj["metadata"]["labels"].pop("seldon-app")),
}


@pytest.mark.parametrize(("kind", "name", "harm"), DRIFTS.values(), ids=DRIFTS.keys())
def test_drift_is_healed(
    world: Any, subject_for: Read, make_model: Make, kind: str, name: str, harm: Callable[[Any], Any]
) -> None:
    subject = subject_for(make_model(replicas=1))
    world.converge(subject)
    harm(world.objects[kind, name])
    _, _, plan = world.plan(subject)
    assert [
        (each.object["kind"], each.object["metadata"]["name"]) for each in plan.actions if isinstance(each, Apply)
    ] == [(kind, name)]


def test_a_route_waits_until_the_slices_of_its_service_know_the_new_port(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.converge(subject_for(make_model()))
    raw = make_model()
    raw["spec"]["predictors"][0]["annotations"] = {"seldon.io/no-engine": "true"}
    subject, route = subject_for(raw), ("VirtualService", "iris")

    def port() -> int:
        return int(world.objects[route]["spec"]["http"][0]["route"][0]["destination"]["port"]["number"])

    world.quick = False
    for _ in range(3):
        world.step(subject)
        world.settle()
    assert port() == 8000
    assert "no route yet to predictor default" in " ".join(world.plan(subject)[2].waits)
    world.quick = True
    world.converge(subject)
    assert port() == 9000
