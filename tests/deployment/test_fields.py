"""Fields and annotations, one by one: what each changes of what is rendered, where no sample shows it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.advice import advise
from controller.deployment.configuration import Configuration
from controller.deployment.render import render
from controller.deployment.subject import Subject

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]
POD = ("spec", "template", "spec")


def _objects(
    raw: dict[str, Any], subject_for: Read, configuration: Configuration | None = None
) -> dict[str, list[dict[str, Any]]]:
    configuration = configuration or Configuration()
    found: dict[str, list[dict[str, Any]]] = {}
    for each in render(subject_for(raw, configuration), configuration).objects():
        found.setdefault(each["kind"], []).append(each)
    return found


def _pod(raw: dict[str, Any], subject_for: Read, configuration: Configuration | None = None) -> dict[str, Any]:
    done: dict[str, Any] = _objects(raw, subject_for, configuration)["Deployment"][0]["spec"]["template"]["spec"]
    return done


def _engine(pod: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in pod["containers"] if each["name"] == "seldon-container-engine")


def _own(**container: Any) -> dict[str, Any]:
    """A predictor with a container of the user's own."""
    return {
        "name": "default",
        "graph": {"name": "m"},
        "componentSpecs": [{"spec": {"containers": [{"name": "m", "image": "i", **container}]}}],
    }


@pytest.mark.parametrize(
    ("component", "predictor", "deployment", "expected"),
    [(1, 2, 3, 1), (None, 2, 3, 2), (None, None, 3, 3), (None, None, None, None), (0, 2, 3, 0)],
)
def test_replicas_are_the_components_else_the_predictors_else_the_seldondeployments(
    make_model: Make,
    subject_for: Read,
    component: int | None,
    predictor: int | None,
    deployment: int | None,
    expected: Any,
) -> None:
    raw = make_model(replicas=deployment)
    raw["spec"]["replicas"] = deployment
    raw["spec"]["predictors"] = [_own() | {"replicas": predictor}]
    raw["spec"]["predictors"][0]["componentSpecs"][0]["replicas"] = component
    found = _objects(raw, subject_for)["Deployment"][0]
    assert found["spec"].get("replicas") == expected


def test_annotations_of_each_level_reach_the_pods_and_the_nearer_one_wins(make_model: Make, subject_for: Read) -> None:
    raw = make_model(annotations={"a": "spec", "b": "spec", "c": "spec"})
    own = _own() | {"annotations": {"b": "predictor", "c": "predictor"}}
    own["componentSpecs"][0]["metadata"] = {"annotations": {"c": "component"}, "labels": {"tier": "gold"}}
    raw["spec"]["predictors"] = [own]
    found = _objects(raw, subject_for)
    for metadata in (found["Deployment"][0]["metadata"], found["Deployment"][0]["spec"]["template"]["metadata"]):
        assert {key: metadata["annotations"][key] for key in "abc"} == {"a": "spec", "b": "predictor", "c": "component"}
        assert metadata["labels"]["tier"] == "gold"
    service = next(each for each in found["Service"] if each["metadata"]["name"] == "iris-default")
    assert {key: service["metadata"]["annotations"].get(key) for key in "abc"} == {
        "a": None,
        "b": "predictor",
        "c": "predictor",
    }


@pytest.mark.parametrize("path", [("spec", "name"), ("spec", "oauth_key"), ("spec", "oauth_secret")])
def test_what_is_deprecated_changes_nothing(make_model: Make, subject_for: Read, path: tuple[str, str]) -> None:
    raw = make_model()
    before = _objects(copy.deepcopy(raw), subject_for)
    raw[path[0]][path[1]] = "other"
    assert _objects(raw, subject_for) == before
    assert bool(advise(subject_for(raw))) == path[1].startswith("oauth")


def test_engine_resources_of_old_are_ignored_and_those_of_svcorchspec_are_taken(
    make_model: Make, subject_for: Read
) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0]["engineResources"] = {"requests": {"cpu": "7"}}
    usual = {"cpu": "500m", "memory": "512Mi"}
    assert _engine(_pod(raw, subject_for))["resources"] == {"requests": usual, "limits": usual}
    raw["spec"]["predictors"][0]["svcOrchSpec"] = {"resources": {"requests": {"cpu": "1"}}}
    assert _engine(_pod(raw, subject_for))["resources"] == {"requests": {"cpu": "1"}}


@pytest.mark.parametrize("place", ["spec", "metadata"])
def test_switches_are_read_in_the_spec_and_in_the_metadata(make_model: Make, subject_for: Read, place: str) -> None:
    raw = make_model()
    raw[place]["annotations"] = {
        "seldon.io/istio-gateway": "edge/front",
        "seldon.io/istio-host": "a.example.com, b.example.com",
        "seldon.io/istio-retries": "3",
        "seldon.io/istio-retries-timeout": "7",
        "seldon.io/executor-logger-queue-size": "11",
        "seldon.io/executor-logger-write-timeout-ms": "12",
        "seldon.io/headless-svc": "true",
    }
    found = _objects(raw, subject_for)
    route = found["VirtualService"][0]["spec"]
    assert (route["gateways"], route["hosts"]) == (["edge/front"], ["a.example.com", "b.example.com"])
    wanted = {"attempts": 3, "perTryTimeout": "7s", "retryOn": "gateway-error,connect-failure,refused-stream"}
    assert [each["retries"] for each in route["http"]] == [wanted, wanted]
    args = _engine(found["Deployment"][0]["spec"]["template"]["spec"])["args"]
    flags = dict(zip(args[::2], args[1::2], strict=False))
    assert (flags["--log_work_buffer_size"], flags["--log_write_timeout_ms"]) == ("11", "12")
    services = {each["metadata"]["name"]: each["spec"].get("clusterIP") for each in found["Service"]}
    assert services["iris-default"] == "None"


@pytest.mark.parametrize(("place", "apart"), [("spec", True), ("metadata", False)])
def test_an_engine_apart_is_asked_for_in_the_spec_alone(
    make_model: Make, subject_for: Read, place: str, apart: bool
) -> None:
    raw = make_model()
    raw[place]["annotations"] = {"seldon.io/engine-separate-pod": "true"}
    names = [each["metadata"]["name"] for each in _objects(raw, subject_for)["Deployment"]]
    assert ("iris-default-svc-orch" in names) == apart


def test_time_outs_and_sizes_are_in_the_file_that_the_pods_read(make_model: Make, subject_for: Read) -> None:
    notes = {"seldon.io/rest-timeout": "1", "seldon.io/grpc-timeout": "2", "seldon.io/grpc-max-message-size": "3"}
    deployment = _objects(make_model(annotations=notes), subject_for)["Deployment"][0]
    assert notes.items() <= deployment["spec"]["template"]["metadata"]["annotations"].items()
    volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
    path = volumes["seldon-podinfo"]["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"]
    assert path == "metadata.annotations"


def test_what_the_user_says_of_a_nodes_container_wins(make_model: Make, subject_for: Read) -> None:
    probe = {"exec": {"command": ["true"]}}
    mounts = [{"name": "podinfo", "mountPath": "/etc/podinfo"}, {"name": "data", "mountPath": "/data"}]
    given = {
        "livenessProbe": probe,
        "readinessProbe": probe,
        "lifecycle": {"preStop": probe},
        "imagePullPolicy": "Always",
        "volumeMounts": mounts,
        "env": [{"name": "MLSERVER_HTTP_PORT", "value": "1"}, {"name": "PREDICTIVE_UNIT_ID", "value": "other"}],
    }
    raw = make_model()
    raw["spec"]["predictors"] = [_own(**given)]
    container = _pod(raw, subject_for)["containers"][0]
    kept = ("livenessProbe", "readinessProbe", "lifecycle", "imagePullPolicy")
    assert {key: container[key] for key in kept} == {key: given[key] for key in kept}
    assert [each["name"] for each in container["volumeMounts"]] == ["data", "seldon-podinfo"]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert (told["MLSERVER_HTTP_PORT"], told["PREDICTIVE_UNIT_ID"]) == ("1", "m")


def test_a_pods_user_and_grace_are_the_users_else_the_operators(make_model: Make, subject_for: Read) -> None:
    raw = make_model()
    raw["spec"]["predictors"] = [_own()]
    pod = _pod(raw, subject_for, Configuration(pod_user=1001))
    assert (pod["securityContext"], pod["terminationGracePeriodSeconds"]) == ({"runAsUser": 1001}, 20)
    raw["spec"]["predictors"][0]["componentSpecs"][0]["spec"] |= {
        "securityContext": {"runAsUser": 5},
        "terminationGracePeriodSeconds": 90,
        "serviceAccountName": "mine",
        "nodeSelector": {"gpu": "yes"},
    }
    pod = _pod(raw, subject_for)
    assert (pod["securityContext"], pod["terminationGracePeriodSeconds"]) == ({"runAsUser": 5}, 90)
    assert (pod["serviceAccountName"], pod["nodeSelector"]) == ("mine", {"gpu": "yes"})


def test_a_certificate_is_in_every_container_of_the_roots_pod_and_nowhere_else(
    make_model: Make, subject_for: Read
) -> None:
    raw = make_model()
    own = _own() | {"ssl": {"certSecretName": "tls"}}
    own["graph"]["children"] = [{"name": "n"}]
    own["componentSpecs"].append({"spec": {"containers": [{"name": "n", "image": "i"}]}})
    raw["spec"]["predictors"] = [own]
    root, other = (each["spec"]["template"]["spec"] for each in _objects(raw, subject_for)["Deployment"])
    for container in root["containers"]:
        assert {"name": "SELDON_CERT_MOUNT_PATH", "value": "/cert/"} in container["env"]
        assert {"name": "seldon-cert-volume", "mountPath": "/cert/", "readOnly": True} in container["volumeMounts"]
    assert {"name": "seldon-cert-volume", "secret": {"secretName": "tls"}} in root["volumes"]
    assert _engine(root)["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert "seldon-cert-volume" not in str(other)


def test_a_name_that_is_too_long_may_begin_with_the_seldondeployments(make_model: Make, subject_for: Read) -> None:
    raw = make_model(name="iris")
    raw["spec"]["predictors"] = [_own()]
    raw["spec"]["predictors"][0]["componentSpecs"][0]["metadata"] = {"name": "x" * 60}
    usual, prefixed = (
        _objects(raw, subject_for, Configuration(deployment_name_as_prefix=each))["Deployment"][0]["metadata"]["name"]
        for each in (False, True)
    )
    assert (usual[:7], prefixed[:5]) == ("seldon-", "iris-")
    assert usual.removeprefix("seldon-") == prefixed.removeprefix("iris-")


def test_a_shadow_has_its_label_and_a_rule_of_its_own(make_model: Make, subject_for: Read) -> None:
    raw = make_model()
    first = raw["spec"]["predictors"][0]
    raw["spec"]["predictors"] = [first, {**first, "name": "dark", "shadow": True}]
    found = _objects(raw, subject_for)
    labels = [each["spec"]["template"]["metadata"]["labels"].get("seldon.io/shadow") for each in found["Deployment"]]
    assert labels == [None, "true"]
    assert [each["metadata"]["name"] for each in found["DestinationRule"]] == ["iris-default", "iris-dark"]


def test_two_models_of_tensorflow_serving_in_one_pod_have_a_server_each(make_model: Make, subject_for: Read) -> None:
    """Upstream has room for one (#4146): both proxies ask the same server."""
    raw = make_model()
    server = {"implementation": "TENSORFLOW_SERVER"}
    graph = {"name": "a", **server, "modelUri": "gs://a", "children": [{"name": "b", **server, "modelUri": "gs://b"}]}
    raw["spec"]["predictors"][0]["graph"] = graph
    pod = _pod(raw, subject_for)
    containers = {each["name"]: each for each in pod["containers"]}
    assert list(containers) == ["a", "b", "tfserving", "tfserving-b", "seldon-container-engine"]
    ports = {
        name: [port["containerPort"] for port in containers[name]["ports"]] for name in ("tfserving", "tfserving-b")
    }
    assert ports == {"tfserving": [2000, 2001], "tfserving-b": [2002, 2003]}
    assert containers["tfserving-b"]["args"][1:4] == ["--port=2002", "--rest_api_port=2003", "--model_name=b"]
    told = {name: {each["name"]: each.get("value") for each in containers[name]["env"]} for name in "ab"}
    assert "http://0.0.0.0:2001" in str(told["a"]["PREDICTIVE_UNIT_PARAMETERS"])
    assert "http://0.0.0.0:2003" in str(told["b"]["PREDICTIVE_UNIT_PARAMETERS"])
    downloads = {each["name"]: each["args"][0] for each in pod["initContainers"]}
    assert downloads == {"tfserving-model-initializer": "gs://a", "tfserving-b-model-initializer": "gs://b"}
