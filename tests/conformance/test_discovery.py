"""Discovery, OpenAPI, health: what clients ask before they ask for anything."""

import asyncio

import pytest

from localcluster.testserver import is_real

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_needs_no_token(nobody, path):
    answer = await nobody.get(path)
    assert (answer.code, answer.body) == (200, "ok")


async def test_the_version_is_of_the_1_32_line(nobody):
    answer = await nobody.get("/version")
    assert (answer["major"], answer["minor"].rstrip("+")[:2]) == ("1", "32") or is_real()


async def test_the_core_group_has_one_version(api):
    answer = await api.get("/api")
    assert (answer["kind"], answer["versions"]) == ("APIVersions", ["v1"])


async def test_groups_name_their_versions(api):
    answer = await api.get("/apis")
    assert answer["kind"] == "APIGroupList"
    groups = {group["name"]: group for group in answer["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert {
        "apiextensions.k8s.io",
        "policy",
        "autoscaling",
        "rbac.authorization.k8s.io",
        "events.k8s.io",
    } <= groups.keys()
    one = await api.get("/apis/apps")
    assert (one["kind"], one["name"]) == ("APIGroup", "apps")


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        (
            "/api/v1",
            "pods",
            {"singularName": "pod", "namespaced": True, "kind": "Pod", "shortNames": ["po"], "categories": ["all"]},
        ),
        (
            "/api/v1",
            "namespaces",
            {"singularName": "namespace", "namespaced": False, "kind": "Namespace", "shortNames": ["ns"]},
        ),
        (
            "/api/v1",
            "pods/status",
            {"singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get", "patch", "update"]},
        ),
        ("/api/v1", "pods/log", {"singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]}),
        ("/api/v1", "pods/eviction", {"kind": "Eviction", "group": "policy", "version": "v1", "verbs": ["create"]}),
        ("/apis/apps/v1", "deployments", {"shortNames": ["deploy"], "kind": "Deployment"}),
        ("/apis/apps/v1", "deployments/scale", {"kind": "Scale", "group": "autoscaling", "version": "v1"}),
        (
            "/apis/apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            {"shortNames": ["crd", "crds"], "namespaced": False},
        ),
        ("/apis/authorization.k8s.io/v1", "subjectaccessreviews", {"verbs": ["create"], "namespaced": False}),
        ("/apis/policy/v1", "poddisruptionbudgets", {"shortNames": ["pdb"]}),
    ],
)
async def test_resources_are_described(api, path, name, expected):
    answer = await api.get(path)
    assert answer["kind"] == "APIResourceList"
    found = {resource["name"]: resource for resource in answer["resources"]}
    assert {key: found[name].get(key) for key in expected} == expected


async def test_every_kind_that_can_be_listed_has_all_verbs(api):
    for path in ("/api/v1", "/apis/apps/v1", "/apis/coordination.k8s.io/v1"):
        for resource in (await api.get(path))["resources"]:
            if "list" in resource["verbs"] and resource["name"] not in ("componentstatuses", "namespaces", "services"):
                wanted = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
                assert set(resource["verbs"]) == wanted, resource["name"]


async def test_new_clients_learn_everything_at_once(api, widgets):
    answer = await api.get("/apis", accept=AGGREGATED + ",application/json")
    assert (answer["kind"], answer["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    groups = {group["metadata"]["name"]: group for group in answer["items"]}
    (apps,) = [v for v in groups["apps"]["versions"] if v["version"] == "v1"]
    found = {resource["resource"]: resource for resource in apps["resources"]}
    deployments = found["deployments"]
    assert deployments["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
    assert deployments["scope"] == "Namespaced"
    assert {sub["subresource"] for sub in deployments["subresources"]} == {"scale", "status"}
    assert [v["version"] for v in groups[widgets]["versions"]] == ["v1", "v1alpha1"]
    core = await api.get("/api", accept=AGGREGATED)
    assert {r["resource"] for r in core["items"][0]["versions"][0]["resources"]} >= {"pods", "services", "configmaps"}


async def test_a_custom_kind_is_discovered(api, widgets):
    answer = await api.get(f"/apis/{widgets}/v1")
    found = {resource["name"]: resource for resource in answer["resources"]}
    assert set(found) == {"widgets", "widgets/status", "widgets/scale"}
    assert found["widgets"]["shortNames"] == ["wd"]
    assert found["widgets"]["categories"] == ["all"]


async def test_openapi_v3_describes_a_custom_kind_with_its_words(api, widgets):
    for _ in range(200):
        index = await api.get("/openapi/v3", accept="application/json")
        url = index["paths"].get(f"apis/{widgets}/v1", {}).get("serverRelativeURL", "")
        document = await api.get(url.partition("?")[0] or "/nowhere", accept="application/json")
        if document.code == 200 and url:
            break
        await asyncio.sleep(0.1)
    schemas = document["components"]["schemas"]
    (schema,) = [
        s
        for s in schemas.values()
        if {"group": widgets, "version": "v1", "kind": "Widget"} in s.get("x-kubernetes-group-version-kind", ())
    ]
    assert schema["description"] == "A widget of the shop."
    assert schema["properties"]["spec"]["properties"]["size"]["description"] == "How big it is."
    assert "metadata" in schema["properties"]
    patch = document["paths"][f"/apis/{widgets}/v1/namespaces/{{namespace}}/widgets/{{name}}"]["patch"]
    assert "fieldValidation" in {p["name"] for p in patch["parameters"]}
    assert patch["x-kubernetes-group-version-kind"] == {"group": widgets, "kind": "Widget", "version": "v1"}


@pytest.mark.parametrize(
    ("path", "name", "fields"),
    [
        (
            "/openapi/v3/apis/apps/v1",
            "io.k8s.api.apps.v1.DeploymentSpec",
            {"replicas", "selector", "template", "strategy"},
        ),
        ("/openapi/v3/api/v1", "io.k8s.api.core.v1.Container", {"name", "image", "env", "ports", "resources"}),
        (
            "/openapi/v3/api/v1",
            "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
            {"name", "labels", "ownerReferences"},
        ),
    ],
)
async def test_openapi_v3_describes_built_in_kinds(api, path, name, fields):
    document = await api.get(path)
    assert document["openapi"].startswith("3.0")
    assert fields <= document["components"]["schemas"][name]["properties"].keys()


async def test_openapi_v2_describes_built_in_kinds(api):
    document = await api.get("/openapi/v2")
    container = document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert container["x-kubernetes-patch-merge-key"] == "name"
    assert document["definitions"]["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "kind": "Deployment", "version": "v1"}
    ]


async def test_openapi_is_sent_once(api):
    first = await api.get("/openapi/v3/apis/apps/v1")
    again = await api.get("/openapi/v3/apis/apps/v1", headers={"If-None-Match": first.headers["ETag"]})
    assert again.code == 304
