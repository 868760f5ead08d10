"""What the operator is told at its start: ports and names for every object alike, and images that win over others."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.deployment.catalogue import Catalogue
from controller.deployment.configuration import Configuration, with_config_map
from controller.deployment.images import with_images
from controller.deployment.render import render
from controller.deployment.status import address
from controller.deployment.subject import Subject
from controller.kube.errors import NotFoundError
from controller.startup import parse_settings

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]
OTHERWISE = Configuration(
    engine_http_port=8100,
    engine_grpc_port=5101,
    engine_metrics_port="http-metrics",
    node_metrics_port="prom",
    metrics_path="/metrics",
    request_logger_queue=5,
    request_logger_timeout_ms=7,
)


def _rendered(raw: dict[str, Any], subject_for: Read, configuration: Configuration) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in render(subject_for(raw, configuration), configuration).objects():
        found.setdefault(each["kind"], []).append(each)
    return found


def _everything(make_model: Make) -> dict[str, Any]:
    raw = make_model()
    raw["metadata"]["annotations"] = {"rollouts.seldon.io/istio-mtls": "strict"}
    raw["spec"]["predictors"][0]["explainer"] = {"type": "AnchorTabular"}
    return raw


def test_other_ports_and_names_reach_every_object(make_model: Make, subject_for: Read) -> None:
    found = _rendered(_everything(make_model), subject_for, OTHERWISE)
    node, engine = found["Deployment"][0]["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["containerPort"]) for each in node["ports"]] == [
        ("http", 9000),
        ("grpc", 9500),
        ("prom", 6000),
    ]
    told = {each["name"]: each.get("value") for each in node["env"]}
    assert (told["PREDICTIVE_UNIT_METRICS_SERVICE_PORT"], told["MLSERVER_METRICS_ENDPOINT"]) == ("6000", "/metrics")
    assert [(each["name"], each["containerPort"]) for each in engine["ports"]] == [
        ("http-metrics", 8100),
        ("grpc", 5101),
    ]
    flags = dict(zip(engine["args"][::2], engine["args"][1::2], strict=False))
    names = ("--http_port", "--grpc_port", "--prometheus_path", "--log_work_buffer_size", "--log_write_timeout_ms")
    assert [flags[name] for name in names] == ["8100", "5101", "/metrics", "5", "7"]
    assert engine["readinessProbe"]["httpGet"]["port"] == engine["livenessProbe"]["httpGet"]["port"] == 8100
    notes = found["Deployment"][0]["spec"]["template"]["metadata"]["annotations"]
    assert (notes["prometheus.io/path"], notes["prometheus.io/scrape"]) == ("/metrics", "true")
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in found["Service"]}
    assert [(each["name"], each["port"]) for each in services["iris-default"]] == [("http", 8100), ("grpc", 5101)]
    routes = {each["metadata"]["name"]: each["spec"]["http"] for each in found["VirtualService"]}
    led = [each["route"][0]["destination"]["port"]["number"] for each in routes["iris"]]
    assert led == [8100, 5101]
    explainer = found["Deployment"][1]["spec"]["template"]["spec"]["containers"][0]
    assert "--predictor_host=iris-default.ml:8100" in explainer["args"]


def test_what_is_open_to_anybody_follows_the_ports_and_names(make_model: Make, subject_for: Read) -> None:
    found = _rendered(_everything(make_model), subject_for, OTHERWISE)
    opened = found["AuthorizationPolicy"][0]["spec"]["rules"][1]["to"]
    assert [(each["operation"]["ports"], each["operation"]["paths"]) for each in opened] == [
        (["6000"], ["/metrics"]),
        (["8100"], ["/live", "/metrics", "/ready"]),
    ]
    assert sorted(found["PeerAuthentication"][0]["spec"]["portLevelMtls"]) == ["6000", "8100"]


def test_the_address_has_the_port_of_the_service(make_model: Make, subject_for: Read) -> None:
    subject = subject_for(make_model())
    desired = render(subject, OTHERWISE)
    assert address(subject, desired) == "http://iris-default.ml.svc.cluster.local:8100/api/v1.0/predictions"


SERVERS = {
    "SKLEARN_SERVER": {"protocols": {"seldon": {"image": "sk", "defaultImageVersion": "1"}, "v2": {"image": "mls"}}}
}
DATA = {
    "predictor_servers": json.dumps(SERVERS),
    "storageInitializer": json.dumps({"image": "init:1"}),
    "explainer": json.dumps({"image": "alibi:1", "image_v2": "alibi-v2:1"}),
}
NAMED = {"sklearn_server_image": "own/sk:2", "initializer_image": "own/init:2"}


def test_a_named_image_wins_over_the_config_map_and_replaces_itself_alone() -> None:
    before = with_config_map(Configuration(), DATA)
    after = with_images(
        before,
        {"sklearn_server_image": "own/sk:2", "initializer_image": "own/init:2", "explainer_image": "own/alibi:2"},
    )
    assert after.server_image("SKLEARN_SERVER", "seldon") == "own/sk:2"
    assert after.server_image("SKLEARN_SERVER", "v2") == before.server_image("SKLEARN_SERVER", "v2") == "mls"
    assert (after.initializer_image, after.explainer_image) == ("own/init:2", "own/alibi:2")
    assert after.explainer_image_v2 == "alibi-v2:1"


@pytest.mark.parametrize("protocol", ["seldon", "tensorflow"])
def test_each_half_of_tensorflow_may_be_named(protocol: str, make_model: Make, subject_for: Read) -> None:
    named = {"tensorflow_image": "own/tf:2", "tensorflow_proxy_image": "own/proxy:2"}
    configuration = with_images(Configuration(), named)
    raw = make_model(protocol=protocol)
    raw["spec"]["predictors"][0]["graph"]["implementation"] = "TENSORFLOW_SERVER"
    containers = _rendered(raw, subject_for, configuration)["Deployment"][0]["spec"]["template"]["spec"]["containers"]
    images = {each["name"]: each["image"] for each in containers if each["name"] != "seldon-container-engine"}
    both = {"classifier": "own/proxy:2", "tfserving": "own/tf:2"}
    assert images == (both if protocol == "seldon" else {"classifier": "own/tf:2"})


def test_what_a_graph_names_wins_over_an_administrators_image(make_model: Make, subject_for: Read) -> None:
    configuration = with_images(
        Configuration(), {"sklearn_server_image": "own/sk:2", "initializer_image": "own/init:2"}
    )
    raw = make_model()
    predictor = raw["spec"]["predictors"][0]
    predictor["graph"]["storageInitializerImage"] = "mine/init:3"
    predictor["componentSpecs"] = [{"spec": {"containers": [{"name": "classifier", "image": "mine/sk:3"}]}}]
    pod = _rendered(raw, subject_for, configuration)["Deployment"][0]["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["initContainers"][0]["image"]) == ("mine/sk:3", "mine/init:3")


class _Client:
    """An API server with a config map, or without one."""

    def __init__(self, data: dict[str, str] | None) -> None:
        self.data = data

    async def get(self, resource: Any, namespace: str, name: str) -> dict[str, Any]:
        if self.data is None:
            raise NotFoundError(404, "NotFound", "no config map")
        return {"data": self.data}


VARIABLES = {
    "RELATED_IMAGE_SKLEARNSERVER": "certified/sk:9",
    "RELATED_IMAGE_STORAGE_INITIALIZER": "certified/init:9",
    "EXECUTOR_SERVER_PORT": "8100",
    "PREDICTIVE_UNIT_METRICS_PORT_NAME": "prom",
}


@pytest.mark.parametrize("data", [None, DATA])
async def test_variables_of_the_operator_hold_with_and_without_a_config_map(data: dict[str, str] | None) -> None:
    client: Any = _Client(data)
    catalogue = Catalogue(client, parse_settings([], VARIABLES), timedelta(seconds=15))
    found = await catalogue.configuration(datetime(2026, 1, 1, tzinfo=UTC))
    assert (found.server_image("SKLEARN_SERVER", "seldon"), found.initializer_image) == (
        "certified/sk:9",
        "certified/init:9",
    )
    assert (found.engine_http_port, found.node_metrics_port) == (8100, "prom")
