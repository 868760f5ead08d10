"""What `crds/` holds is in step with the models, small, and what Kubernetes accepts as a structural schema."""

import json
import re
from pathlib import Path

import cel
import jsonschema_rs
import pytest
import yaml

from controller.api import schema as program
from controller.api.crds import KINDS, MAX_CRD_BYTES, definition

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "crds").glob("*.yaml"))

# JSONSchemaProps of apiextensions.k8s.io/v1, without what a structural schema may not say.
KEYWORDS = {
    "additionalProperties", "anyOf", "default", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
    "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties",
    "minimum", "multipleOf", "nullable", "pattern", "properties", "required", "type", "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}  # fmt: skip


def test_every_rendered_file_is_in_step_with_the_models(capsys):
    assert program.main(["crds", "--check"]) == 0, capsys.readouterr().err


def test_check_names_a_stale_file_and_writes_nothing(tmp_path, capsys):
    program.main(["crds", "--root", str(tmp_path)])
    stale = tmp_path / "crds" / KINDS[0].file
    stale.write_text("changed by hand\n")
    assert program.main(["crds", "--check", "--root", str(tmp_path)]) == 1
    assert KINDS[0].file in capsys.readouterr().err
    assert stale.read_text() == "changed by hand\n"


def test_no_file_lies_in_crds_that_nothing_renders():
    assert {path.name for path in (ROOT / "crds").iterdir()} == {kind.file for kind in KINDS} | {"Kustomization"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_definition_is_small_enough_for_client_side_apply(kind):
    kept = json.dumps(definition(kind), separators=(",", ":"))
    for sign in "<>&":  # as Go writes them
        kept = kept.replace(sign, f"\\u{ord(sign):04x}")
    assert len(kept.encode()) < MAX_CRD_BYTES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_reads_back_as_the_definition_without_aliases(path):
    text = path.read_text()
    kind = next(kind for kind in KINDS if kind.file == path.name)
    assert yaml.safe_load(text) == definition(kind)
    assert not re.search(r"(: |- )[&*]id\d", text)


def test_the_old_versions_of_a_seldon_deployment_have_the_fields_of_the_stored_one(kinds):
    versions = kinds["SeldonDeployment"].crd["spec"]["versions"]
    assert [version["name"] for version in versions] == ["v1", "v1alpha3", "v1alpha2"]
    assert [version["storage"] for version in versions] == [True, False, False]
    assert all(version["served"] for version in versions)
    stored, *older = (version["schema"] for version in versions)
    assert all(each == stored for each in older), "with what `kubectl explain` tells of them"


def test_every_level_has_a_type_and_only_known_keywords(served, levels):
    for path, level in levels(served.schema):
        free = level.get("x-kubernetes-preserve-unknown-fields") or level.get("x-kubernetes-int-or-string")
        assert "type" in level or free, path
        assert set(level) <= KEYWORDS, path
        assert level.get("type") in (None, "object", "array", "string", "integer", "number", "boolean"), path


def test_every_list_has_items_and_no_object_has_both_properties_and_a_map(served, levels):
    for path, level in levels(served.schema):
        assert (level.get("type") == "array") == ("items" in level), path
        assert not ("properties" in level and "additionalProperties" in level), path
        assert isinstance(level.get("additionalProperties", {}), dict), path
        assert set(level.get("required", ())) <= set(level.get("properties", {})), path


def test_logic_stands_only_in_the_form_of_an_int_or_string(served, levels):
    for path, level in levels(served.schema):
        if "anyOf" in level:
            assert level["x-kubernetes-int-or-string"] is True, path
            assert level["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in level, path


def test_exclusive_limits_are_flags_beside_a_limit(served, levels):
    for path, level in levels(served.schema):
        for flag, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            assert isinstance(level.get(flag, False), bool), path
            assert limit in level or flag not in level, path


def test_the_keys_of_a_list_map_are_required_scalars(served, levels):
    for path, level in levels(served.schema):
        if level.get("x-kubernetes-list-type") == "map":
            item = level["items"]
            for key in level["x-kubernetes-list-map-keys"]:
                assert key in item["required"], path
                assert item["properties"][key]["type"] in ("string", "integer", "boolean"), path
        else:
            assert "x-kubernetes-list-map-keys" not in level, path


def test_conditions_are_told_apart_by_their_type(served, levels):
    found = [level for path, level in levels(served.schema) if path == ".status.conditions"]
    assert all(level["x-kubernetes-list-map-keys"] == ["type"] for level in found)


def test_metadata_is_left_to_the_api_server(served):
    assert served.schema["type"] == "object"
    assert served.schema["properties"]["metadata"] == {"type": "object"}


def test_every_default_is_valid_where_it_stands(served, levels):
    for path, level in levels(served.schema):
        if "default" in level:
            assert jsonschema_rs.Draft4Validator(level).is_valid(level["default"]), path
            assert "{}" not in path, "a default inside a map of maps would grow stored objects"


def _filled(schema, value):
    """Fill in the defaults as the API server does: the value itself, then what is inside it."""
    if not isinstance(value, dict):
        return [_filled(schema.get("items", {}), item) for item in value] if isinstance(value, list) else value
    properties = schema.get("properties", {})
    given = {key: below["default"] for key, below in properties.items() if "default" in below} | value
    return {key: _filled(properties.get(key, {}), item) for key, item in given.items()}


def test_what_the_api_server_fills_in_changes_nothing_that_the_model_reads(kinds):
    rollout = kinds["SeldonRollout"]
    steps = [{"setMirror": {}}, {"pause": {}}]
    template = {"spec": {"predictors": [{"name": "default", "graph": {"name": "model"}}]}}
    sparse = {"spec": {"template": template, "analysis": {}, "strategy": {"canary": {"steps": steps}}}}
    filled = _filled(rollout.schema, sparse)
    assert filled["spec"]["progressDeadline"] == "10m"
    assert filled["spec"]["strategy"]["canary"]["steps"][0] == {"setMirror": {"percentage": 100}}
    assert rollout.parse(filled) == rollout.parse(sparse)


def test_a_template_gets_no_defaults_since_it_is_hashed_into_revisions(kinds, levels):
    inside = [
        path for path, level in levels(kinds["SeldonRollout"].schema) if ".template" in path and "default" in level
    ]
    everywhere = [path for path, level in levels(kinds["SeldonDeployment"].schema) if "default" in level]
    assert inside == everywhere == []


def test_every_rule_compiles_says_what_is_right_and_has_a_bounded_cost(served, levels):
    bounds = {path: level.get("maxItems") for path, level in levels(served.schema) if level.get("type") == "array"}
    for path, level in levels(served.schema):
        for rule in level.get("x-kubernetes-validations", ()):
            cel.compile(rule["rule"])
            assert rule["message"], path
            assert "\n" not in rule["message"], path
            above = [bound for prefix, bound in bounds.items() if path.startswith(f"{prefix}[]")]
            assert None not in above, f"{path} stands below a list without maxItems"


def test_every_pattern_is_anchored_and_plain(served, levels):
    for path, level in levels(served.schema):
        if "pattern" in level:
            assert level["pattern"].startswith("^"), path
            assert level["pattern"].endswith("$"), path
            assert "(?" not in level["pattern"], f"{path}: Go's engine has no look-around"


def _at(schema, path):
    """Return the level of a schema that a simple JSONPath names, or None; `conditions[?(...)]` is one of a list."""
    for key in re.sub(r"\[\?\(.*\)\]", "[]", path).strip(".").split("."):
        schema = schema.get("properties", {}).get(key.removesuffix("[]"))
        schema = schema.get("items") if schema is not None and key.endswith("[]") else schema
        if schema is None:
            return None
    return schema


def test_every_column_and_scale_path_names_a_field(served):
    for column in served.version.get("additionalPrinterColumns", ()):
        if column["jsonPath"] == ".metadata.creationTimestamp":
            continue
        level = _at(served.schema, column["jsonPath"])
        assert level is not None, column
        assert level["type"] == column["type"], column
    scale = served.version.get("subresources", {}).get("scale", {})
    types = {key: _at(served.schema, path)["type"] for key, path in scale.items()}
    assert set(types.items()) <= {
        ("specReplicasPath", "integer"),
        ("statusReplicasPath", "integer"),
        ("labelSelectorPath", "string"),
    }


def test_status_is_a_subresource_wherever_there_is_one(served):
    assert ("status" in served.schema["properties"]) == ("status" in served.version.get("subresources", {}))


def test_short_names_do_not_clash():
    names = [name for kind in KINDS for name in (*kind.short, kind.plural, kind.name.lower())]
    assert len(names) == len(set(names))


def test_every_field_that_a_person_writes_is_explained(served, levels):
    silent = []
    for path, level in levels(served.schema["properties"]["spec"]):
        nested = path.count(".children") > 0 or path.endswith(("[]", "{}")) or not path
        if not nested and "description" not in level:
            silent.append(path)
    assert silent == []


def test_kubectl_explains_every_field_of_a_seldon_deployment_however_deep(kinds, levels):
    schema = kinds["SeldonDeployment"].crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = [(path, level) for path, level in levels(schema) if path and not path.endswith(("[]", "{}"))]
    silent = [
        path
        for path, level in fields
        if "description" not in level and path.strip(".") not in {"apiVersion", "kind", "metadata"}
    ]
    assert len(fields) > 300
    assert silent == []
