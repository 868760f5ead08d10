"""A rollout's routes lead to the ports at which the operator serves its revisions."""

from dataclasses import replace
from typing import Any

import pytest

from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse
from controller.rollout import traffic
from controller.rollout.observe import _defaults
from controller.rollout.observed import RoutingDefaults
from controller.rollout.revisions import Ports, destinations_of
from controller.rollout.split import Split

SERVER = {"implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
NO_ENGINE = {"seldon.io/no-engine": "true"}


def _predictor(name: str, graph: dict[str, Any], *containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    pods = [{"spec": {"containers": list(containers)}}] if containers else []
    return {"name": name, "graph": graph, "componentSpecs": pods, **more}


def _container(name: str, **ports: int) -> dict[str, Any]:
    named = [{"name": kind, "containerPort": port} for kind, port in ports.items()]
    return {"name": name, "image": "i", "ports": named}


BARE = {
    "a server": [_predictor("p", {"name": "m", **SERVER}, annotations=NO_ENGINE)],
    "in capitals": [_predictor("p", {"name": "m", **SERVER}, annotations={"seldon.io/no-engine": "True"})],
    "ports of its container": [
        _predictor("p", {"name": "m"}, _container("m", http=8080, grpc=8081), annotations=NO_ENGINE)
    ],
    "a port of its endpoint": [
        _predictor("p", {"name": "m", "endpoint": {"httpPort": 7000}}, _container("m"), annotations=NO_ENGINE)
    ],
    "beside another container": [
        _predictor("p", {"name": "m"}, _container("log"), _container("m"), annotations=NO_ENGINE)
    ],
    "after another predictor": [
        _predictor("a", {"name": "first", **SERVER, "children": [{"name": "next", **SERVER}]}, traffic=50),
        _predictor("b", {"name": "m", **SERVER}, annotations=NO_ENGINE, traffic=50),
    ],
    "the name of another's": [
        _predictor("a", {"name": "m", **SERVER}, traffic=50),
        _predictor("b", {"name": "m", **SERVER}, annotations=NO_ENGINE, traffic=50),
    ],
    "after a built-in": [
        _predictor(
            "a",
            {"name": "ab", "implementation": "RANDOM_ABTEST", "children": [{"name": n, **SERVER} for n in "xy"]},
            traffic=50,
        ),
        _predictor("b", {"name": "m", **SERVER}, annotations=NO_ENGINE, traffic=50),
    ],
}


@pytest.mark.parametrize("first", [(9000, 9500), (7100, 7600)])
@pytest.mark.parametrize("predictors", BARE.values(), ids=BARE.keys())
def test_a_model_without_an_orchestrator_is_reached_where_the_operator_serves_it(
    predictors: list[dict[str, Any]], first: tuple[int, int]
) -> None:
    raw = {"metadata": {"name": "iris", "namespace": "ml", "uid": "1"}, "spec": {"predictors": predictors}}
    configuration = Configuration(first_http_port=first[0], first_grpc_port=first[1])
    subject = parse(raw)
    assert isinstance(subject, Subject)
    assert check(subject, configuration) == ()
    rendered = render(complete(subject, configuration), configuration)
    served = [[each["port"] for each in one.service["spec"]["ports"]] for one in rendered.predictors]
    found = destinations_of("iris", "ml", raw["spec"], Ports(node_http=first[0], node_grpc=first[1]))
    assert [[each.http_port, each.grpc_port] for each in found] == served


def test_other_ports_of_orchestrators_are_routed_to(world: Any) -> None:
    world.serving()
    obs = replace(world.observe(), defaults=RoutingDefaults(ports=Ports(engine_http=8100, engine_grpc=5101)))
    route = traffic.virtual_service(obs, Split(stable=world.hash_of("m/v1"), canary=None, weight=0))
    ports = [each["destination"]["port"]["number"] for http in route["spec"]["http"] for each in http["route"]]
    assert ports == [8100, 5101]


def test_gateways_of_an_annotation_are_several() -> None:
    template = {"spec": {"annotations": {"seldon.io/istio-gateway": "edge/front, mesh", "seldon.io/istio-host": "a,b"}}}
    found = _defaults({"spec": {"template": template}}, RoutingDefaults())
    assert (found.gateways, found.hosts) == (("edge/front", "mesh"), ("a", "b"))
