"""The shape of an object: what a schema says of merging, ownership, pruning and defaults, compiled once.

A `Shape` answers for one place in an object. Lists are atomic, a set of scalars, or keyed by some fields of their
items, as `x-kubernetes-list-type` says; maps are granular unless `x-kubernetes-map-type: atomic`. What no schema
describes is `ANY`: maps are granular there, lists atomic (the same deduction that server-side apply makes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from localcluster.apiserver import definitions, wire_table

JsonObject = dict[str, Any]
Form = Literal["scalar", "map", "list", "any"]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
MISSING: Any = object()


@dataclass(slots=True, eq=False)
class Shape:
    """One place in an object. `fields` are its declared fields, `items` what an item or an undeclared key holds.

    `embedded` are the fields that are part of every object, empty or not, so that they never come or go.
    `omits_zero`: zero means absent. A shape is filled in after it is made, because schemas may refer to themselves;
    nobody changes it after that.
    """

    form: Form = "any"
    type: str = ""
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    keys: tuple[str, ...] = ()
    is_set: bool = False
    atomic: bool = False
    preserve: bool = False
    nullable: bool = False
    embedded: frozenset[str] = frozenset()
    omits_zero: bool = False
    default: Any = MISSING
    has_defaults: bool = False
    merge_key: str = ""
    strategy: tuple[str, ...] = ()
    shared: bool = False

    def child(self, name: str) -> Shape:
        """What stands under a key of a map."""
        declared = self.fields.get(name)
        if declared is not None:
            return declared
        return self.items or ANY

    def element(self) -> Shape:
        return self.items or ANY


ANY = Shape(form="any", preserve=True)


def builtin(name: str) -> Shape:
    """The shape of a built-in definition, by its full name."""
    return _Compiler(definitions.load(), builtin=True).named(name)


def custom(schema: JsonObject | None) -> Shape:
    """The shape of a custom resource: its structural schema, and the metadata that every object has."""
    compiler = _Compiler(definitions.load(), builtin=False)
    shape = Shape(form="map", preserve=True) if schema is None else compiler.inline(schema)
    return _as_resource(shape)


def _as_resource(shape: Shape) -> Shape:
    shape.form = "map"
    shape.fields["apiVersion"] = Shape(form="scalar", type="string")
    shape.fields["kind"] = Shape(form="scalar", type="string")
    shape.fields["metadata"] = builtin(OBJECT_META)
    shape.embedded = frozenset({"metadata"})
    return shape


def _fields_of(name: str) -> Iterator[wire_table.Field]:
    for known in wire_table.load().get(name, {}).values():
        if known.inline:
            yield from _fields_of(known.inline)
        else:
            yield known


class _Compiler:
    """Turns schemas to shapes. A named definition is compiled once, so that recursion ends."""

    _named: dict[str, Shape] = {}  # noqa: RUF012 - shared on purpose: definitions never change

    def __init__(self, known: dict[str, JsonObject], *, builtin: bool) -> None:
        self._known = known
        self._builtin = builtin

    def named(self, name: str) -> Shape:
        shape = self._named.get(name)
        if shape is None:
            shape = self._named[name] = Shape(shared=True)
            self._fill(shape, self._known[name])
            if name == QUANTITY:
                shape.type = ""
            self._learn_zeros(shape, name)
        return shape

    def _learn_zeros(self, shape: Shape, name: str) -> None:
        """What the API's own types say: which structs are always there, and which zero values are never written."""
        written = [known for known in _fields_of(name) if known.name in shape.fields]
        shape.embedded = frozenset(known.name for known in written if known.zero or not known.pointer)
        for known in written:
            child = shape.fields[known.name]
            if child.form == "scalar" and not child.shared:
                child.omits_zero = not known.pointer and not known.zero

    def inline(self, schema: JsonObject) -> Shape:
        name = definitions.reference(schema)
        if name and not self._refines(schema):
            return self.named(name)
        shape = Shape()
        self._fill(shape, {**self._known[name], **schema} if name else schema)
        return shape

    @staticmethod
    def _refines(schema: JsonObject) -> bool:
        return any(key in schema for key in ("default", "x-kubernetes-patch-strategy", "x-kubernetes-map-type"))

    def _fill(self, shape: Shape, schema: JsonObject) -> None:
        shape.type = schema.get("type", "")
        shape.nullable = bool(schema.get("nullable"))
        shape.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        shape.default = schema.get("default", MISSING)
        shape.merge_key = schema.get("x-kubernetes-patch-merge-key", "")
        shape.strategy = tuple(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(",")))
        if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
            shape.form, shape.type = "scalar", ""
        elif shape.type == "object" or "properties" in schema or "additionalProperties" in schema:
            self._fill_map(shape, schema)
        elif shape.type == "array":
            self._fill_list(shape, schema)
        elif shape.type:
            shape.form = "scalar"
        else:
            shape.form, shape.preserve = "any", True
        children = [*shape.fields.values(), *([shape.items] if shape.items else [])]
        shape.has_defaults = any(child.has_defaults or child.default is not MISSING for child in children)

    def _fill_map(self, shape: Shape, schema: JsonObject) -> None:
        shape.form = "map"
        shape.atomic = schema.get("x-kubernetes-map-type") == "atomic"
        shape.fields = {name: self.inline(child) for name, child in schema.get("properties", {}).items()}
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            shape.items = self.inline(extra)
        elif extra is True or (self._builtin and not shape.fields):
            shape.preserve = True
        if schema.get("x-kubernetes-embedded-resource"):
            _as_resource(shape)

    def _fill_list(self, shape: Shape, schema: JsonObject) -> None:
        shape.form = "list"
        shape.items = self.inline(schema.get("items") or {})
        kind = schema.get("x-kubernetes-list-type", "atomic")
        shape.atomic = kind == "atomic"
        shape.is_set = kind == "set"
        shape.keys = tuple(schema.get("x-kubernetes-list-map-keys", ())) if kind == "map" else ()
