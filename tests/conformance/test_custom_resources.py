"""Custom kinds: served as they are defined, validated, defaulted, pruned, in every version."""

import asyncio
from copy import deepcopy

import pytest

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def path(api, widgets):
    return api.of(f"{widgets}/v1", "widgets")


def widget(group, version="v1", called="w", **spec):
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "Widget",
        "metadata": {"name": called},
        "spec": {"size": 1, **spec},
    }


def causes(answer):
    return {(cause["field"], cause["reason"]) for cause in answer["details"]["causes"]}


async def test_a_definition_is_established_and_names_are_accepted(api, widgets):
    found = await api.get(f"{CRDS}/widgets.{widgets}")
    conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert found["status"]["acceptedNames"]["kind"] == "Widget"
    assert found["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["spec"]["names"]["singular"] == "widget"
    assert found["spec"]["conversion"] == {"strategy": "None"}


async def test_defaults_are_put_in(api, widgets, path):
    made = await api.post(path, widget(widgets, parts=[{"name": "p"}]))
    assert made.code == 201
    assert made["spec"] == {"size": 1, "replicas": 1, "color": "blue", "parts": [{"name": "p", "count": 1}]}


@pytest.mark.parametrize("field", ["kind", "apiVersion"])
async def test_a_custom_object_says_what_it_is(api, widgets, path, field):
    body = {name: value for name, value in widget(widgets).items() if name != field}
    assert (await api.post(path, body)).code == 400


async def test_a_null_that_may_not_be_is_left_out(api, widgets, path):
    labels = {"a": None, "b": "c"}
    made = await api.post(path, widget(widgets, labels=labels, list=None))
    assert made.code == 201, made.body
    assert made["spec"]["labels"] == {"b": "c"}
    assert "list" not in made["spec"]


async def test_a_null_takes_the_default(api, widgets, path):
    made = await api.post(path, widget(widgets, color=None, note=None))
    assert made["spec"]["color"] == "blue"
    assert made["spec"]["note"] is None


async def test_what_the_schema_does_not_know_is_dropped(api, widgets, path):
    odd = {**widget(widgets, nope=1, free={"any": {"thing": [1]}}, labels={"k": "v"}), "other": 1}
    made = await api.post(path, odd)
    assert made.code == 201
    assert "other" not in made.body
    assert "nope" not in made["spec"]
    assert made["spec"]["free"] == {"any": {"thing": [1]}}
    assert made["spec"]["labels"] == {"k": "v"}


async def test_what_the_schema_does_not_know_is_refused_when_strict(api, widgets, path):
    odd = {**widget(widgets, nope=1), "other": 1}
    answer = await api.post(path, odd, fieldValidation="Strict")
    assert answer.code == 400
    assert 'unknown field "spec.nope"' in answer["message"]
    assert 'unknown field "other"' in answer["message"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"size": 0}, ("spec.size", "FieldValueInvalid")),
        ({"size": 1001, "color": "red"}, ("spec.size", "FieldValueInvalid")),
        ({"size": "big"}, ("spec.size", "FieldValueTypeInvalid")),
        ({"size": 1.5}, ("spec.size", "FieldValueTypeInvalid")),
        ({"color": "pink"}, ("spec.color", "FieldValueNotSupported")),
        ({"name": "UP"}, ("spec.name", "FieldValueInvalid")),
        ({"name": "a" * 11}, ("spec.name", "FieldValueTooLong")),
        ({"tags": ["a", "a"]}, ("spec.tags[1]", "FieldValueDuplicate")),
        ({"parts": [{}]}, ("spec.parts[0].name", "FieldValueRequired")),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, ("spec.parts[1]", "FieldValueDuplicate")),
        ({"parts": [{"name": f"p{n}"} for n in range(6)]}, ("spec.parts", "FieldValueTooMany")),
        ({"port": 1.5}, ("spec.port", "FieldValueTypeInvalid")),
        ({"labels": {"a": 1}}, ("spec.labels.a", "FieldValueTypeInvalid")),
    ],
)
async def test_a_value_that_breaks_the_schema_is_invalid(api, widgets, path, spec, expected):
    answer = await api.post(path, widget(widgets, **spec))
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert expected in causes(answer)
    assert answer["message"].startswith(f'Widget.{widgets} "w" is invalid: ')
    assert answer["details"]["kind"] == "Widget"
    assert answer["details"]["group"] == widgets


@pytest.mark.parametrize(
    "spec",
    [{"port": 80}, {"port": "http"}, {"ratio": 1}, {"ratio": 0.5}, {"note": None}, {"size": 200, "color": "red"}],
)
async def test_a_value_that_keeps_to_the_schema_is_taken(api, widgets, path, spec):
    assert (await api.post(path, widget(widgets, **spec))).code == 201


async def test_a_required_field_is_missed(api, widgets, path):
    body = widget(widgets)
    del body["spec"]["size"]
    answer = await api.post(path, body)
    assert ("spec.size", "FieldValueRequired") in causes(answer)


async def test_a_rule_over_two_fields_holds(api, widgets, path):
    answer = await api.post(path, widget(widgets, size=200))
    assert answer.code == 422
    (cause,) = answer["details"]["causes"]
    assert (cause["field"], cause["reason"]) == ("spec", "FieldValueInvalid")
    assert cause["message"] == 'Invalid value: "object": big widgets are red'


async def test_a_rule_over_time_holds(api, widgets, path):
    await api.post(path, widget(widgets))
    first = await api.patch(f"{path}/w", {"spec": {"name": "abc"}})
    assert first.code == 200
    second = await api.patch(f"{path}/w", {"spec": {"name": "def"}})
    assert second.code == 422
    assert second["details"]["causes"][0] == {
        "reason": "FieldValueInvalid", "message": 'Invalid value: "string": name is fixed', "field": "spec.name",
    }  # fmt: skip


async def test_every_version_shows_the_same_object(api, widgets, path):
    await api.post(path, widget(widgets, size=7))
    other = api.of(f"{widgets}/v1alpha1", "widgets")
    found = await api.get(f"{other}/w")
    assert (found["apiVersion"], found["spec"]["size"]) == (f"{widgets}/v1alpha1", 7)
    await api.patch(f"{other}/w", {"spec": {"size": 8}})
    again = await api.get(f"{path}/w")
    assert (again["apiVersion"], again["spec"]["size"]) == (f"{widgets}/v1", 8)
    listed = await api.get(other)
    assert (listed["apiVersion"], listed["items"][0]["apiVersion"]) == (f"{widgets}/v1alpha1", f"{widgets}/v1alpha1")


async def test_a_watch_shows_its_own_version(api, widgets, path):
    start = (await api.get(path)).version
    async with api.watch(api.of(f"{widgets}/v1alpha1", "widgets"), resourceVersion=start) as events:
        await api.post(path, widget(widgets))
        event = await events.next()
    assert event["object"]["apiVersion"] == f"{widgets}/v1alpha1"


async def test_status_has_its_own_door(api, widgets, path):
    made = await api.post(path, {**widget(widgets), "status": {"replicas": 3}})
    assert "status" not in made.body
    written = await api.patch(f"{path}/w/status", {"status": {"replicas": 3}, "spec": {"size": 9}})
    assert (written["status"], written["spec"]["size"], written["metadata"]["generation"]) == ({"replicas": 3}, 1, 1)
    main = await api.patch(f"{path}/w", {"status": {"replicas": 4}, "spec": {"size": 9}})
    assert (main["status"], main["spec"]["size"], main["metadata"]["generation"]) == ({"replicas": 3}, 9, 2)


async def test_status_is_validated_too(api, widgets, path):
    await api.post(path, widget(widgets))
    answer = await api.patch(f"{path}/w/status", {"status": {"conditions": [{"type": "x"}]}})
    assert ("status.conditions[0].status", "FieldValueRequired") in causes(answer)


async def test_scale_follows_the_paths_of_the_definition(api, widgets, path):
    await api.post(path, widget(widgets, replicas=2))
    await api.patch(f"{path}/w/status", {"status": {"replicas": 1, "selector": "a=b"}})
    scale = await api.get(f"{path}/w/scale")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 1, "selector": "a=b"}
    scaled = await api.patch(f"{path}/w/scale", {"spec": {"replicas": 6}})
    assert scaled["spec"] == {"replicas": 6}
    assert (await api.get(f"{path}/w"))["spec"]["replicas"] == 6


async def test_an_update_of_a_custom_object_names_its_version(api, widgets, path):
    made = await api.post(path, widget(widgets))
    body = made.body
    del body["metadata"]["resourceVersion"]
    answer = await api.put(f"{path}/w", body)
    assert ("metadata.resourceVersion", "FieldValueInvalid") in causes(answer)


async def test_columns_are_those_of_the_definition(api, widgets, path):
    await api.post(path, widget(widgets, size=4, color="red"))
    await api.patch(
        f"{path}/w/status",
        {"status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}},
    )
    table = await api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    shown = [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]]
    assert shown == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Ready", "string", 0),
        ("Colour", "string", 1),
        ("Age", "date", 0),
    ]
    assert table["columnDefinitions"][1]["description"] == "How big."
    assert table["rows"][0]["cells"][:4] == ["w", 4, "True", "red"]


async def test_a_cell_without_a_value_is_empty(api, widgets, path):
    await api.post(path, widget(widgets))
    table = await api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table["rows"][0]["cells"][2] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d["metadata"].update(name="wrong"), "metadata.name"),
        (lambda d: d["spec"].update(scope="Galaxy"), "spec.scope"),
        (lambda d: d["spec"]["versions"][1].update(storage=True), "spec.versions"),
        (lambda d: d["spec"]["versions"][0].pop("schema"), "spec.versions[0].schema.openAPIV3Schema"),
        (lambda d: d["spec"]["names"].pop("kind"), "spec.names.kind"),
    ],
)
async def test_a_definition_that_makes_no_sense_is_invalid(api, change, field):
    definition = deepcopy(DEFINITION)
    change(definition)
    answer = await api.post(CRDS, definition)
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert field in {cause["field"] for cause in answer["details"]["causes"]}


def _version(name, **more):
    schema = {"type": "object", "properties": {"spec": {"type": "object"}}}
    return {"name": name, "served": True, "storage": False, "schema": {"openAPIV3Schema": schema}, **more}


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.bad.example.com"},
    "spec": {
        "group": "bad.example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [_version("v1", storage=True), _version("v2")],
    },
}


async def test_a_schema_needs_types_everywhere(api):
    definition = deepcopy(DEFINITION)
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = {
        "x": {"description": "?"}
    }
    answer = await api.post(CRDS, definition)
    assert answer.code == 422
    assert any(cause["field"].endswith("properties[spec].properties[x].type") for cause in answer["details"]["causes"])


async def test_a_rule_that_does_not_compile_is_refused(api):
    definition = deepcopy(DEFINITION)
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = [{"rule": "self.x ==", "message": "?"}]
    assert (await api.post(CRDS, definition)).code == 422


async def test_an_update_of_the_definition_is_served(api, widgets, path):
    found = await api.get(f"{CRDS}/widgets.{widgets}")
    body = found.body
    for version in body["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["more"] = {"type": "string"}
    assert (await api.put(f"{CRDS}/widgets.{widgets}", body)).code == 200
    for at in range(100):
        made = await api.post(path, widget(widgets, called=f"w{at}", more="x"))
        if made.code == 201 and made["spec"].get("more") == "x":  # a real server is not always there meanwhile
            return
        await asyncio.sleep(0.05)
    pytest.fail("the new field was not served within 5 seconds")


async def test_the_objects_of_a_deleted_definition_go_with_it(api, widgets, path):
    await api.post(path, widget(widgets))
    await api.delete(f"{CRDS}/widgets.{widgets}")
    for _ in range(200):
        if (await api.get(path)).code == 404 and (await api.get(f"{CRDS}/widgets.{widgets}")).code == 404:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the definition was still there after 10 seconds")
