"""Updates of SeldonDeployments under continuous traffic through Envoy: every reply is accounted for, step by step."""

from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from e2e.updating import (
    APART,
    FIRST,
    KEDA,
    SECOND,
    SELDON,
    SERVER,
    Caller,
    component,
    predictor,
    replace,
    sdep,
    under_traffic,
)

pytestmark = pytest.mark.long


@pytest.fixture
def story(world, kube) -> Iterator[Any]:
    kube.core.create_namespaced_config_map(
        kube.namespace, {"metadata": {"name": "code"}, "data": {"server.py": SERVER}}
    )
    return lambda spec: under_traffic(kube, Caller(f"{world.gateway_url}/seldon/{kube.namespace}/model"), spec)


def test_who_asks_as_soon_as_it_is_available_is_answered(world, kube) -> None:
    """As after `kubectl wait`: where the mesh says when it has a first route, nobody gets a 404 from then on."""
    if world.faults is None:
        pytest.skip("the mesh of a real cluster may not say when it has a route")
    graph = {"name": "model", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
    for number in range(8):
        body = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment"}
        spec = sdep({"name": "default", "graph": graph})
        kube.write({**body, "metadata": {"name": f"model-{number}"}, "spec": spec}, **SELDON)
    watched, answers = set(range(8)), {}
    while watched:
        for number in sorted(watched):
            if kube.status(f"model-{number}", **SELDON).get("state") == "Available":
                answers[number] = Caller(f"{world.gateway_url}/seldon/{kube.namespace}/model-{number}").is_answered()
                watched.remove(number)
    assert set(answers.values()) == {True}


@pytest.mark.parametrize("annotations", [{}, APART], ids=["engine in the pod", "engine apart"])
def test_workloads_are_edited_without_a_failed_request(story, annotations) -> None:
    """The rolling updates that Seldon Core tests, and those that it skips as broken (#3857)."""

    def of(*predictors: dict[str, Any]) -> dict[str, Any]:
        return sdep(*predictors, annotations=annotations)

    two = {"container": {"resources": {"requests": {"cpu": "20m"}}}}
    with story(of(predictor(component()))) as edited:
        edited.keeps(of(predictor(component())), "an older version of the API", version="v1alpha2")
        edited.keeps(of(predictor(component())), "another", version="v1alpha3")
        edited.apply(of(predictor(component(values=SECOND, tag="2"))), "image", answers=SECOND)
        edited.apply(of(predictor(component(values=SECOND, tag="2", **two))), "resources")
        edited.apply(of(predictor(component("other", FIRST))), "image and container's name", answers=FIRST)
        edited.apply(of(predictor(component("other", FIRST), component("last", SECOND))), "a chain", answers=SECOND)
        edited.apply(of(predictor(component())), "one node again", answers=FIRST)
        both = predictor(component(), name="p1", traffic=60), predictor(component(), name="p2", traffic=40)
        edited.apply(of(*both), "one predictor to two")
        edited.apply(of(predictor(component(values=SECOND))), "two to one", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: not any("p1" in name for name in edited.deployments()))
        edited.more("after the old ones went")


def test_a_controller_that_is_replaced_in_the_middle_of_edits_fails_no_request(story, world) -> None:
    if world.faults is None or "controller" not in world.faults.names():
        pytest.skip("the controller is not ours to kill")

    def kill() -> None:
        world.faults.kill("controller")

    second, other = component(values=SECOND, tag="2"), component("other", FIRST)
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(second)), "image", answers=SECOND, meanwhile=kill)
        edited.apply(sdep(predictor(second, other)), "a chain", answers=FIRST, meanwhile=kill)
        edited.apply(sdep(predictor(second, name="p1")), "another predictor", answers=SECOND, meanwhile=kill)
        edited.kube.until("what was replaced is gone", lambda: edited.deployments() == {"model-p1-0-model"})
        edited.more("after the old ones went")


def test_replicas_are_edited_without_a_failed_request(story) -> None:
    with story(sdep(predictor(component()))) as edited:
        edited.keeps(sdep(predictor(component(), replicas=3)), "more replicas")
        edited.apply(sdep(predictor(component(values=SECOND, tag="2"), replicas=3)), "image of three", answers=SECOND)
        edited.apply(sdep(predictor(component(values=SECOND, tag="2"), replicas=1)), "fewer replicas", answers=SECOND)
        edited.apply(sdep(predictor(component(tag="3"), replicas=2)), "image and replicas", answers=FIRST)


def test_what_keda_scales_is_left_to_it_without_a_failed_request(story, api) -> None:
    """The test plays KEDA's autoscaler, which writes a Deployment's scale."""
    scales, name = kubernetes.client.AppsV1Api(api), "model-default-0-model"
    with story(sdep(predictor({**component(), **KEDA}, replicas=2))) as edited:

        def told() -> bool:
            found = edited.kube.status("model", **SELDON).get("deploymentStatus", {}).get(name, {})
            return (found.get("replicas"), found.get("availableReplicas")) == (number, number)

        for number in (3, 1, 2):
            scale = {"spec": {"replicas": number}}
            scales.patch_namespaced_deployment_scale(name, edited.kube.namespace, scale)
            edited.kube.until(f"{number} pods are told", told)
            edited.more(f"{number} pods")
            assert edited.caller.failures == [], f"{number} pods"
        step = "image of what KEDA has scaled"
        edited.apply(sdep(predictor({**component(values=SECOND, tag="2"), **KEDA}, replicas=1)), step, answers=SECOND)
        assert told()


@pytest.mark.parametrize("annotations", [{}, APART], ids=["engine in the pod", "engine apart"])
def test_a_chain_grows_and_shrinks_without_a_failed_request(story, annotations) -> None:
    """A node in a pod of its own is behind a proxy that takes connections before the node does."""
    first, second, third = component("a", FIRST), component("b", SECOND), component("c", FIRST)
    steps = ((first, second), (first, second, third), (second, third), (third, second, first), (second,))
    with story(sdep(predictor(first), annotations=annotations)) as edited:
        for chain in steps:
            name, last = (chain[-1]["spec"]["containers"][0][key] for key in ("name", "command"))
            step = f"{len(chain)} nodes, the last is {name}"
            edited.apply(sdep(predictor(*chain), annotations=annotations), step, answers=last[-1])


def test_predictors_come_and_go_and_the_running_one_is_not_restarted(story) -> None:
    main, canary = component(), component(values=SECOND, tag="2")
    explainer = {
        "type": "AnchorTabular",
        "containerSpec": {
            "name": "why", "image": "busybox:1",
            "command": ["sh", "-c", 'exec python3 -m http.server 9000 --bind "$SELDON_BIND_ADDRESS"'],
        },
    }  # fmt: skip
    scaled = {"hpaSpec": {"minReplicas": 1, "maxReplicas": 3}}
    with story(sdep(predictor(main))) as edited:
        both = predictor(main, traffic=80), predictor(canary, name="canary", traffic=20)
        edited.keeps(sdep(*both), "canary added")
        moved = {**both[0], "traffic": 30}, {**both[1], "traffic": 70}
        edited.keeps(sdep(*moved), "traffic moved")
        edited.keeps(sdep({**moved[0], "replicas": 2}, moved[1]), "replicas of one")
        edited.apply(sdep(predictor(main)), "the canary is gone", answers=FIRST)
        shadow = predictor(canary, name="shadow", shadow=True, traffic=100)
        edited.keeps(sdep(predictor(main), shadow), "shadow added", answers=FIRST)
        edited.keeps(sdep(predictor(main, explainer=explainer)), "explainer added", answers=FIRST)
        edited.keeps(sdep(predictor({**main, **scaled}, explainer=explainer)), "autoscaler added", answers=FIRST)
        edited.keeps(sdep(predictor({**main, **KEDA})), "KEDA added, explainer gone", answers=FIRST)
        renamed = predictor(main, name="p1", traffic=60), predictor(canary, name="p2", traffic=40)
        edited.apply(sdep(*renamed), "one predictor to two others (#3857)")
        edited.apply(sdep({**renamed[1], "traffic": 100}), "two to one", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: edited.deployments() == {"model-p2-0-model"})
        edited.more("after the old ones went")


def test_a_change_of_protocol_ends_one_and_begins_the_other_without_a_gap(story, kube) -> None:
    """Who asks by the old protocol when it is over is told so (404); nobody is ever left without an answer."""
    with story(sdep(predictor(component()))) as edited:
        replace(
            kube,
            {
                "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "model"},
                "spec": sdep(predictor(component(values=SECOND)), protocol="v2"),
            },
            "v1",
        )  # fmt: skip
        kube.until("it is available", edited.available)
        edited.caller.protocol = "v2"
        edited.more("the new protocol")
        refused = {each.split()[1] for each in edited.caller.failures}
        edited.caller.failures.clear()
        edited.more("the new protocol, alone")
        assert refused <= {"404"}
        assert edited.caller.failures == []
        assert edited.caller.replies[200, SECOND] > 50


def test_selectors_and_ports_change_without_a_failed_request(story) -> None:
    fixed = {"metadata": {"name": "fixed"}}
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(component()), annotations=APART), "engine apart")
        edited.apply(sdep(predictor(component(values=SECOND))), "engine back, other answers", answers=SECOND)
        edited.apply(sdep(predictor(component(), annotations={"seldon.io/svc-name": "mine"})), "service name")
        edited.apply(sdep(predictor(component("a", **fixed))), "a fixed name", answers=FIRST)
        edited.apply(sdep(predictor(component("b", SECOND, **fixed))), "another node, same name", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: len(edited.deployments()) == 1)
        edited.more("after the old ones went")


def test_engines_go_and_ports_change_without_a_failed_request(story) -> None:
    """Without an engine the users ask the node itself, at its own path: here it answers at every path."""
    plain = {"seldon.io/no-engine": "true"}
    moved = {"container": {"ports": [{"name": "http", "containerPort": 9100}]}}
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(component(values=SECOND), annotations=plain)), "engine gone", answers=SECOND)
        edited.apply(sdep(predictor(component(**moved), annotations=plain)), "another port", answers=FIRST)
        edited.apply(sdep(predictor(component(values=SECOND))), "engine back", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: len(edited.deployments()) == 1)
        edited.more("after the old ones went")
