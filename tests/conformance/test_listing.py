"""Lists: selectors, pages, snapshots, other forms."""

import pytest


@pytest.fixture
async def five(api):
    """Five ConfigMaps with labels."""
    labels = [{"app": "a", "tier": "1"}, {"app": "a"}, {"app": "b", "tier": "2"}, {"app": "c"}, {}]
    for at, each in enumerate(labels):
        made = await api.post(api.core("configmaps"), {"metadata": {"name": f"c{at}", "labels": each}})
        assert made.code == 201
    return api


def names(answer):
    return [item["metadata"]["name"] for item in answer["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["c0", "c1", "c2", "c3", "c4"]),
        ("app=a", ["c0", "c1"]),
        ("app==a", ["c0", "c1"]),
        ("app!=a", ["c2", "c3", "c4"]),
        ("app in (a,b)", ["c0", "c1", "c2"]),
        ("app notin (a, b)", ["c3", "c4"]),
        ("tier", ["c0", "c2"]),
        ("!tier", ["c1", "c3", "c4"]),
        ("app=a,tier=1", ["c0"]),
        ("app in (a,b),!tier", ["c1"]),
        ("tier>1", ["c2"]),
        ("tier<2", ["c0"]),
        ("app=nope", []),
    ],
)
async def test_labels_select(five, selector, expected):
    assert names(await five.get(five.core("configmaps"), labelSelector=selector)) == expected


@pytest.mark.parametrize("selector", ["a=b=c", "app in a", "=x", "a,,b", "tier>x"])
async def test_a_label_selector_that_makes_no_sense_is_a_bad_request(five, selector):
    assert (await five.get(five.core("configmaps"), labelSelector=selector)).code == 400


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=c1", ["c1"]),
        ("metadata.name!=c1", ["c0", "c2", "c3", "c4"]),
        ("metadata.name=c1,metadata.name!=c1", []),
    ],
)
async def test_fields_select(five, selector, expected):
    assert names(await five.get(five.core("configmaps"), fieldSelector=selector)) == expected


async def test_a_field_that_cannot_be_selected_by_is_a_bad_request(five):
    answer = await five.get(five.core("configmaps"), fieldSelector="data.k=v")
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert "data.k" in answer["message"]
    pods = await five.get(five.core("pods"), fieldSelector="spec.nope=v")
    assert (pods.code, "field label not supported: spec.nope" in pods["message"]) == (400, True)


async def test_pods_are_selected_by_phase_and_node(api):
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await api.post(api.core("pods"), pod)
    assert names(await api.get(api.core("pods"), fieldSelector="status.phase=Pending,spec.nodeName=")) == ["p"]
    assert names(await api.get(api.core("pods"), fieldSelector="status.phase=Running")) == []
    assert names(await api.get(api.core("pods"), fieldSelector="spec.nodeName!=")) == []


async def test_events_are_selected_by_what_they_are_about(api):
    for name in ("x", "y"):
        involved = {"kind": "Pod", "name": name, "namespace": api.namespace}
        made = await api.post(
            api.core("events"), {"metadata": {"name": name}, "involvedObject": involved, "reason": "R"}
        )
        assert made.code == 201
    selector = "involvedObject.name=x,involvedObject.kind=Pod"
    assert names(await api.get(api.core("events"), fieldSelector=selector)) == ["x"]


async def test_a_list_has_a_kind_and_a_version(five):
    answer = await five.get(five.core("configmaps"))
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(answer.version) > 0


async def test_pages_cover_the_list_once(five):
    path = five.core("configmaps")
    first = await five.get(path, limit=2, labelSelector="")
    assert len(first["items"]) == 2
    assert first["metadata"]["remainingItemCount"] >= 3
    seen = names(first)
    token = first["metadata"]["continue"]
    while token:
        page = await five.get(path, limit=2, **{"continue": token})
        assert page.version == first.version
        seen += names(page)
        token = page["metadata"].get("continue")
    assert seen == ["c0", "c1", "c2", "c3", "c4"]


async def test_pages_show_one_moment(five):
    path = five.core("configmaps")
    first = await five.get(path, limit=2)
    await five.post(path, {"metadata": {"name": "c9"}})
    await five.delete(five.core("configmaps", "c4"))
    rest = await five.get(path, **{"continue": first["metadata"]["continue"]})
    assert names(first) + names(rest) == ["c0", "c1", "c2", "c3", "c4"]


async def test_a_token_that_is_none_is_a_bad_request(five):
    assert (await five.get(five.core("configmaps"), **{"continue": "nonsense"})).code == 400


async def test_a_list_at_an_exact_version_shows_the_past(five):
    before = (await five.get(five.core("configmaps"))).version
    await five.delete(five.core("configmaps", "c0"))
    past = await five.get(five.core("configmaps"), resourceVersion=before, resourceVersionMatch="Exact")
    assert names(past) == ["c0", "c1", "c2", "c3", "c4"]


async def test_a_list_over_all_namespaces(five):
    everywhere = await five.get("/api/v1/configmaps", labelSelector="app=a")
    assert {item["metadata"]["namespace"] for item in everywhere["items"]} >= {five.namespace}


async def test_metadata_alone(five):
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = await five.get(five.core("configmaps"), accept=accept, labelSelector="app=b")
    assert answer["kind"] == "PartialObjectMetadataList"
    (item,) = answer["items"]
    assert item["metadata"]["name"] == "c2"
    assert set(item) <= {"kind", "apiVersion", "metadata"}
    one = await five.get(
        five.core("configmaps", "c2"), accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    )
    assert one["kind"] == "PartialObjectMetadata"


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_a_table_prints_names_and_columns(five):
    answer = await five.get(five.core("configmaps"), accept=TABLE, labelSelector="app=b")
    assert (answer["kind"], answer["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [c["name"] for c in answer["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert {c["type"] for c in answer["columnDefinitions"]} == {"string"}
    assert answer["columnDefinitions"][0]["format"] == "name"
    (row,) = answer["rows"]
    assert row["cells"][0] == "c2"
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = await five.get(five.core("configmaps"), accept=TABLE, includeObject="Object", labelSelector="app=b")
    assert whole["rows"][0]["object"]["metadata"]["labels"] == {"app": "b", "tier": "2"}


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        (
            "/api/v1/pods",
            ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"],
        ),
        ("/api/v1/services", ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]),
        ("/api/v1/namespaces", ["Name", "Status", "Age"]),
        (
            "/apis/apps/v1/deployments",
            ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"],
        ),
        (
            "/apis/apps/v1/replicasets",
            ["Name", "Desired", "Current", "Ready", "Age", "Containers", "Images", "Selector"],
        ),
        (
            "/apis/policy/v1/poddisruptionbudgets",
            ["Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"],
        ),
        (
            "/apis/autoscaling/v2/horizontalpodautoscalers",
            ["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"],
        ),
        ("/apis/coordination.k8s.io/v1/leases", ["Name", "Holder", "Age"]),
        ("/apis/discovery.k8s.io/v1/endpointslices", ["Name", "AddressType", "Ports", "Endpoints", "Age"]),
        ("/apis/apps/v1/controllerrevisions", ["Name", "Controller", "Revision", "Age"]),
        ("/apis/rbac.authorization.k8s.io/v1/roles", ["Name", "Created At"]),
        (
            "/apis/rbac.authorization.k8s.io/v1/rolebindings",
            ["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"],
        ),
        ("/api/v1/secrets", ["Name", "Type", "Data", "Age"]),
        ("/apis/apps/v1/statefulsets", ["Name", "Ready", "Age", "Containers", "Images"]),
        (
            "/apis/apps/v1/daemonsets",
            [
                "Name",
                "Desired",
                "Current",
                "Ready",
                "Up-to-date",
                "Available",
                "Node Selector",
                "Age",
                "Containers",
                "Images",
                "Selector",
            ],
        ),
        (
            "/api/v1/events",
            ["Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message", "First Seen", "Count", "Name"],
        ),
        (
            "/api/v1/persistentvolumeclaims",
            [
                "Name",
                "Status",
                "Volume",
                "Capacity",
                "Access Modes",
                "StorageClass",
                "VolumeAttributesClass",
                "Age",
                "VolumeMode",
            ],
        ),
        (
            "/apis/batch/v1/jobs",
            ["Name", "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector"],
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            ["Name", "Created At"],
        ),
    ],
)
async def test_the_columns_of_built_in_kinds(api, path, columns):
    answer = await api.get(path, accept=TABLE)
    assert [c["name"] for c in answer["columnDefinitions"]] == columns


async def test_something_that_we_cannot_give_is_not_acceptable(api):
    assert (await api.get(api.core("configmaps"), accept="text/html")).code == 406
