"""The operator in the place of Seldon Core's own: what that left in the cluster is taken on as it stands.

The objects here are as the operator of 1.17.1 writes them, by the contract and not by our renderer.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.act import SELDON_CORE
from localcluster.objects import path_of

Make = Callable[..., dict[str, Any]]
Object = dict[str, Any]
SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
ISTIO = "networking.istio.io/v1"
ID = {"seldon-deployment-id": "iris", "app.kubernetes.io/managed-by": "seldon-core"}
SELECTOR = {
    "seldon-deployment-id": "iris",
    "seldon-app": "iris-default",
    "seldon-app-svc-classifier": "iris-default-classifier",
}


def deployment() -> Object:
    labels = ID | SELECTOR | {"app": "iris-default-0-classifier", "fluentd": "true", "version": "default"}
    probe = {"initialDelaySeconds": 20, "periodSeconds": 5, "failureThreshold": 3, "successThreshold": 1}
    node = {
        "name": "classifier",
        "image": "seldonio/sklearnserver:1.17.1",
        "env": [{"name": "PREDICTIVE_UNIT_SERVICE_PORT", "value": "9000"}, {"name": "OF_OLD", "value": "1"}],
        "ports": [
            {"name": "metrics", "containerPort": 6000, "protocol": "TCP"},
            {"name": "http", "containerPort": 9000, "protocol": "TCP"},
            {"name": "grpc", "containerPort": 9500, "protocol": "TCP"},
        ],
        "readinessProbe": probe | {"tcpSocket": {"port": "http"}, "timeoutSeconds": 1},
    }
    engine = {
        "name": "seldon-container-engine",
        "image": "seldonio/seldon-core-executor:1.17.1",
        "args": ["--sdep", "iris", "--http_port", "8000"],
        "env": [{"name": "ENGINE_PREDICTOR", "value": "e30="}],
        "ports": [  # a number twice: what server-side apply could never write
            {"name": "http", "containerPort": 8000, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 8000, "protocol": "TCP"},
            {"name": "grpc", "containerPort": 5001, "protocol": "TCP"},
        ],
        "readinessProbe": probe | {"httpGet": {"path": "/ready", "port": 8000}, "timeoutSeconds": 60},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "iris-default-0-classifier", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": SELECTOR},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [node, engine]}},
        },
    }


def service(name: str, selector: Object, *ports: tuple[str, int]) -> Object:
    spec = {
        "selector": selector,
        "ports": [{"name": each, "port": port, "targetPort": port, "protocol": "TCP"} for each, port in ports],
    }
    metadata = {"name": name, "labels": ID | {"seldon-app": "iris-default"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def mesh(namespace: str) -> tuple[Object, Object]:
    """The rule has no label at all, and the route's only branch the weight 0."""
    host = f"iris-default.{namespace}.svc.cluster.local"
    rule = {
        "apiVersion": ISTIO,
        "kind": "DestinationRule",
        "metadata": {"name": "iris-default"},
        "spec": {
            "host": host,
            "subsets": [{"name": "default", "labels": {"version": "default"}}],
            "trafficPolicy": {"tls": {"mode": "DISABLE"}},
        },
    }
    branch = {"destination": {"host": host, "subset": "default", "port": {"number": 8000}}, "weight": 0}
    match = [{"uri": {"prefix": f"/seldon/{namespace}/iris/"}}]
    route = {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": "iris"},
        "spec": {"hosts": ["*"], "http": [{"match": match, "rewrite": {"uri": "/"}, "route": [branch]}]},
    }
    return rule, route


@pytest.fixture
async def left(lab: Any, make_model: Make) -> dict[tuple[str, str], Object]:
    """A SeldonDeployment that Seldon Core's operator serves, with a status of its making; that operator is gone."""
    await lab.apply(make_model())
    live = await lab.get()
    owner = {"apiVersion": SDEP[0], "kind": "SeldonDeployment", "name": "iris", "uid": live["metadata"]["uid"]}
    owner |= {"controller": True, "blockOwnerDeletion": True}
    objects = (
        service("iris-default-classifier", {"seldon-app-svc-classifier": "iris-default-classifier"}, ("http", 9000)),
        service("iris-default", {"seldon-app": "iris-default"}, ("http", 8000), ("grpc", 5001)),
        service("iris-default-gone", {"seldon-app-svc-gone": "iris-default-gone"}, ("http", 9001)),
        deployment(),
        *mesh(lab.namespace),
    )
    for each in objects:
        note = {"seldon.io/last-applied": json.dumps(each["spec"])}
        each["metadata"] |= {"namespace": lab.namespace, "ownerReferences": [owner], "annotations": note}
        plural = {"DestinationRule": "destinationrules", "VirtualService": "virtualservices"}.get(
            each["kind"], each["kind"].lower() + "s"
        )
        path = path_of(each["apiVersion"], plural, namespace=lab.namespace)
        await lab.client.request("POST", path, params={"fieldManager": SELDON_CORE}, body=each)
    status = {"state": "Available", "replicas": 1, "serviceStatus": {}, "deploymentStatus": {}}
    await lab.client.patch(*SDEP, "iris", {"status": status}, namespace=lab.namespace, sub="status")
    return await lab.eventually(lambda: served(lab), "a pod of before is ready")


async def served(lab: Any) -> dict[tuple[str, str], Object] | None:
    found = await lab.children()
    ready = found["Deployment", "iris-default-0-classifier"].get("status", {}).get("readyReplicas")
    return found if ready else None


async def test_what_seldon_core_left_is_taken_on_in_place(lab: Any, left: dict[tuple[str, str], Object]) -> None:
    async with lab.running():
        await lab.state("Available")
        now = await lab.eventually(lambda: collected(lab), "what nobody wants any more is gone")
    kept = left.keys() - {("Service", "iris-default-gone")}
    assert {name: now[name]["metadata"]["uid"] for name in kept} == {
        name: left[name]["metadata"]["uid"] for name in kept
    }, "nothing that serves was deleted and made again"
    node, engine = now["Deployment", "iris-default-0-classifier"]["spec"]["template"]["spec"]["containers"]
    assert "seldon-core-executor" not in engine["image"]
    assert [each["containerPort"] for each in engine["ports"]] == [8000, 5001]
    assert "OF_OLD" not in {each["name"] for each in node["env"]}
    assert "preStop" in node["lifecycle"]
    assert all("seldon.io/last-applied" not in now[name]["metadata"]["annotations"] for name in kept)
    assert "tls" not in now["DestinationRule", "iris-default"]["spec"]["trafficPolicy"]
    [branch] = now["VirtualService", "iris"]["spec"]["http"][0]["route"]
    assert branch["weight"] == 100
    await lab.one_life("iris", writes=0)


async def collected(lab: Any) -> dict[tuple[str, str], Object] | None:
    found: dict[tuple[str, str], Object] = await lab.children()
    return None if ("Service", "iris-default-gone") in found else found
