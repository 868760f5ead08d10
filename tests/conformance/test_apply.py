"""Server-side apply: who owns what, who may change it, and what goes when nobody wants it any more."""

import pytest


def config(data, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}, "data": data}


def deployment(**more):
    containers = more.pop("containers", [{"name": "c", "image": "i:1"}])
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template, **more}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def owners(answer):
    """(manager, operation) to the fields that it owns."""
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in answer["metadata"].get("managedFields", [])}


async def test_apply_creates_and_then_updates(api):
    path = api.core("configmaps", "a")
    made = await api.apply(path, config({"k": "v"}), "one")
    assert made.code == 201
    again = await api.apply(path, config({"k": "v"}), "one")
    assert (again.code, again.version) == (200, made.version)
    changed = await api.apply(path, config({"k": "w"}), "one")
    assert (changed.code, changed["data"]) == (200, {"k": "w"})


async def test_apply_owns_what_it_names(api):
    made = await api.apply(api.core("configmaps", "a"), config({"k": "v"}, labels={"x": "y"}), "one")
    (entry,) = made["metadata"]["managedFields"]
    assert entry["manager"] == "one"
    assert (entry["operation"], entry["apiVersion"], entry["fieldsType"]) == ("Apply", "v1", "FieldsV1")
    assert entry["fieldsV1"] == {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}


async def test_apply_needs_a_manager(api):
    answer = await api.patch(api.core("configmaps", "a"), config({}), kind="application/apply-patch+yaml")
    assert answer.code in (400, 422)


async def test_apply_takes_yaml(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"
    answer = await api.apply(api.core("configmaps", "a"), body, "one")
    assert (answer.code, answer["data"]) == (201, {"k": "v"})


async def test_what_is_no_longer_applied_goes(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v", "l": "w"}, labels={"x": "y"}), "one")
    answer = await api.apply(path, config({"k": "v"}), "one")
    assert answer["data"] == {"k": "v"}
    assert "labels" not in answer["metadata"]


async def test_what_another_manager_owns_too_stays(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v", "l": "w"}), "one")
    await api.apply(path, config({"l": "w"}), "two")
    answer = await api.apply(path, config({"k": "v"}), "one")
    assert answer["data"] == {"k": "v", "l": "w"}
    assert owners(answer)["two", "Apply"] == {"f:data": {"f:l": {}}}


async def test_a_change_of_anothers_field_is_a_conflict(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v", "l": "w"}), "one")
    answer = await api.apply(path, config({"k": "2", "l": "3"}), "two")
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert answer["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.l"},
    ]
    assert answer["message"].startswith('Apply failed with 2 conflicts: conflicts with "one":')
    assert (await api.get(path))["data"] == {"k": "v", "l": "w"}


async def test_the_same_value_is_no_conflict_but_shared(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v"}), "one")
    answer = await api.apply(path, config({"k": "v"}), "two")
    assert answer.code == 200
    assert set(owners(answer)) == {("one", "Apply"), ("two", "Apply")}


async def test_force_takes_a_field_over(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v", "l": "w"}), "one")
    answer = await api.apply(path, config({"k": "2"}), "two", force="true")
    assert answer["data"] == {"k": "2", "l": "w"}
    assert owners(answer)["one", "Apply"] == {"f:data": {"f:l": {}}}


async def test_an_update_makes_a_field_its_managers(api):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v", "l": "w"}), "one")
    await api.patch(path, {"data": {"k": "2"}}, fieldManager="editor")
    conflict = await api.apply(path, config({"k": "v", "l": "w"}), "one")
    assert conflict.code == 409
    assert conflict["details"]["causes"][0]["message"].startswith('conflict with "editor" using v1')
    found = owners(await api.get(path))
    assert found["editor", "Update"] == {"f:data": {"f:k": {}}}
    assert found["one", "Apply"] == {"f:data": {"f:l": {}}}


async def test_the_manager_of_an_update_is_the_clients_name_unless_it_says(api):
    made = await api.post(api.core("configmaps"), config({"k": "v"}), headers={"User-Agent": "tool/1.0 (x)"})
    assert set(owners(made)) == {("tool", "Update")}


async def test_an_update_owns_new_maps_as_well(api):
    made = await api.post(api.core("configmaps"), config({"k": "v"}, labels={"x": "y"}), fieldManager="m")
    assert owners(made)["m", "Update"] == {
        "f:data": {".": {}, "f:k": {}},
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
    }


async def test_deployments_are_owned_field_by_field(api):
    answer = await api.apply(api.of("apps/v1", "deployments", "d"), deployment(replicas=2), "one")
    assert answer.code == 201, answer.body
    assert owners(answer)["one", "Apply"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}},
            },
        }
    }


async def test_the_fields_that_a_creation_owns(api):
    made = await api.post(api.of("apps/v1", "deployments"), deployment(), fieldManager="m")
    assert owners(made)["m", "Update"] == {
        "f:spec": {
            "f:progressDeadlineSeconds": {},
            "f:replicas": {},
            "f:revisionHistoryLimit": {},
            "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"c"}': {
                            ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
                            "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
                        }
                    },
                    "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
                    "f:terminationGracePeriodSeconds": {},
                },
            },
        }
    }  # fmt: skip


async def test_containers_merge_by_name_and_go_when_unapplied(api):
    path = api.of("apps/v1", "deployments", "d")
    two = [{"name": "c", "image": "i:1"}, {"name": "side", "image": "s:1"}]
    await api.apply(path, deployment(containers=two), "one")
    answer = await api.apply(path, deployment(), "one")
    assert [c["name"] for c in answer["spec"]["template"]["spec"]["containers"]] == ["c"]


async def test_a_list_item_keeps_what_another_manager_put_into_it(api):
    path = api.of("apps/v1", "deployments", "d")
    await api.apply(
        path, deployment(containers=[{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}]), "one"
    )
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    patch["spec"] = {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]}}}
    assert (await api.apply(path, patch, "two")).code == 200
    answer = await api.apply(path, deployment(containers=[{"name": "c", "image": "i"}]), "one")
    (container,) = answer["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "B", "value": "2"}]


async def test_a_default_comes_back_when_a_value_is_unapplied(api):
    path = api.of("apps/v1", "deployments", "d")
    await api.apply(path, deployment(replicas=5), "one")
    answer = await api.apply(path, deployment(), "one")
    assert answer["spec"]["replicas"] == 1


async def test_replicas_can_be_handed_to_an_autoscaler(api):
    path = api.of("apps/v1", "deployments", "d")
    await api.apply(path, deployment(replicas=2), "one")
    await api.patch(f"{path}/scale", {"spec": {"replicas": 4}}, fieldManager="scaler")
    answer = await api.apply(path, deployment(), "one")
    assert (answer.code, answer["spec"]["replicas"]) == (200, 4)


async def test_ports_are_keyed_by_number_and_protocol(api):
    path = api.of("apps/v1", "deployments", "d")
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    answer = await api.apply(path, deployment(containers=[{"name": "c", "image": "i", "ports": ports}]), "one")
    assert answer.code == 201, answer.body
    owned = owners(answer)["one", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}'][
        "f:ports"
    ]
    assert set(owned) == {'k:{"containerPort":80,"protocol":"TCP"}', 'k:{"containerPort":80,"protocol":"UDP"}'}


async def test_a_keyed_list_takes_no_duplicates(api):
    twice = [{"name": "c", "image": "i"}, {"name": "c", "image": "j"}]
    answer = await api.apply(api.of("apps/v1", "deployments", "d"), deployment(containers=twice), "one")
    assert answer.code in (400, 422, 500)


async def test_status_is_applied_through_its_own_door(api):
    path = api.of("apps/v1", "deployments", "d")
    await api.apply(path, deployment(), "one")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "status": {"replicas": 3},
        "spec": {"replicas": 9},
    }
    answer = await api.apply(f"{path}/status", body, "controller")
    assert (answer.code, answer["status"]["replicas"], answer["spec"]["replicas"]) == (200, 3, 1)
    (entry,) = [e for e in answer["metadata"]["managedFields"] if e["manager"] == "controller"]
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


async def test_status_in_an_ordinary_apply_is_ignored(api):
    body = {**deployment(), "status": {"replicas": 7}}
    answer = await api.apply(api.of("apps/v1", "deployments", "d"), body, "one")
    assert "replicas" not in answer["status"]
    assert "f:status" not in owners(answer)["one", "Apply"]


async def test_managed_fields_cannot_be_applied(api):
    body = config({}, managedFields=[{"manager": "x", "operation": "Apply", "apiVersion": "v1"}])
    assert (await api.apply(api.core("configmaps", "a"), body, "one")).code == 400


async def test_an_apply_under_another_name_is_refused(api):
    assert (await api.apply(api.core("configmaps", "b"), config({}), "one")).code == 400


async def test_unknown_fields_are_refused_by_a_strict_apply(api):
    answer = await api.apply(
        api.of("apps/v1", "deployments", "d"), deployment(replica=3), "one", fieldValidation="Strict"
    )
    assert answer.code in (400, 500)


async def test_apply_with_dry_run_changes_nothing(api):
    answer = await api.apply(api.core("configmaps", "a"), config({"k": "v"}), "one", dryRun="All")
    assert answer.code == 201
    assert (await api.get(api.core("configmaps", "a"))).code == 404


async def test_ownership_is_handed_over_by_writing_whose_it_is(api):
    path = api.core("configmaps", "a")
    await api.post(api.core("configmaps"), config({"k": "v", "l": "w"}), fieldManager="one")
    [entry] = (await api.get(path))["metadata"]["managedFields"]
    handed = await api.patch(path, {"metadata": {"managedFields": [entry | {"manager": "two", "operation": "Apply"}]}})
    assert set(owners(handed)) == {("two", "Apply")}
    assert (await api.apply(path, config({"k": "v"}), "two"))["data"] == {"k": "v"}


async def test_an_owner_is_owned_as_a_whole(api):
    owner = await api.post(api.core("configmaps"), config({}, name="owner"))
    meta = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await api.post(api.core("configmaps"), config({}, ownerReferences=[meta]), fieldManager="one")
    seen = owners(await api.get(api.core("configmaps", "a")))["one", "Update"]["f:metadata"]["f:ownerReferences"]
    assert [fields for key, fields in seen.items() if key != "."] == [{}]


@pytest.mark.parametrize("nonsense", [None, [{"manager": "two", "operation": "Take", "fieldsType": "FieldsV1"}]])
async def test_what_is_no_ownership_leaves_it_where_it_is(api, nonsense):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v"}), "one")
    answer = await api.patch(path, {"metadata": {"managedFields": nonsense}})
    assert answer.code in (200, 400, 422)
    assert set(owners(await api.get(path))) == {("one", "Apply")}


@pytest.mark.parametrize("nobody", [[], [{}]])
async def test_all_ownership_can_be_given_up(api, nobody):
    path = api.core("configmaps", "a")
    await api.apply(path, config({"k": "v"}), "one")
    answer = await api.patch(path, {"metadata": {"managedFields": nobody}})
    assert answer.code == 200
    assert not [e for e in answer["metadata"].get("managedFields", []) if e["manager"] == "one"]


@pytest.mark.parametrize("version", ["v1", "v1alpha1"])
async def test_custom_kinds_are_owned_by_their_schema(api, widgets, version):
    path = api.of(f"{widgets}/{version}", "widgets", "w")
    spec = {
        "size": 3, "tags": ["b", "a"], "list": ["x"], "atomic": {"k": "v"}, "labels": {"l": "1"},
        "parts": [{"name": "p", "unit": "kg"}], "free": {"deep": {"er": 1}}, "port": 80,
    }  # fmt: skip
    body = {"apiVersion": f"{widgets}/{version}", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}
    answer = await api.apply(path, body, "one")
    assert answer.code == 201, answer.body
    assert owners(answer)["one", "Apply"] == {
        "f:spec": {
            "f:size": {}, "f:tags": {'v:"a"': {}, 'v:"b"': {}}, "f:list": {}, "f:atomic": {},
            "f:labels": {"f:l": {}}, "f:parts": {'k:{"name":"p"}': {".": {}, "f:name": {}, "f:unit": {}}},
            "f:free": {"f:deep": {".": {}, "f:er": {}}}, "f:port": {},
        }
    }  # fmt: skip
    assert answer["metadata"]["managedFields"][0]["apiVersion"] == f"{widgets}/{version}"


async def test_sets_and_keyed_lists_of_custom_kinds_merge(api, widgets):
    path = api.of(f"{widgets}/v1", "widgets", "w")

    def body(**spec):
        return {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}

    await api.apply(path, body(size=1, tags=["a"], parts=[{"name": "p", "unit": "kg"}], list=["x"]), "one")
    answer = await api.apply(path, body(tags=["b"], parts=[{"name": "q"}]), "two")
    assert answer["spec"]["tags"] == ["a", "b"]
    assert {p["name"] for p in answer["spec"]["parts"]} == {"p", "q"}
    gone = await api.apply(path, body(size=1, list=["x"]), "one")
    assert gone["spec"]["tags"] == ["b"]
    assert [p["name"] for p in gone["spec"]["parts"]] == ["q"]
    atomic = await api.apply(path, body(list=["y"]), "three")
    assert atomic.code == 409


async def test_an_update_of_a_custom_kind_owns_new_maps(api, widgets):
    body = {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    made = await api.post(api.of(f"{widgets}/v1", "widgets"), body, fieldManager="m")
    assert owners(made)["m", "Update"] == {"f:spec": {".": {}, "f:color": {}, "f:replicas": {}, "f:size": {}}}
