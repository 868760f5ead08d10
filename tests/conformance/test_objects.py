"""What every object has in common: identity, versions, conflicts, names, deletion."""

import re

import pytest


def config(name: str = "a", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more.pop("metadata", {})}, **more}


async def test_a_created_object_gets_an_identity_of_its_own(api):
    made = await api.post(api.core("configmaps"), config(data={"k": "v"}))
    assert made.code == 201
    metadata = made["metadata"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["namespace"] == api.namespace
    assert made["data"] == {"k": "v"}
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


async def test_what_a_client_says_of_the_servers_own_fields_is_ignored(api):
    lies = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}
    made = await api.post(api.core("configmaps"), config(metadata=lies))
    assert made["metadata"]["uid"] != "mine"
    assert not made["metadata"]["creationTimestamp"].startswith("2001")


async def test_get_gives_what_create_gave(api):
    made = await api.post(api.core("configmaps"), config(data={"k": "v"}))
    assert (await api.get(api.core("configmaps", "a"))).body == made.body


async def test_a_name_can_be_taken_once(api):
    await api.post(api.core("configmaps"), config())
    again = await api.post(api.core("configmaps"), config())
    assert again.code == 409
    assert again["reason"] == "AlreadyExists"
    assert again["message"] == 'configmaps "a" already exists'
    assert again["details"] == {"name": "a", "kind": "configmaps"}


async def test_what_is_not_there_is_a_status_that_says_so(api):
    missing = await api.get(api.of("apps/v1", "deployments", "x"))
    assert missing.code == 404
    assert missing.body == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'deployments.apps "x" not found', "reason": "NotFound",
        "details": {"name": "x", "group": "apps", "kind": "deployments"}, "code": 404,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v1/gadgets", "/apis/nope.example.com/v1/things", "/apis/apps/v2/deployments"])
async def test_a_resource_that_is_not_served_is_not_found(api, path):
    answer = await api.get(path)
    assert answer.code == 404
    if isinstance(answer.body, dict):
        assert answer["message"] == "the server could not find the requested resource"


async def test_generate_name_makes_a_name(api):
    body = {"metadata": {"generateName": "pre-"}}
    names = {(await api.post(api.core("configmaps"), body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch(r"pre-[a-z0-9]{5}", name) for name in names)


async def test_an_object_needs_a_name(api):
    answer = await api.post(api.core("configmaps"), {"metadata": {}})
    assert answer.code == 422
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }
    ]


@pytest.mark.parametrize("name", ["UPPER", "under_score", "-dash", "a" * 254])
async def test_a_name_follows_the_rules_of_dns(api, name):
    answer = await api.post(api.core("configmaps"), config(name))
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert answer["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize("labels", [{"a b": "c"}, {"a": "b c"}, {"a": "x" * 64}, {"UP.com/-x": "y"}])
async def test_labels_follow_their_rules(api, labels):
    answer = await api.post(api.core("configmaps"), config(metadata={"labels": labels}))
    assert answer.code == 422
    assert {cause["field"] for cause in answer["details"]["causes"]} == {"metadata.labels"}


async def test_a_resource_version_cannot_be_given_at_creation(api):
    answer = await api.post(api.core("configmaps"), config(metadata={"resourceVersion": "5"}))
    assert (answer.code, answer["message"]) == (500, "resourceVersion should not be set on objects to be created")


async def test_the_namespace_of_the_object_must_be_that_of_the_path(api):
    answer = await api.post(api.core("configmaps"), config(metadata={"namespace": "default"}))
    assert answer.code == 400
    assert "does not match" in answer["message"]


async def test_nothing_is_created_in_a_namespace_that_is_missing(api):
    answer = await api.post(api.core("configmaps", namespace="nowhere"), config())
    assert (answer.code, answer["message"]) == (404, 'namespaces "nowhere" not found')


async def test_another_kind_is_refused(api):
    answer = await api.post(api.core("configmaps"), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    assert answer.code == 400


async def test_malformed_json_is_a_bad_request(api):
    answer = await api.call("POST", api.core("configmaps"), b"{nope")
    assert (answer.code, answer["reason"]) == (400, "BadRequest")


async def test_yaml_is_read_too(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {when: '2020-01-01'}\n"
    made = await api.call("POST", api.core("configmaps"), body, kind="application/yaml")
    assert (made.code, made.body["data"]) == (201, {"when": "2020-01-01"})


async def test_an_update_replaces_and_moves_the_version_on(api):
    made = await api.post(api.core("configmaps"), config(data={"k": "v", "l": "w"}))
    new = {**made.body, "data": {"k": "2"}}
    updated = await api.put(api.core("configmaps", "a"), new)
    assert (updated.code, updated["data"]) == (200, {"k": "2"})
    assert int(updated.version) > int(made.version)
    assert updated["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_stale_update_is_a_conflict(api):
    made = await api.post(api.core("configmaps"), config())
    await api.put(api.core("configmaps", "a"), {**made.body, "data": {"k": "1"}})
    stale = await api.put(api.core("configmaps", "a"), {**made.body, "data": {"k": "2"}})
    assert (stale.code, stale["reason"]) == (409, "Conflict")
    assert stale["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_a_version_wins_for_built_in_kinds(api):
    await api.post(api.core("configmaps"), config())
    updated = await api.put(api.core("configmaps", "a"), config(data={"k": "v"}))
    assert updated.code == 200


async def test_an_update_of_another_uid_is_a_conflict(api):
    await api.post(api.core("configmaps"), config())
    answer = await api.put(api.core("configmaps", "a"), config(metadata={"uid": "other"}))
    assert answer.code == 409


async def test_an_update_under_another_name_is_refused(api):
    await api.post(api.core("configmaps"), config())
    answer = await api.put(api.core("configmaps", "a"), config("b"))
    assert answer.code == 400


async def test_an_update_of_nothing_is_not_found(api):
    assert (await api.put(api.core("configmaps", "a"), config())).code == 404


async def test_a_write_that_changes_nothing_has_no_new_version(api):
    made = await api.post(api.core("configmaps"), config(data={"k": "v"}))
    updated = await api.put(api.core("configmaps", "a"), made.body)
    patched = await api.patch(api.core("configmaps", "a"), {"data": {"k": "v"}})
    assert made.version == updated.version == patched.version


async def test_zero_and_null_mean_absent_where_the_api_says_so(api):
    spec = {
        "containers": [{"name": "c", "image": "i", "stdin": False, "workingDir": ""}],
        "hostNetwork": False,
        "nodeSelector": None,
    }
    made = await api.post(api.core("pods"), {"metadata": {"name": "p"}, "spec": spec})
    assert "hostNetwork" not in made["spec"]
    assert "nodeSelector" not in made["spec"]
    assert not {"stdin", "workingDir"} & made["spec"]["containers"][0].keys()


async def test_a_deleted_object_is_gone_and_its_name_is_free(api):
    made = await api.post(api.core("configmaps"), config())
    deleted = await api.delete(api.core("configmaps", "a"))
    assert deleted.code == 200
    assert deleted.body == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }  # fmt: skip
    assert (await api.get(api.core("configmaps", "a"))).code == 404
    again = await api.post(api.core("configmaps"), config())
    assert again["metadata"]["uid"] != made["metadata"]["uid"]


@pytest.mark.parametrize("wrong", [{"uid": "other"}, {"resourceVersion": "1"}])
async def test_a_deletion_with_a_precondition_that_fails_is_a_conflict(api, wrong):
    await api.post(api.core("configmaps"), config())
    answer = await api.delete(api.core("configmaps", "a"), {"preconditions": wrong})
    assert answer.code == 409
    assert (await api.get(api.core("configmaps", "a"))).code == 200


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(api):
    await api.post(api.core("configmaps"), config(metadata={"finalizers": ["example.com/hold"]}))
    marked = await api.delete(api.core("configmaps", "a"))
    assert marked["metadata"]["deletionTimestamp"]
    held = await api.get(api.core("configmaps", "a"))
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    freed = await api.patch(api.core("configmaps", "a"), {"metadata": {"finalizers": None}})
    assert freed.code == 200
    assert (await api.get(api.core("configmaps", "a"))).code == 404


async def test_no_finalizer_is_added_to_an_object_that_is_being_deleted(api):
    await api.post(api.core("configmaps"), config(metadata={"finalizers": ["example.com/hold"]}))
    await api.delete(api.core("configmaps", "a"))
    more = ["example.com/hold", "example.com/more"]
    answer = await api.patch(api.core("configmaps", "a"), {"metadata": {"finalizers": more}})
    assert answer.code == 422
    await api.patch(api.core("configmaps", "a"), {"metadata": {"finalizers": []}})


async def test_delete_collection_deletes_what_is_selected(api):
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.post(api.core("configmaps"), config(name, metadata={"labels": {"l": label}}))
    deleted = await api.delete(api.core("configmaps"), labelSelector="l=x")
    assert deleted.code == 200
    left = await api.get(api.core("configmaps"))
    assert [item["metadata"]["name"] for item in left["items"] if item["metadata"]["name"] in "abc"] == ["c"]


async def test_dry_run_answers_and_changes_nothing(api):
    made = await api.post(api.core("configmaps"), config(), dryRun="All")
    assert made.code == 201
    assert (await api.get(api.core("configmaps", "a"))).code == 404
    await api.post(api.core("configmaps"), config())
    patched = await api.patch(api.core("configmaps", "a"), {"data": {"k": "v"}}, dryRun="All")
    assert patched["data"] == {"k": "v"}
    deleted = await api.delete(api.core("configmaps", "a"), dryRun="All")
    assert deleted.code == 200
    assert "data" not in (await api.get(api.core("configmaps", "a"))).body


async def test_unknown_fields_are_refused_warned_of_or_dropped(api):
    odd = config(dta={"k": "v"})
    strict = await api.post(api.core("configmaps"), odd, fieldValidation="Strict")
    assert strict.code == 400
    assert 'strict decoding error: unknown field "dta"' in strict["message"]
    warned = await api.post(api.core("configmaps"), odd, fieldValidation="Warn")
    assert warned.code == 201
    assert 'unknown field \\"dta\\"' in warned.headers["Warning"]
    assert "dta" not in warned.body
    quiet = await api.post(api.core("configmaps"), {**odd, "metadata": {"name": "b"}}, fieldValidation="Ignore")
    assert (quiet.code, "Warning" in quiet.headers) == (201, False)


async def test_json_of_the_wrong_type_is_a_bad_request(api):
    answer = await api.post(api.core("configmaps"), config(data=["x"]))
    assert answer.code == 400


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
async def test_a_method_that_a_path_does_not_have_is_not_allowed(api, verb):
    path = api.core("configmaps", "a") if verb == "POST" else api.core("configmaps")
    answer = await api.call(
        verb, path, config(), kind="application/merge-patch+json" if verb == "PATCH" else "application/json"
    )
    assert answer.code == 405


async def test_a_namespace_that_is_being_deleted_takes_nothing_new(api):
    await api.post(api.core("configmaps"), config(metadata={"finalizers": ["example.com/hold"]}))
    await api.delete(f"/api/v1/namespaces/{api.namespace}")
    answer = await api.post(api.core("configmaps"), config("b"))
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert answer["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    namespace = await api.get(f"/api/v1/namespaces/{api.namespace}")
    assert namespace["status"]["phase"] == "Terminating"
    await api.patch(api.core("configmaps", "a"), {"metadata": {"finalizers": None}})
