"""Rendering: each fixed defect of Seldon Core v1 by name, and what must not change a pod."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.deployment.configuration import ConfigMapError, Configuration, with_config_map
from controller.deployment.render import render
from controller.deployment.render.autoscalers import converted
from controller.deployment.subject import Subject

Read = Callable[..., Subject]
Make = Callable[..., dict[str, Any]]
CONFIGURATION = Configuration()


def _sample(name: str) -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "samples" / f"{name}.yaml").read_text())


def _objects(subject: Subject, kind: str = "", configuration: Configuration = CONFIGURATION) -> list[dict[str, Any]]:
    return [each for each in render(subject, configuration).objects() if not kind or each["kind"] == kind]


def _engine(deployment: dict[str, Any]) -> dict[str, Any]:
    found = deployment["spec"]["template"]["spec"]["containers"]
    return next(each for each in found if each["name"] == "seldon-container-engine")


def test_rendering_twice_gives_the_same_bytes(sample: Path, subject_for: Read) -> None:
    raw = yaml.safe_load(sample.read_text())
    first, second = (render(subject_for(copy.deepcopy(raw)), CONFIGURATION).objects() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_everything_is_owned_and_labelled(sample: Path, subject_for: Read) -> None:
    subject = subject_for(yaml.safe_load(sample.read_text()))
    for each in _objects(subject):
        assert each["metadata"]["labels"]["seldon-deployment-id"] == subject.name
        assert each["metadata"]["ownerReferences"] == [subject.owner_reference]


def test_keyed_lists_have_each_key_once_as_server_side_apply_needs(sample: Path, subject_for: Read) -> None:
    for deployment in _objects(subject_for(yaml.safe_load(sample.read_text())), "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        lists = [[each["name"] for each in pod["containers"]], [each["name"] for each in pod["volumes"]]]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            lists.append([each["name"] for each in container.get("env", ())])
            lists.append([each["mountPath"] for each in container.get("volumeMounts", ())])
            lists.append([each["containerPort"] for each in container.get("ports", ())])
        assert all(len(set(names)) == len(names) for names in lists)


def test_what_a_container_mounts_is_a_volume_of_its_pod(sample: Path, subject_for: Read) -> None:
    for each in _objects(subject_for(yaml.safe_load(sample.read_text())), "Deployment"):
        pod = each["spec"]["template"]["spec"]
        mounts = [
            one["name"]
            for name in ("initContainers", "containers")
            for container in pod.get(name, ())
            for one in container.get("volumeMounts", ())
        ]
        assert set(mounts) <= {one["name"] for one in pod["volumes"]}, each["metadata"]["name"]


def test_what_a_person_wrote_is_not_changed_by_rendering(sample: Path, subject_for: Read) -> None:
    raw = yaml.safe_load(sample.read_text())
    before = copy.deepcopy(raw)
    render(subject_for(raw), CONFIGURATION)
    assert raw == before


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    traffic=st.integers(0, 100),
    replicas=st.integers(0, 5),
    component=st.none() | st.integers(0, 5),
    labels=st.dictionaries(st.sampled_from(["rollouts.seldon.io/role", "a"]), st.sampled_from(["canary", "x"])),
    minimum=st.integers(1, 3),
)
def test_traffic_replicas_autoscalers_and_metadata_never_change_a_pod(
    subject_for: Read, traffic: int, replicas: int, component: int | None, labels: dict[str, str], minimum: int
) -> None:
    def templates(raw: dict[str, Any]) -> list[Any]:
        return [each["spec"]["template"] for each in _objects(subject_for(raw), "Deployment")]

    raw = _sample("chain-of-two-deployments")
    other = copy.deepcopy(raw["spec"]["predictors"][0]) | {"name": "canary", "traffic": 50}
    raw["spec"]["predictors"] = [{**raw["spec"]["predictors"][0], "traffic": 50}, other]
    before = templates(raw)
    raw["metadata"] |= {"labels": labels, "annotations": labels, "generation": 2}
    for predictor, share in zip(raw["spec"]["predictors"], (traffic, 100 - traffic), strict=True):
        predictor |= {"traffic": share, "replicas": replicas, "svcOrchSpec": {"replicas": replicas}}
        predictor["componentSpecs"][0]["replicas"] = component
        predictor["componentSpecs"][1]["hpaSpec"] |= {"minReplicas": minimum}
        predictor["componentSpecs"][0]["pdbSpec"] = {"minAvailable": 1}
    assert templates(raw) == before


def test_adding_a_canary_and_a_shadow_does_not_change_the_running_pods(subject_for: Read, make_model: Make) -> None:
    raw = make_model()
    (before,) = _objects(subject_for(raw), "Deployment")
    first = raw["spec"]["predictors"][0]
    canary, shadow = {**first, "name": "canary", "traffic": 10}, {**first, "name": "shadow", "shadow": True}
    raw["spec"]["predictors"] = [{**first, "traffic": 90}, canary, shadow]
    assert _objects(subject_for(raw), "Deployment")[0] == before


def test_engine_predictor_is_base64_json_with_traffic_and_replicas_zero(subject_for: Read) -> None:
    deployment = _objects(subject_for(_sample("single-model")), "Deployment")[0]
    text = next(each["value"] for each in _engine(deployment)["env"] if each["name"] == "ENGINE_PREDICTOR")
    predictor = json.loads(base64.b64decode(text))
    assert (predictor["name"], predictor["traffic"], predictor["replicas"]) == ("default", 0, 0)
    assert predictor["graph"]["endpoint"]["service_host"] == "localhost"
    assert predictor["componentSpecs"][0]["spec"]["containers"][0]["name"] == "classifier"


def test_fixed_budgets_cover_their_own_deployments_only(subject_for: Read) -> None:
    subject = subject_for(_sample("chain-of-two-deployments"))
    selectors = [each["spec"]["selector"] for each in _objects(subject, "PodDisruptionBudget")]
    assert selectors == [each["spec"]["selector"] for each in _objects(subject, "Deployment")]
    assert selectors[0] != selectors[1]


def test_fixed_tls_keeps_the_idle_timeout(subject_for: Read) -> None:
    configuration = Configuration(istio_tls_mode="ISTIO_MUTUAL")
    (rule,) = _objects(subject_for(_sample("single-model")), "DestinationRule", configuration)
    assert rule["spec"]["trafficPolicy"] == {
        "connectionPool": {"http": {"idleTimeout": "60s"}},
        "tls": {"mode": "ISTIO_MUTUAL"},
    }


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("", {"mode": "SIMPLE", "insecureSkipVerify": True}),
        ("ISTIO_MUTUAL", {"mode": "SIMPLE", "insecureSkipVerify": True}),
        ("MUTUAL", {"mode": "MUTUAL"}),
    ],
)
def test_fixed_an_orchestrator_that_serves_tls_is_asked_by_tls(
    make_model: Make, subject_for: Read, mode: str, expected: dict[str, Any]
) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0] |= {"ssl": {"certSecretName": "tls"}, "explainer": {"type": "ALE"}}
    configuration = Configuration(istio_tls_mode=mode)
    predictor, explainer = _objects(subject_for(raw), "DestinationRule", configuration)
    assert predictor["spec"]["trafficPolicy"]["tls"] == expected
    assert explainer["spec"]["trafficPolicy"].get("tls", {}).get("mode", "") == mode


def test_fixed_a_separate_orchestrator_has_the_id_of_its_seldon_deployment(subject_for: Read) -> None:
    engine = _objects(subject_for(_sample("separate-engine")), "Deployment")[-1]
    assert engine["metadata"]["name"] == "apart-default-svc-orch"
    assert engine["spec"]["template"]["metadata"]["labels"]["seldon-deployment-id"] == "apart"
    assert engine["spec"]["replicas"] == 1


def test_fixed_a_lone_route_has_all_the_weight(subject_for: Read) -> None:
    (route,) = _objects(subject_for(_sample("single-model")), "VirtualService")
    assert [each["route"][0]["weight"] for each in route["spec"]["http"]] == [100, 100]


def test_fixed_v2_servers_keep_their_metrics_port(subject_for: Read) -> None:
    (deployment,) = _objects(subject_for(_sample("mlserver")), "Deployment")
    ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [each["name"] for each in ports] == ["http", "grpc", "metrics"]


def test_fixed_the_update_strategy_is_configurable(subject_for: Read, make_model: Make) -> None:
    raw = make_model()
    notes = {"rollouts.seldon.io/max-surge": "0", "rollouts.seldon.io/max-unavailable": "10%"}
    raw["spec"]["annotations"] = notes
    (deployment,) = _objects(subject_for(raw), "Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": "10%"}


def test_several_shadows_are_mirrored(subject_for: Read) -> None:
    raw = _sample("canary-and-shadow")
    raw["spec"]["predictors"].append({**raw["spec"]["predictors"][2], "name": "dark", "traffic": None})
    (route,) = _objects(subject_for(raw), "VirtualService")
    mirrors = route["spec"]["http"][0]["mirrors"]
    assert [(each["destination"]["subset"], each["percentage"]["value"]) for each in mirrors] == [
        ("shadow", 20),
        ("dark", 100),
    ]


def test_a_shadow_without_traffic_gets_every_request(subject_for: Read) -> None:
    raw = _sample("canary-and-shadow")
    del raw["spec"]["predictors"][2]["traffic"]
    (route,) = _objects(subject_for(raw), "VirtualService")
    assert "mirrorPercentage" not in route["spec"]["http"][0]


def test_zero_replicas_switch_the_autoscaler_off(subject_for: Read) -> None:
    raw = _sample("chain-of-two-deployments")
    raw["spec"]["predictors"][0]["replicas"] = 0
    subject = subject_for(raw)
    assert [each["spec"]["replicas"] for each in _objects(subject, "Deployment")] == [0, 0]
    assert _objects(subject, "HorizontalPodAutoscaler") == []


def test_long_names_are_hashed_as_upstream_does(subject_for: Read, make_model: Make) -> None:
    raw = make_model(name="a" * 40)
    raw["spec"]["predictors"][0]["name"] = "b" * 30
    names = [each["metadata"]["name"] for each in _objects(subject_for(raw)) if each["kind"] != "VirtualService"]
    assert all(name.startswith("seldon-") and len(name) == 39 for name in names)


def test_engine_annotations_and_variables_reach_the_orchestrator_and_the_users_win(subject_for: Read) -> None:
    (deployment,) = _objects(subject_for(_sample("custom-container")), "Deployment")
    env = {each["name"]: each.get("value") for each in _engine(deployment)["env"]}
    assert env["LOG_LEVEL"] == "WARN"
    assert _engine(deployment)["resources"] == {"requests": {"cpu": "100m"}}


def test_the_orchestrator_of_a_rollouts_revision_is_told_the_name_that_users_know(
    make_model: Make, subject_for: Read
) -> None:
    raw = make_model()
    (alone,) = _objects(subject_for(copy.deepcopy(raw)), "Deployment")
    raw["metadata"]["labels"] = {"rollouts.seldon.io/rollout": raw["metadata"]["name"]}
    (successor,) = _objects(subject_for(copy.deepcopy(raw)), "Deployment")
    raw["metadata"]["labels"] = {"rollouts.seldon.io/rollout": "flowers"}
    (revision,) = _objects(subject_for(raw), "Deployment")

    assert {"name": "SELDON_ROLLOUT", "value": "flowers"} in _engine(revision)["env"]
    assert "SELDON_ROLLOUT" not in {each["name"] for each in _engine(alone)["env"]}
    assert successor == alone, "the label goes when the rollout is left, and no pod may restart for it"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": "1"}},
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}},
        ),
        (
            {"type": "Pods", "pods": {"metricName": "q", "selector": {"a": "b"}, "targetAverageValue": "5"}},
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "q", "selector": {"a": "b"}},
                    "target": {"type": "AverageValue", "averageValue": "5"},
                },
            },
        ),
        (
            {
                "type": "Object",
                "object": {"metricName": "q", "target": {"kind": "Service", "name": "s"}, "targetValue": 9},
            },
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "q"},
                    "describedObject": {"kind": "Service", "name": "s"},
                    "target": {"type": "Value", "value": 9},
                },
            },
        ),
        (
            {"type": "External", "external": {"metricName": "q", "metricSelector": {"a": "b"}, "targetValue": "9"}},
            {
                "type": "External",
                "external": {
                    "metric": {"name": "q", "selector": {"a": "b"}},
                    "target": {"type": "Value", "value": "9"},
                },
            },
        ),
        (
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
        ),
    ],
)
def test_metrics_of_v2beta1_become_v2(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert converted(old) == new


def test_the_config_map_of_upstream_names_servers_and_the_initializer(subject_for: Read) -> None:
    servers = {"SKLEARN_SERVER": {"protocols": {"seldon": {"image": "r.example:5000/sk", "defaultImageVersion": "9"}}}}
    storage = {"image": "init:1", "cpuRequest": "200m"}
    data = {"predictor_servers": json.dumps(servers), "storageInitializer": json.dumps(storage)}
    configuration = with_config_map(CONFIGURATION, data)
    subject = subject_for(_sample("single-model"), configuration)
    pod = _objects(subject, "Deployment", configuration)[0]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "r.example:5000/sk:9"
    assert pod["initContainers"][0]["image"] == "init:1"
    assert pod["initContainers"][0]["resources"] == {
        "requests": {"cpu": "200m", "memory": "100Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"X": 1}', '{"X": {"protocols": {"seldon": {}}}}'])
def test_a_config_map_that_is_wrong_is_refused_by_its_key(text: str) -> None:
    with pytest.raises(ConfigMapError, match="predictor_servers"):
        with_config_map(CONFIGURATION, {"predictor_servers": text})
