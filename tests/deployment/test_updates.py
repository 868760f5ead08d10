"""Updates of every shape: no request without a pod, nothing left behind, wherever the controller dies."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.deployment.subject import Subject

Read = Callable[..., Subject]


def _container(name: str, image: str, **component: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": image}]}, **component}


def _custom(name: str = "model", image: str = "model:1", **predictor: Any) -> dict[str, Any]:
    return {"name": "default", "componentSpecs": [_container(name, image)], "graph": {"name": name}, **predictor}


def _plain(port: int) -> dict[str, Any]:
    """A model that the mesh reaches itself, at a port of its own."""
    container = {"name": "model", "image": "model:1", "ports": [{"name": "http", "containerPort": port}]}
    component = {"spec": {"containers": [container]}}
    return {**_custom(annotations={"seldon.io/no-engine": "true"}), "componentSpecs": [component]}


def _with_resources(name: str, resources: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": "model:1", "resources": resources}]}}


def _of(*predictors: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "iris", "namespace": "ml", "uid": "uid-1", "generation": 1},
        "spec": {"predictors": list(predictors), **spec},
    }


def _named_component(name: str) -> dict[str, Any]:
    return {
        "name": "default",
        "componentSpecs": [_container(name, "model:1", metadata={"name": "fixed"})],
        "graph": {"name": name},
    }


def _chain(*names: str) -> dict[str, Any]:
    graph: dict[str, Any] = {}
    for name in reversed(names):
        graph = {"name": name, "children": [graph] if graph else []}
    return {"name": "default", "componentSpecs": [_container(name, f"{name}:1") for name in names], "graph": graph}


def _together(*nodes: str, ports: dict[str, int]) -> dict[str, Any]:
    """A chain of nodes that share a pod under a fixed name; each at the ports that it says."""
    opened = {
        name: [{"name": "http", "containerPort": number}, {"name": "grpc", "containerPort": number + 1}]
        for name, number in ports.items()
    }
    containers = [{"name": name, "image": f"{name}:1", "ports": opened.get(name, [])} for name in nodes]
    graph = _chain(*sorted(nodes))["graph"]
    return {
        "name": "default",
        "componentSpecs": [{"metadata": {"name": "fixed"}, "spec": {"containers": containers}}],
        "graph": graph,
    }


UPDATES = {
    "new image": (_of(_custom()), _of(_custom(image="model:2"))),
    "container renamed": (_of(_custom()), _of(_custom(name="other"))),
    "resources": (_of(_custom()), _of({**_custom(), "svcOrchSpec": {"resources": {"requests": {"cpu": "1"}}}})),
    "one Deployment to a chain of two": (_of(_chain("a")), _of(_chain("a", "b"))),
    "the nodes of a chain change places, and ports": (_of(_chain("a", "b")), _of(_chain("b", "a"))),
    "the first node of a chain goes, one comes at its end": (_of(_chain("a", "b")), _of(_chain("b", "c"))),
    "the nodes of a chain change places below replicas": (
        _of({**_chain("a", "b", "c"), "replicas": 3}),
        _of({**_chain("c", "a", "b"), "replicas": 3}),
    ),
    "containers of a pod apart from its orchestrator change places, and have ports of their own": (
        _of(_together("a", "b", ports={"a": 9100, "b": 9200}), annotations={"seldon.io/engine-separate-pod": "true"}),
        _of(_together("b", "a", ports={"a": 9100, "b": 9200}), annotations={"seldon.io/engine-separate-pod": "true"}),
    ),
    "a chain of two to one": (_of(_chain("a", "b")), _of(_chain("a"))),
    "one predictor to two (skipped upstream as broken, #3857)": (
        _of(_custom()),
        _of({**_custom(), "name": "p1", "traffic": 60}, {**_custom(), "name": "p2", "traffic": 40}),
    ),
    "two predictors to one": (
        _of({**_custom(), "name": "p1", "traffic": 60}, {**_custom(), "name": "p2", "traffic": 40}),
        _of({**_custom(), "name": "p2"}),
    ),
    "canary added": (
        _of(_custom()),
        _of({**_custom(), "traffic": 90}, {**_custom(image="model:2"), "name": "canary", "traffic": 10}),
    ),
    "explainer added": (_of(_custom()), _of(_custom(explainer={"type": "AnchorTabular"}))),
    "explainer gone": (_of(_custom(explainer={"type": "AnchorTabular"})), _of(_custom())),
    "explainer of another protocol": (
        _of(_custom(explainer={"type": "AnchorTabular"})),
        _of(_custom(explainer={"type": "AnchorTabular"}), protocol="v2"),
    ),
    "explainer of a predictor that is renamed": (
        _of(_custom(explainer={"type": "ALE"})),
        _of({**_custom(explainer={"type": "ALE"}), "name": "other"}),
    ),
    "autoscaler of Kubernetes to one of KEDA": (
        _of({**_custom(), "componentSpecs": [_container("model", "model:1", hpaSpec={"maxReplicas": 5})]}),
        _of(
            {**_custom(), "componentSpecs": [_container("model", "model:1", kedaSpec={"triggers": [{"type": "cpu"}]})]}
        ),
    ),
    "resources of a container": (
        _of(_custom()),
        _of({**_custom(), "componentSpecs": [_with_resources("model", {"requests": {"cpu": "2"}})]}),
    ),
    "one predictor to two and back": (
        _of({**_custom(), "traffic": 60}, {**_custom(), "name": "p2", "traffic": 40}),
        _of(_custom()),
    ),
    "REST to gRPC": (_of(_custom()), _of(_custom(), transport="grpc")),
    "graph of other nodes": (_of(_chain("a", "b")), _of(_chain("b", "c"))),
    "shadow added": (_of(_custom()), _of(_custom(), {**_custom(), "name": "shadow", "shadow": True})),
    "protocol": (_of(_custom()), _of(_custom(), protocol="v2")),
    "engine to its own pod (the selector changes, #4359)": (
        _of(_custom()),
        _of(_custom(), annotations={"seldon.io/engine-separate-pod": "true"}),
    ),
    "engine back into the pod": (
        _of(_custom(), annotations={"seldon.io/engine-separate-pod": "true"}),
        _of(_custom()),
    ),
    "node renamed under a fixed Deployment name (the selector changes)": (
        _of(_named_component("a")),
        _of(_named_component("b")),
    ),
    "service name": (_of(_custom()), _of(_custom(annotations={"seldon.io/svc-name": "mine"}))),
    "version label": (_of(_custom(replicas=3)), _of(_custom(replicas=3, labels={"version": "v2"}))),
    "engine goes": (_of(_custom()), _of(_custom(annotations={"seldon.io/no-engine": "true"}))),
    "engine comes": (_of(_custom(annotations={"seldon.io/no-engine": "true"})), _of(_custom())),
    "port of a model without an engine": (_of(_plain(9000)), _of(_plain(9100))),
    "engine comes to a model at a port of its own": (_of(_plain(9100)), _of(_custom())),
    "port of an explainer": (
        _of(_custom(explainer={"type": "AnchorTabular"})),
        _of(_custom(explainer={"type": "AnchorTabular", "endpoint": {"service_port": 9200}})),
    ),
    "another explainer at another port": (
        _of(_custom(explainer={"type": "AnchorTabular"})),
        _of(_custom(explainer={"type": "KernelShap", "endpoint": {"service_port": 9300}}), protocol="v2"),
    ),
    "replicas": (_of(_custom(replicas=1)), _of(_custom(replicas=4))),
    "autoscaler added": (
        _of(_custom(replicas=3)),
        _of({**_custom(), "componentSpecs": [_container("model", "model:1", hpaSpec={"maxReplicas": 5})]}),
    ),
}


@pytest.mark.parametrize(("before", "after"), UPDATES.values(), ids=UPDATES.keys())
def test_an_update_never_leaves_a_request_without_a_pod(
    world: Any, subject_for: Read, before: dict[str, Any], after: dict[str, Any]
) -> None:
    world.converge(subject_for(before))
    world.served = world.answers
    status = world.converge(subject_for(after))
    assert status.state == "Available"


KEDA = {"kedaSpec": {"triggers": [{"type": "cpu"}]}}
MAIN = _custom(traffic=100)
ADDITIONS = {
    "canary": _of({**MAIN, "traffic": 90}, {**_custom(image="model:2"), "name": "canary", "traffic": 10}),
    "traffic of two": _of({**MAIN, "traffic": 40}, {**_custom(image="model:2"), "name": "canary", "traffic": 60}),
    "shadow": _of(MAIN, {**_custom(image="model:2"), "name": "shadow", "shadow": True}),
    "explainer": _of({**MAIN, "explainer": {"type": "AnchorTabular"}}),
    "replicas": _of({**MAIN, "replicas": 3}),
    "replicas of all": _of(MAIN, replicas=2),
    "autoscaler": _of({**MAIN, "componentSpecs": [_container("model", "model:1", hpaSpec={"maxReplicas": 5})]}),
    "autoscaler of KEDA": _of({**MAIN, "componentSpecs": [_container("model", "model:1", **KEDA)]}),
    "disruption budget": _of({**MAIN, "componentSpecs": [_container("model", "model:1", pdbSpec={"minAvailable": 1})]}),
    "deadline": _of({**MAIN, "progressDeadlineSeconds": 60}),
}


@pytest.mark.parametrize("after", ADDITIONS.values(), ids=ADDITIONS.keys())
def test_what_is_added_never_restarts_a_running_pod(world: Any, subject_for: Read, after: dict[str, Any]) -> None:
    world.converge(subject_for(_of(MAIN)))
    running = set(world.pods)
    world.served = world.answers
    assert world.converge(subject_for(after)).state == "Available"
    assert running
    assert running <= set(world.pods)


def _web(port: int) -> dict[str, Any]:
    raw = _plain(port)
    raw["componentSpecs"][0]["spec"]["containers"][0]["ports"][0]["name"] = "web"
    return raw


@pytest.mark.parametrize(
    ("before", "after"),
    [(_web(9000), _plain(9100)), (_custom(), _plain(9100))],
    ids=["a port of another name", "engine goes, and the model gets a port of its own"],
)
def test_where_nothing_leads_to_old_and_new_pods_alike_a_moment_without_an_answer_is_better_than_no_update(
    world: Any, subject_for: Read, before: dict[str, Any], after: dict[str, Any]
) -> None:
    world.converge(subject_for(_of(before)))
    assert world.converge(subject_for(_of(after))).state == "Available"


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_ports_that_change_again_before_the_first_change_is_done_stay_until_it_is(
    world: Any, subject_for: Read, passes: int
) -> None:
    world.converge(subject_for(_of(_plain(9000))))
    world.served = world.answers
    for port in (9100, 9200, 9300):
        for _ in range(passes):
            world.step(subject_for(_of(_plain(port))))
            world.settle()
    assert world.converge(subject_for(_of(_plain(9300)))).state == "Available"
    ports = [(each["name"], each["port"]) for each in world.objects["Service", "iris-default"]["spec"]["ports"]]
    assert [number for _, number in ports] == [9300, 9500]


SHAPES = [_chain(*each) for each in ("a", "ab", "abc", "bc", "cba", "ca", "b")]


@pytest.mark.parametrize("apart", ["false", "true"], ids=["engine in the pod", "engine apart"])
@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[::-1]], ids=["there", "back"])
def test_graphs_that_follow_each_other_before_the_old_ones_have_drained_lose_no_request(
    world: Any, subject_for: Read, apart: str, shapes: list[dict[str, Any]]
) -> None:
    """Orchestrators of three graphs run at a time, and ask a node at three ports."""
    subjects = [subject_for(_of(each, annotations={"seldon.io/engine-separate-pod": apart})) for each in shapes]
    world.converge(subjects[0])
    world.served = world.answers
    for subject in subjects[1:]:
        world.step(subject)
        for _ in range(20):
            world.settle()
            if world.status(subject).state == "Available":
                break
            world.step(subject)
        assert world.status(subject).state == "Available"
    world.converge(subjects[-1])
    desired, _, _ = world.plan(subjects[-1])
    assert set(world.objects) == {(each["kind"], each["metadata"]["name"]) for each in desired.objects()}


@pytest.mark.parametrize(("before", "after"), UPDATES.values(), ids=UPDATES.keys())
def test_an_update_leaves_nothing_behind(
    world: Any, subject_for: Read, before: dict[str, Any], after: dict[str, Any]
) -> None:
    world.converge(subject_for(before))
    world.converge(subject_for(after))
    desired, _, plan = world.plan(subject_for(after))
    assert set(world.objects) == {(each["kind"], each["metadata"]["name"]) for each in desired.objects()}
    assert plan.actions == ()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(update=st.sampled_from(sorted(UPDATES)), crashes=st.lists(st.integers(0, 3), max_size=12))
def test_a_controller_that_dies_after_any_write_goes_on_and_leaks_nothing(
    subject_for: Read, world: Any, update: str, crashes: list[int]
) -> None:
    before, after = UPDATES[update]
    world = type(world)()
    world.converge(subject_for(before))
    world.served = world.answers
    for limit in crashes:
        world.step(subject_for(after), limit=limit)
        world.settle()
        world.wait(4)
    world.converge(subject_for(after))
    desired, _, _ = world.plan(subject_for(after))
    assert set(world.objects) == {(each["kind"], each["metadata"]["name"]) for each in desired.objects()}
