"""Merge, JSON and strategic merge patches."""

import pytest

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
async def config(api):
    made = await api.post(
        api.core("configmaps"), {"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v", "l": "w"}}
    )
    assert made.code == 201
    return api.core("configmaps", "a")


@pytest.fixture
async def deployment(api):
    containers = [
        {
            "name": "one",
            "image": "i:1",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        },
        {"name": "two", "image": "j:1"},
    ]
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
    made = await api.post(api.of("apps/v1", "deployments"), {"metadata": {"name": "d"}, "spec": spec})
    assert made.code == 201, made.body
    return api.of("apps/v1", "deployments", "d")


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({"data": {"k": "2"}}, {"k": "2", "l": "w"}),
        ({"data": {"k": None}}, {"l": "w"}),
        ({"data": {"m": "x"}}, {"k": "v", "l": "w", "m": "x"}),
        ({"data": None}, None),
        ({}, {"k": "v", "l": "w"}),
    ],
)
@pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
async def test_a_merge_patch_merges_and_null_deletes(api, config, patch, data, kind):
    answer = await api.patch(config, patch, kind=kind)
    assert (answer.code, answer.body.get("data")) == (200, data)


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([{"op": "add", "path": "/data/m", "value": "x"}], {"k": "v", "l": "w", "m": "x"}),
        ([{"op": "remove", "path": "/data/k"}], {"l": "w"}),
        ([{"op": "replace", "path": "/data/k", "value": "2"}], {"k": "2", "l": "w"}),
        ([{"op": "move", "from": "/data/k", "path": "/data/n"}], {"n": "v", "l": "w"}),
        ([{"op": "copy", "from": "/data/k", "path": "/data/n"}], {"k": "v", "n": "v", "l": "w"}),
        ([{"op": "test", "path": "/data/k", "value": "v"}, {"op": "remove", "path": "/data/l"}], {"k": "v"}),
    ],
)
async def test_a_json_patch_does_its_operations_in_order(api, config, operations, data):
    answer = await api.patch(config, operations, kind=JSON_PATCH)
    assert (answer.code, answer["data"]) == (200, data)


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/data/k", "value": "other"}],
        [{"op": "replace", "path": "/nope/x", "value": "1"}],
        [{"op": "remove", "path": "/data/nope"}],
    ],
)
async def test_a_json_patch_that_does_not_fit_changes_nothing(api, config, operations):
    before = await api.get(config)
    answer = await api.patch(config, operations, kind=JSON_PATCH)
    assert answer.code == 422
    assert (await api.get(config)).body == before.body


async def test_a_json_patch_is_a_list(api, config):
    assert (await api.patch(config, {"data": {}}, kind=JSON_PATCH)).code == 400


async def test_a_patch_may_name_the_version_that_it_was_made_for(api, config):
    stale = await api.patch(config, {"metadata": {"resourceVersion": "1"}, "data": {"k": "2"}})
    assert (stale.code, stale["reason"]) == (409, "Conflict")


async def test_a_patch_cannot_rename(api, config):
    assert (await api.patch(config, {"metadata": {"name": "b"}})).code == 400


async def test_a_patch_of_nothing_is_not_found(api):
    assert (await api.patch(api.core("configmaps", "nope"), {"data": {}})).code == 404


async def test_a_patch_of_an_unknown_type_is_refused(api, config):
    answer = await api.patch(config, {}, kind="application/json")
    assert (answer.code, answer["reason"]) == (415, "UnsupportedMediaType")


def containers(answer):
    return {c["name"]: c for c in answer["spec"]["template"]["spec"]["containers"]}


def template(**spec):
    return {"spec": {"template": {"spec": spec}}}


async def test_a_strategic_patch_merges_containers_by_name(api, deployment):
    answer = await api.patch(deployment, template(containers=[{"name": "two", "image": "j:2"}]), kind=STRATEGIC)
    assert {name: c["image"] for name, c in containers(answer).items()} == {"one": "i:1", "two": "j:2"}


async def test_a_merge_patch_replaces_lists_whole(api, deployment):
    answer = await api.patch(deployment, template(containers=[{"name": "two", "image": "j:2"}]), kind=MERGE)
    assert list(containers(answer)) == ["two"]


async def test_a_strategic_patch_deletes_an_item_by_directive(api, deployment):
    answer = await api.patch(deployment, template(containers=[{"name": "two", "$patch": "delete"}]), kind=STRATEGIC)
    assert list(containers(answer)) == ["one"]


async def test_a_strategic_patch_merges_nested_lists(api, deployment):
    env = [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]
    answer = await api.patch(deployment, template(containers=[{"name": "one", "env": env}]), kind=STRATEGIC)
    found = {e["name"]: e["value"] for e in containers(answer)["one"]["env"]}
    assert found == {"A": "1", "B": "3", "C": "4"}


async def test_a_strategic_patch_replaces_by_directive(api, deployment):
    env = [{"$patch": "replace"}, {"name": "Z", "value": "1"}]
    answer = await api.patch(deployment, template(containers=[{"name": "one", "env": env}]), kind=STRATEGIC)
    assert containers(answer)["one"]["env"] == [{"name": "Z", "value": "1"}]


async def test_a_strategic_patch_orders_what_it_names(api, deployment):
    order = {"$setElementOrder/containers": [{"name": "two"}, {"name": "one"}]}
    answer = await api.patch(
        deployment, template(containers=[{"name": "two", "image": "j:3"}], **order), kind=STRATEGIC
    )
    assert list(containers(answer)) == ["two", "one"]


async def test_retain_keys_drops_the_rest(api, deployment):
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    answer = await api.patch(deployment, patch, kind=STRATEGIC)
    assert answer["spec"]["strategy"] == {"type": "Recreate"}


async def test_primitives_are_deleted_from_a_list(api):
    await api.post(api.core("configmaps"), {"metadata": {"name": "f", "finalizers": ["e.com/a", "e.com/b"]}})
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["e.com/a"]}}
    answer = await api.patch(api.core("configmaps", "f"), patch, kind=STRATEGIC)
    assert answer["metadata"]["finalizers"] == ["e.com/b"]
    added = await api.patch(api.core("configmaps", "f"), {"metadata": {"finalizers": ["e.com/c"]}}, kind=STRATEGIC)
    assert set(added["metadata"]["finalizers"]) == {"e.com/b", "e.com/c"}
    await api.patch(api.core("configmaps", "f"), {"metadata": {"finalizers": None}})


async def test_a_custom_kind_takes_no_strategic_patch(api, widgets):
    path = api.of(f"{widgets}/v1", "widgets")
    await api.post(
        path, {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    )
    answer = await api.patch(f"{path}/w", {"spec": {"size": 2}}, kind=STRATEGIC)
    assert answer.code == 415
