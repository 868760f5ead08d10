"""Explainers: what they are told, how they are reached, and that nothing waits for them but their own route."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.configuration import Configuration, with_config_map
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]
NAME = "iris-default-explainer"


def _explained(make_model: Make, explainer: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    raw = make_model(**spec)
    raw["spec"]["predictors"][0]["explainer"] = explainer or {"type": "AnchorTabular"}
    return raw


def _found(raw: dict[str, Any], subject_for: Read, kind: str, configuration: Configuration | None = None) -> Any:
    configuration = configuration or Configuration()
    found = render(subject_for(raw, configuration), configuration).objects()
    return [each for each in found if each["kind"] == kind and each["metadata"]["name"].startswith(NAME)]


def _container(raw: dict[str, Any], subject_for: Read, configuration: Configuration | None = None) -> dict[str, Any]:
    (deployment,) = _found(raw, subject_for, "Deployment", configuration)
    return deployment["spec"]["template"]["spec"]["containers"][0]


def test_an_explainer_of_the_seldon_protocol_gets_upstreams_arguments(subject_for: Read, make_model: Make) -> None:
    config = {"b": "gs://e/x.csv", "a": "1"}
    raw = _explained(make_model, {"type": "AnchorImages", "modelUri": "gs://e", "config": config})
    assert _container(raw, subject_for)["args"] == [
        "--model_name=classifier",
        "--predictor_host=iris-default.ml:8000",
        "--protocol=seldon.http",
        "--http_port=9000",
        "--storage_uri=/mnt/models",
        "AnchorImages",
        "--tf_data_type=float32",
        "--a=1",
        "--b=/mnt/models/x.csv",
    ]


def test_an_explainer_over_grpc_asks_the_predictor_at_its_grpc_port(subject_for: Read, make_model: Make) -> None:
    raw = _explained(make_model, {"type": "AnchorText", "endpoint": {"type": "GRPC"}})
    assert _container(raw, subject_for)["args"][1:3] == [
        "--predictor_host=iris-default.ml:5001",
        "--protocol=seldon.grpc",
    ]


def test_an_explainer_of_the_v2_protocol_is_mlserver(subject_for: Read, make_model: Make) -> None:
    raw = _explained(make_model, {"type": "TreeShap", "initParameters": '{"seed": 1}'}, protocol="kfserving")
    container = _container(raw, subject_for)
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["MLSERVER_MODEL_NAME"] == container["name"] == NAME
    assert json.loads(env["MLSERVER_MODEL_EXTRA"]) == {
        "explainer_type": "tree_shap",
        "infer_uri": "http://iris-default.ml:8000/v2/models/classifier/infer",
        "init_parameters": {"seed": 1},
    }


@pytest.mark.parametrize(("protocol", "key"), [("seldon", "image"), ("v2", "image_v2")])
def test_the_config_map_names_the_explainers_images(
    subject_for: Read, make_model: Make, protocol: str, key: str
) -> None:
    data = {"explainer": json.dumps({"image": "mine:1", "image_v2": "mine:2", key: "chosen:1"})}
    configuration = with_config_map(Configuration(), data)
    assert _container(_explained(make_model, protocol=protocol), subject_for, configuration)["image"] == "chosen:1"


def test_what_the_user_says_of_the_container_wins(subject_for: Read, make_model: Make) -> None:
    spec = {"image": "mine:3", "args": ["--all"], "ports": [{"name": "http", "containerPort": 7000}]}
    raw = _explained(make_model, {"type": "ALE", "containerSpec": spec})
    container = _container(raw, subject_for)
    assert (container["image"], container["args"]) == ("mine:3", ["--all"])
    (service,) = _found(raw, subject_for, "Service")
    assert [each["port"] for each in service["spec"]["ports"]] == [7000]


def test_an_explainer_is_downloaded_as_it_says_and_runs_as_its_account(subject_for: Read, make_model: Make) -> None:
    access = {"serviceAccountName": "reader", "envSecretRefName": "keys", "storageInitializerImage": "fetch:2"}
    raw = _explained(make_model, {"type": "ALE", "modelUri": "gs://e", "replicas": 3, **access})
    (deployment,) = _found(raw, subject_for, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (init,) = pod["initContainers"]
    assert (deployment["spec"]["replicas"], pod["serviceAccountName"]) == (3, "reader")
    assert (init["image"], init["args"], init["envFrom"]) == (
        "fetch:2",
        ["gs://e", "/mnt/models"],
        [{"secretRef": {"name": "keys"}}],
    )


def test_fixed_an_explainers_route_takes_the_hosts_of_its_deployment(subject_for: Read, make_model: Make) -> None:
    raw = _explained(make_model, annotations={"seldon.io/istio-host": "a.example,b.example"})
    (route,) = _found(raw, subject_for, "VirtualService")
    assert route["metadata"]["name"] == f"{NAME}-http"
    assert route["spec"]["hosts"] == ["a.example", "b.example"]
    assert route["spec"]["http"][0]["match"] == [{"uri": {"prefix": "/seldon/ml/iris-explainer/default/"}}]


def test_at_the_gateway_mesh_an_explainer_has_a_host_of_its_own(subject_for: Read, make_model: Make) -> None:
    notes = {"seldon.io/istio-gateway": "mesh", "seldon.io/istio-host": "iris-default"}
    (route,) = _found(_explained(make_model, annotations=notes), subject_for, "VirtualService")
    assert route["spec"]["hosts"] == [f"{NAME}.ml.svc.cluster.local"]


def test_fixed_adding_an_explainer_does_not_restart_the_predictor(subject_for: Read, make_model: Make) -> None:
    before = render(subject_for(make_model()), Configuration()).objects()
    after = render(subject_for(_explained(make_model)), Configuration()).objects()
    assert [each for each in after if not each["metadata"]["name"].startswith(NAME)] == list(before)


@pytest.mark.parametrize("where", ["predictor", "spec"])
def test_a_predictor_without_pods_has_no_explainer(subject_for: Read, make_model: Make, where: str) -> None:
    raw = _explained(make_model, {"type": "ALE", "replicas": 3})
    holder = raw["spec"]["predictors"][0] if where == "predictor" else raw["spec"]
    holder["replicas"] = 0
    (deployment,) = _found(raw, subject_for, "Deployment")
    assert deployment["spec"]["replicas"] == 0


def test_an_explainer_without_a_type_is_none(subject_for: Read, make_model: Make) -> None:
    assert _found(_explained(make_model, {"type": "", "modelUri": "gs://e"}), subject_for, "Deployment") == []


def test_an_explainer_that_does_not_start_holds_up_no_route_but_its_own(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.broken = {"seldonio/alibiexplainer:1.17.1"}
    subject = subject_for(_explained(make_model))
    for _ in range(4):
        world.step(subject)
        world.settle()
    assert ("VirtualService", "iris") in world.objects
    assert ("VirtualService", f"{NAME}-http") not in world.objects
    status = world.status(subject)
    assert (status.state, status.ready_predictors) == ("Creating", "1/1")
    assert f"Deployment {NAME}" in status.description


def test_the_status_says_whom_an_explainer_explains(world: Any, subject_for: Read, make_model: Make) -> None:
    status = world.converge(subject_for(_explained(make_model)))
    assert status.state == "Available"
    assert status.deployment_status[NAME].explainer_for == "iris-default"
    assert status.service_status[NAME].explainer_for == "iris-default"
    assert status.service_status[NAME].http_endpoint == f"{NAME}.ml:9000"


def test_the_stable_revision_of_a_rollout_keeps_its_explainer_and_gives_up_its_route(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    raw = _explained(make_model)
    world.converge(subject_for(raw))
    raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "stable"}
    world.converge(subject_for(raw))
    kinds = {kind for kind, name in world.objects if name.startswith(NAME)}
    assert kinds == {"Service", "Deployment", "DestinationRule"}


@pytest.mark.parametrize(
    ("explainer", "spec", "said"),
    [
        ({"type": "Tarot"}, {"protocol": "v2"}, "spec.predictors[0].explainer.type: 'Tarot'"),
        ({"type": "ALE", "initParameters": "[1]"}, {"protocol": "v2"}, "explainer.initParameters: '[1]'"),
        ({"type": "ALE", "initParameters": "{}"}, {}, "expected nothing: config gives arguments"),
        ({"type": "ALE", "containerSpec": {"env": [{"value": "1"}]}}, {}, "containerSpec.env[0].name: None"),
    ],
)
def test_an_explainer_that_cannot_be_is_refused_with_field_and_value(
    make_model: Make, explainer: dict[str, Any], spec: dict[str, Any], said: str
) -> None:
    subject = parse(_explained(make_model, explainer, **spec))
    assert isinstance(subject, Subject)
    assert said in "; ".join(map(str, check(subject, Configuration())))
