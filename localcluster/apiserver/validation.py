"""Validation of custom resources: the structural schema as JSON Schema, and the CEL rules in it."""

from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs
import orjson

from localcluster.apiserver.cel_rules import CelRules
from localcluster.apiserver.errors import Cause

JsonObject = dict[str, Any]

_KEPT = (
    "type", "format", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "multipleOf",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf")
_FORMATS = frozenset({"date-time", "date", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"})


def as_json_schema(schema: JsonObject) -> JsonObject:
    """A structural schema in JSON Schema's own words (draft 4, whose bounds OpenAPI 3.0 shares)."""
    out: JsonObject = {key: schema[key] for key in _KEPT if key in schema}
    if out.get("format") not in _FORMATS:
        out.pop("format", None)
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    if "properties" in schema:
        out["properties"] = {name: as_json_schema(child) for name, child in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        out["additionalProperties"] = as_json_schema(schema["additionalProperties"])
    if isinstance(schema.get("items"), dict):
        out["items"] = as_json_schema(schema["items"])
    for key in _LISTS:
        if key in schema and not (key == "anyOf" and schema.get("x-kubernetes-int-or-string")):
            out[key] = [as_json_schema(child) for child in schema[key]]
    if "not" in schema:
        out["not"] = as_json_schema(schema["not"])
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, out]} if "type" not in out else _nullable(out)
    return out


def _nullable(schema: JsonObject) -> JsonObject:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    schema = {**schema, "type": [*types, "null"]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


class CustomRules:
    """The `Rules` of one version of a custom resource. Raises ValueError for a schema that cannot be compiled."""

    def __init__(self, schema: JsonObject | None) -> None:
        self._validator = (
            None if schema is None else jsonschema_rs.Draft4Validator(as_json_schema(schema), validate_formats=True)
        )
        self._keyed = [] if schema is None else list(_keyed_lists(schema, ()))
        self._cel = CelRules(schema or {})

    def default(self, new: JsonObject) -> None:
        """Defaults stand in the schema."""

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        if self._validator is not None:
            causes = [cause for error in self._validator.iter_errors(new) for cause in _causes(error)]
            causes.extend(_duplicates(new, self._keyed))
            if causes:
                return causes
        return self._cel.causes(new, old)


def _keyed_lists(schema: JsonObject, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    if schema.get("x-kubernetes-list-type") in ("map", "set"):
        yield path, tuple(schema.get("x-kubernetes-list-map-keys", ()))
    for name, child in (schema.get("properties") or {}).items():
        yield from _keyed_lists(child, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from _keyed_lists(schema["items"], (*path, "[]"))


def _duplicates(obj: Any, keyed: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> Iterator[Cause]:
    for path, keys in keyed:
        for where, items in _reach(obj, path, ""):
            seen: set[bytes] = set()
            for at, item in enumerate(items if isinstance(items, list) else ()):
                key = orjson.dumps({name: item.get(name) for name in keys} if isinstance(item, dict) and keys else item)
                if key in seen:
                    yield Cause("FieldValueDuplicate", f"Duplicate value: {key.decode()}", f"{where}[{at}]")
                seen.add(key)


def _reach(value: Any, path: tuple[str, ...], where: str) -> Iterator[tuple[str, Any]]:
    if not path:
        yield where, value
    elif path[0] == "[]":
        for at, item in enumerate(value if isinstance(value, list) else ()):
            yield from _reach(item, path[1:], f"{where}[{at}]")
    elif isinstance(value, dict) and path[0] in value:
        yield from _reach(value[path[0]], path[1:], f"{where}.{path[0]}" if where else path[0])


def _causes(error: Any) -> Iterator[Cause]:
    """One JSON Schema error in Kubernetes' words."""
    field = _field(error.instance_path)
    kind = error.kind
    name = type(kind).__name__.rpartition("_")[2]
    match name:
        case "Required":
            missing = error.message.rpartition(" is a required property")[0].strip('"')
            yield Cause("FieldValueRequired", "Required value", f"{field}.{missing}" if field else missing)
        case "Enum":
            allowed = ", ".join(_shown(option) for option in kind.options if option is not None)
            told = f"Unsupported value: {_shown(error.instance)}: supported values: {allowed}"
            yield Cause("FieldValueNotSupported", told, field)
        case "Type":
            found = _json_type(error.instance)
            told = f'Invalid value: "{found}": {field} in body must be of type {_types(kind)}: "{found}"'
            yield Cause("FieldValueTypeInvalid", told, field)
        case "MaxLength":
            yield Cause("FieldValueTooLong", f"Too long: may not be more than {kind.limit} bytes", field)
        case "MaxItems":
            told = f"Too many: {len(error.instance)}: must have at most {kind.limit} items"
            yield Cause("FieldValueTooMany", told, field)
        case "UniqueItems":
            yield Cause("FieldValueDuplicate", "Duplicate value: items must be unique", field)
        case _:
            shown = str(len(error.instance)) if name == "MinItems" else _shown(error.instance)
            rule = _broken_bound(name, kind) or f": {error.message}"
            yield Cause("FieldValueInvalid", f"Invalid value: {shown}: {field} in body{rule}", field)


_BOUNDS = {
    "Minimum": "should be greater than or equal to {limit}",
    "Maximum": "should be less than or equal to {limit}",
    "ExclusiveMinimum": "should be greater than {limit}",
    "ExclusiveMaximum": "should be less than {limit}",
    "MinLength": "should be at least {limit} chars long",
    "MinItems": "should have at least {limit} items",
    "MinProperties": "should have at least {limit} properties",
    "MaxProperties": "should have at most {limit} properties",
    "Pattern": "should match '{pattern}'",
}


def _broken_bound(name: str, kind: Any) -> str:
    text = _BOUNDS.get(name)
    if text is None:
        return ""
    return " " + text.format(limit=_shown(getattr(kind, "limit", "")), pattern=getattr(kind, "pattern", ""))


def _types(kind: Any) -> str:
    return ",".join(sorted(name for name in kind.types if name != "null")) or "null"


def _field(path: list[str | int]) -> str:
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _json_type(value: Any) -> str:
    names = {
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
        dict: "object",
        list: "array",
        type(None): "null",
    }
    return names.get(type(value), "value")
