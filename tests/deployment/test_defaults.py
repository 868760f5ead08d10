"""Defaulting: the rules of Seldon Core v1, one row each."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.subject import Subject, nodes

Read = Callable[..., Subject]


def _sdep(*predictors: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "iris", "namespace": "ml", "uid": "uid-1", "generation": 1},
        "spec": {"predictors": list(predictors), **spec},
    }


def _predictor(graph: dict[str, Any], *pods: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "name": "default",
        "graph": graph,
        "componentSpecs": [{"spec": {"containers": pod}} for pod in pods],
        **more,
    }


def _c(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", **more}


def _endpoints(subject: Subject, predictor: int = 0) -> dict[str, Any]:
    return {unit.name: unit.endpoint for unit in nodes(subject.spec.predictors[predictor].graph)}


def test_a_predictor_gets_its_name_as_version_label(subject_for: Read) -> None:
    subject = subject_for(_sdep(_predictor({"name": "m"}, [_c("m")])))
    assert subject.spec.predictors[0].labels == {"version": "default"}


def test_a_version_label_of_the_user_stays(subject_for: Read) -> None:
    subject = subject_for(_sdep(_predictor({"name": "m"}, [_c("m")], labels={"version": "v7", "a": "b"})))
    assert subject.spec.predictors[0].labels == {"version": "v7", "a": "b"}


@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        ({"name": "m"}, "MODEL"),
        ({"name": "m", "type": "ROUTER"}, "ROUTER"),
        ({"name": "m", "methods": ["TRANSFORM_INPUT"]}, None),
        ({"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m", "type": "TRANSFORMER"}, "MODEL"),
        ({"name": "m", "implementation": "SIMPLE_MODEL"}, None),
    ],
)
def test_the_type_of_a_node(subject_for: Read, graph: dict[str, Any], kind: str | None) -> None:
    subject = subject_for(_sdep(_predictor(graph, [_c("m")])))
    assert subject.spec.predictors[0].graph.type == kind


def test_ports_are_counted_by_container_name_over_all_predictors(subject_for: Read) -> None:
    chain = {"name": "a", "children": [{"name": "b"}]}
    first = _predictor(chain, [_c("a"), _c("sidecar")], [_c("b")], traffic=50)
    second = _predictor({"name": "b", "children": [{"name": "c"}]}, [_c("b"), _c("c")], traffic=50)
    subject = subject_for(_sdep(first, {**second, "name": "other"}))
    ports = {name: (each.http_port, each.grpc_port) for name, each in _endpoints(subject).items()}
    assert ports == {"a": (9000, 9500), "b": (9002, 9502)}
    ports = {name: (each.http_port, each.grpc_port) for name, each in _endpoints(subject, 1).items()}
    assert ports == {"b": (9002, 9502), "c": (9003, 9503)}


@pytest.mark.parametrize(
    ("ports", "http"),
    [
        ([{"name": "http", "containerPort": 8080}], 8080),
        ([{"name": "web", "containerPort": 8080}], 9000),
        ([{"containerPort": 9000}], 9000),
        ([{"name": "mine", "containerPort": 9000}], 9000),
    ],
)
def test_ports_of_the_user_stay(subject_for: Read, ports: list[dict[str, Any]], http: int) -> None:
    subject = subject_for(_sdep(_predictor({"name": "m"}, [_c("m", ports=ports)])))
    container = subject.spec.predictors[0].component_specs[0].spec["containers"][0]
    numbers = [port["containerPort"] for port in container["ports"]]
    assert _endpoints(subject)["m"].http_port == http
    assert len(set(numbers)) == len(numbers)


def test_a_metrics_port_is_added_to_nodes_only(subject_for: Read) -> None:
    subject = subject_for(_sdep(_predictor({"name": "m"}, [_c("m"), _c("sidecar")])))
    found = subject.spec.predictors[0].component_specs[0].spec["containers"]
    assert {"name": "metrics", "containerPort": 6000, "protocol": "TCP"} in found[0]["ports"]
    assert "ports" not in found[1]


def test_nodes_beside_the_orchestrator_are_local_and_others_are_reached_by_their_service(subject_for: Read) -> None:
    graph = {"name": "a", "children": [{"name": "b"}]}
    subject = subject_for(_sdep(_predictor(graph, [_c("a")], [_c("b")])))
    hosts = {name: each.service_host for name, each in _endpoints(subject).items()}
    assert hosts == {"a": "localhost", "b": "iris-default-b.ml.svc.cluster.local"}


def test_no_node_is_local_to_an_orchestrator_in_its_own_pod(subject_for: Read) -> None:
    raw = _sdep(_predictor({"name": "a"}, [_c("a")]), annotations={"seldon.io/engine-separate-pod": "true"})
    assert _endpoints(subject_for(raw))["a"].service_host == "iris-default-a.ml.svc.cluster.local"


@pytest.mark.parametrize(
    ("transport", "kind", "port"), [("", "", 9000), ("grpc", "", 9500), ("", "GRPC", 9500), ("rest", "REST", 9000)]
)
def test_the_service_port_follows_the_transport(subject_for: Read, transport: str, kind: str, port: int) -> None:
    graph = {"name": "m", "endpoint": {"type": kind}}
    subject = subject_for(_sdep(_predictor(graph, [_c("m")]), transport=transport))
    assert _endpoints(subject)["m"].service_port == port


def test_prepackaged_nodes_get_containers_in_the_first_component(subject_for: Read) -> None:
    server = {"implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
    graph = {"name": "t", "type": "TRANSFORMER", "children": [{"name": "m", **server}]}
    subject = subject_for(_sdep(_predictor(graph, [_c("t")])))
    found = subject.spec.predictors[0].component_specs[0].spec["containers"]
    assert [(each["name"], each["image"].rsplit(":", 1)[0]) for each in found] == [
        ("t", "t"),
        ("m", "seldonio/rollouts-sklearnserver"),
    ]


def test_the_image_of_a_user_wins_over_the_configured_server(subject_for: Read) -> None:
    graph = {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
    subject = subject_for(_sdep(_predictor(graph, [{"name": "m", "image": "mine:1"}])))
    assert subject.spec.predictors[0].component_specs[0].spec["containers"][0]["image"] == "mine:1"


def test_built_ins_have_no_endpoint(subject_for: Read) -> None:
    graph = {"name": "ab", "implementation": "RANDOM_ABTEST", "children": [{"name": "a"}, {"name": "b"}]}
    found = _endpoints(subject_for(_sdep(_predictor(graph, [_c("a"), _c("b")]))))
    assert found["ab"] is None


def test_nulls_of_old_manifests_are_passed_over(subject_for: Read) -> None:
    graph = {"name": "m", "methods": None, "children": None, "logger": None}
    raw = _sdep(_predictor(graph, [_c("m")], replicas=None, annotations=None), unknown="field")
    assert subject_for(raw).spec.predictors[0].replicas is None


def test_in_a_graph_that_mixes_transports_each_node_has_its_own(subject_for: Read) -> None:
    child = {"name": "b", "endpoint": {"type": "GRPC"}}
    graph = {"name": "a", "endpoint": {"type": "REST"}, "children": [child]}
    found = _endpoints(subject_for(_sdep(_predictor(graph, [_c("a"), _c("b")]))))

    assert [(each.type, each.service_port) for each in found.values()] == [("REST", 9000), ("GRPC", 9501)]
