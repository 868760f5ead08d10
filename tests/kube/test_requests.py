"""A request is data before it is sent."""

from typing import Any

import orjson
import pytest

from controller.kube import requests
from controller.kube.resources import DEPLOYMENT, NAMESPACE, POD, SELDON_ROLLOUT, VIRTUAL_SERVICE, Resource


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "expected"),
    [
        (POD, "ml", "iris", "", "/api/v1/namespaces/ml/pods/iris"),
        (POD, "ml", "iris", "log", "/api/v1/namespaces/ml/pods/iris/log"),
        (NAMESPACE, None, "ml", "", "/api/v1/namespaces/ml"),
        (NAMESPACE, "ignored", "ml", "", "/api/v1/namespaces/ml"),
        (DEPLOYMENT, "ml", "iris", "scale", "/apis/apps/v1/namespaces/ml/deployments/iris/scale"),
        (
            SELDON_ROLLOUT,
            "ml",
            "iris",
            "status",
            "/apis/rollouts.seldon.io/v1alpha1/namespaces/ml/seldonrollouts/iris/status",
        ),
        (POD, "a/b", "x y", "", "/api/v1/namespaces/a%2Fb/pods/x%20y"),
    ],
)
def test_an_object_has_one_address(
    resource: Resource, namespace: str | None, name: str, subresource: str, expected: str
) -> None:
    assert resource.path(namespace, name, subresource) == expected


@pytest.mark.parametrize(("namespace", "name"), [(None, "iris"), ("", "iris"), ("ml", "")])
def test_an_address_without_its_parts_is_refused(namespace: str | None, name: str) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        DEPLOYMENT.path(namespace, name)


def test_apply_is_server_side_apply_with_our_field_manager_and_without_managed_fields() -> None:
    obj: dict[str, Any] = {
        "metadata": {"name": "iris", "namespace": "ml", "managedFields": [{"manager": "x"}]},
        "spec": {"replicas": 2},
    }
    request = requests.apply(DEPLOYMENT, obj)
    assert (request.method, request.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert request.target == ("/apis/apps/v1/namespaces/ml/deployments/iris?fieldManager=seldon-rollouts&force=true")
    assert orjson.loads(request.body or b"") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "iris", "namespace": "ml"},
        "spec": {"replicas": 2},
    }
    assert request.idempotent
    assert obj["metadata"]["managedFields"], "the caller's object must not be changed"


def test_apply_writes_the_version_that_is_served() -> None:
    obj = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": "iris", "namespace": "ml"}}
    request = requests.apply(VIRTUAL_SERVICE.at("v1beta1"), obj)
    assert request.path == "/apis/networking.istio.io/v1beta1/namespaces/ml/virtualservices/iris"
    assert orjson.loads(request.body or b"")["apiVersion"] == "networking.istio.io/v1beta1"


def test_apply_with_a_precondition_is_not_repeated_blindly() -> None:
    obj = {"metadata": {"name": "iris", "namespace": "ml", "resourceVersion": "7"}}
    assert not requests.apply(DEPLOYMENT, obj).idempotent


def test_a_status_is_replaced_whole_and_only_on_the_version_it_was_decided_on() -> None:
    request = requests.patch_status(SELDON_ROLLOUT, "ml", "iris", {"phase": "Healthy"}, resource_version="41")
    assert request.path.endswith("/seldonrollouts/iris/status")
    assert request.content_type == "application/json-patch+json"
    assert orjson.loads(request.body or b"") == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "41"},
        {"op": "add", "path": "/status", "value": {"phase": "Healthy"}},
    ]
    assert not request.idempotent


def test_a_status_is_never_written_without_a_precondition() -> None:
    with pytest.raises(ValueError, match="resource_version is empty"):
        requests.patch_status(SELDON_ROLLOUT, "ml", "iris", {}, resource_version="")


def test_a_merge_patch_carries_its_precondition_and_keeps_the_other_metadata() -> None:
    patch = {"metadata": {"annotations": {"a": None}}}
    request = requests.merge_patch(DEPLOYMENT, "ml", "iris", patch, resource_version="9")
    assert orjson.loads(request.body or b"") == {"metadata": {"annotations": {"a": None}, "resourceVersion": "9"}}
    assert patch == {"metadata": {"annotations": {"a": None}}}


def test_a_deletion_names_the_object_that_was_meant() -> None:
    request = requests.delete(POD, "ml", "iris", uid="u-1", propagation="Foreground")
    assert orjson.loads(request.body or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u-1"},
    }


def test_a_page_and_a_watch_ask_only_for_what_is_given() -> None:
    page = requests.list_page(POD, "ml", labels="app in (a,b)", continue_token="x=/y")
    assert page.target == "/api/v1/namespaces/ml/pods?labelSelector=app%20in%20%28a%2Cb%29&limit=500&continue=x%3D%2Fy"
    watch = requests.watch(POD, None, resource_version="12", timeout_seconds=300)
    assert watch.target == ("/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=12&timeoutSeconds=300")


@pytest.mark.parametrize(
    ("obj", "missing"),
    [
        ({}, "metadata.name"),
        ({"metadata": {"name": "iris"}}, "metadata.namespace"),
        ({"metadata": None}, "metadata.name"),
    ],
)
def test_an_object_that_cannot_be_addressed_is_refused_by_field(obj: dict[str, object], missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        requests.apply(DEPLOYMENT, obj)
