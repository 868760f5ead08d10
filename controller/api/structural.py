"""A pydantic model as a structural schema: the form that Kubernetes asks of a CustomResourceDefinition.

Structural means: a type at every level, no references, no `additionalProperties` beside `properties`, logic only in
`anyOf` of int-or-string. Source: apiextensions.k8s.io/v1, "Specifying a structural schema".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from controller.api.described import described

Schema = dict[str, Any]
Place = tuple[str, str]
"""A model's name and one of its properties, in camelCase."""

RECURSION = 10
"""How many levels of a model inside itself are written out; deeper ones are kept as they come."""

_PRESERVED: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_INT_OR_STRING: Schema = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
_COPIED = (
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)


@dataclass(frozen=True)
class Rule:
    """A CEL rule over several fields of one object."""

    rule: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a schema says beyond its models' fields."""

    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    """By model."""
    list_keys: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    """Lists whose items are told apart by these fields."""
    defaults: frozenset[Place] = frozenset()
    """Properties whose default the API server fills in."""
    embedded: Mapping[Place, type[BaseModel]] = field(default_factory=dict)
    """Properties that the model keeps as a plain object, and this model describes."""


def structural(model: type[BaseModel], extras: Extras) -> Schema:
    """Return the structural schema of one model.

    Raises:
        ValueError: the model has a part that a structural schema cannot say; the message names the place.
    """
    return _Renderer(extras).root(model)


def exactly_one(model: type[BaseModel], what: str, *, beside: tuple[str, ...] = ()) -> Rule:
    """Return the rule that one field of the model, and only one, is set; `beside` may stand beside it."""
    names = [name.alias or key for key, name in model.model_fields.items() if key not in beside]
    given = ", ".join(f"has(self.{name})" for name in names)
    return Rule(f"[{given}].filter(given, given).size() == 1", f"{what} has exactly one of {', '.join(names)}")


def one_line(text: str) -> str:
    """Return a docstring's first paragraphs without line breaks inside them."""
    return "\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


class _Renderer:
    """Walks one model's JSON schema; `path` holds the models that we are inside of."""

    def __init__(self, extras: Extras, *, embedded: bool = False) -> None:
        self.extras = extras
        self.embedded = embedded
        self.definitions: dict[str, Schema] = {}

    def root(self, model: type[BaseModel]) -> Schema:
        schema = described(model)
        self.definitions |= schema.pop("$defs", {})
        name = model.__name__
        if "$ref" in schema:  # pydantic writes a recursive root so
            return self.model(name, ())
        self.definitions[name] = schema
        return self.model(name, ())

    def model(self, name: str, path: tuple[str, ...]) -> Schema:
        """Render a definition, with its own rules; below the recursion limit, an object kept as it comes."""
        if path.count(name) > RECURSION:
            return dict(_PRESERVED)
        schema = self.definitions[name]
        inside = (*path, name)
        result: Schema = {"type": "object"} | self.description(schema, inside)
        if required := schema.get("required"):
            result["required"] = sorted(required)
        properties = schema.get("properties", {})
        if properties:
            result["properties"] = {key: self.property(name, key, properties[key], inside) for key in properties}
        if name not in path and (rules := self.extras.rules.get(name)):
            result["x-kubernetes-validations"] = [{"rule": each.rule, "message": each.message} for each in rules]
        return result

    def property(self, owner: str, key: str, schema: Schema, path: tuple[str, ...]) -> Schema:
        place = (owner, key)
        if embedded := self.extras.embedded.get(place):
            result = _Renderer(self.extras, embedded=True).root(embedded)
        else:
            result = self.node(schema, path, place)
        if place in self.extras.defaults:
            result["default"] = schema["default"]
        if keys := self.extras.list_keys.get(place):
            result |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
        return _type_first(result | self.description(schema, path))

    def description(self, schema: Schema, path: tuple[str, ...]) -> Schema:
        """Describe a field; in what is embedded, a model at its first level only, and not again inside itself."""
        text = schema.get("description")
        if not text or (self.embedded and len(set(path)) < len(path)):
            return {}
        return {"description": one_line(text)}

    def node(self, schema: Schema, path: tuple[str, ...], place: Place) -> Schema:
        """Render any schema below a property."""
        if "$ref" in schema:
            return self.model(schema["$ref"].removeprefix("#/$defs/"), path)
        if "anyOf" in schema:
            return self.union(schema["anyOf"], path, place)
        if "const" in schema:
            return {"type": "string", "enum": [schema["const"]]}
        match schema.get("type"):
            case "array" if "items" in schema:
                return {"type": "array"} | _constraints(schema) | {"items": self.node(schema["items"], path, place)}
            case "object":
                values = schema.get("additionalProperties", True)
                if not isinstance(values, dict):
                    return dict(_PRESERVED)
                return (
                    {"type": "object"} | _constraints(schema) | {"additionalProperties": self.node(values, path, place)}
                )
            case "string" | "integer" | "number" | "boolean" as kind:
                return {"type": kind} | _constraints(schema)
            case None if not set(schema) - {"title", "description", "default"}:
                return {"x-kubernetes-preserve-unknown-fields": True}
        raise ValueError(f"{place[0]}.{place[1]}: {schema!r} has no structural form")

    def union(self, options: list[Schema], path: tuple[str, ...], place: Place) -> Schema:
        """Render `X | None` as X, since the API server drops nulls, and `int | str` as an int-or-string."""
        given = [option for option in options if option.get("type") != "null"]
        if len(given) == 1:
            return self.node(given[0], path, place)
        if {option.get("type") for option in given} == {"integer", "string"} and len(given) == 2:
            return {**_INT_OR_STRING, **_constraints(given[0]), **_constraints(given[1])}
        raise ValueError(f"{place[0]}.{place[1]}: a union of {given!r} has no structural form")


def _type_first(schema: Schema) -> Schema:
    """Order the keys as people read them: the type, what it means, the rest."""
    return {key: schema[key] for key in ("type", "description") if key in schema} | schema


def _constraints(schema: Schema) -> Schema:
    """Copy what OpenAPI 3.0 can say, in its words: an exclusive limit is a flag beside the limit."""
    result = {key: schema[key] for key in _COPIED if key in schema}
    for limit, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if flag in schema:
            result |= {limit: schema[flag], flag: True}
    return result
