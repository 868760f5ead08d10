"""CEL rules of a schema (`x-kubernetes-validations`), compiled once and judged at every place that they stand at.

A value that did not change is not judged again, except by rules about the change itself: what was stored stays valid.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cel

from localcluster.apiserver.errors import Cause

JsonObject = dict[str, Any]
Path = tuple[str, ...]

_REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
_NOTHING: Any = object()
_LIST_LIBRARY: dict[str, Callable[..., Any]] = {"sum": sum, "min": min, "max": max}
"""Functions that Kubernetes adds to CEL for lists, as far as rules here have asked for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    text: str
    program: Any
    message: str
    message_program: Any | None
    reason: str
    field_path: str
    transition: bool
    reads: frozenset[str] | None
    """The fields of `self` and `oldSelf` that it reads; None when it may read all of them."""


@dataclass(slots=True)
class Place:
    """The rules at one place of a schema, and the places below it."""

    schema: JsonObject
    rules: list[Rule]
    fields: dict[str, "Place"]
    items: "Place | None"
    extra: "Place | None"
    transitions: bool
    """A rule here or below is about the change from the old value."""
    numbers: bool
    """A field here or below is a `number`."""

    def __bool__(self) -> bool:
        return bool(self.rules or self.fields or self.items or self.extra)


class CelRules:
    """Every rule of one schema. Raises ValueError naming a rule that does not compile."""

    def __init__(self, schema: JsonObject) -> None:
        self._root = _compile(schema, ())

    def causes(self, new: JsonObject, old: JsonObject | None) -> list[Cause]:
        if not self._root:
            return []
        return list(_judge(self._root, _named(new), _NOTHING if old is None else _named(old), ""))


def _named(obj: JsonObject) -> JsonObject:
    """An object as rules see it: of its metadata they see the names alone."""
    metadata = obj.get("metadata") or {}
    return {**obj, "metadata": {name: metadata[name] for name in ("name", "generateName") if name in metadata}}


def _compile(schema: JsonObject, path: Path) -> Place:
    rules = [_rule(found, path) for found in schema.get("x-kubernetes-validations") or ()]
    fields: dict[str, Place] = {}
    for name, child in (schema.get("properties") or {}).items():
        below = _compile(child, (*path, name))
        if below:
            fields[name] = below
    items = _compile(schema["items"], (*path, "[]")) if isinstance(schema.get("items"), dict) else None
    extra = schema.get("additionalProperties")
    values = _compile(extra, (*path, "*")) if isinstance(extra, dict) else None
    inside = [*fields.values(), *filter(None, (items, values))]
    transitions = any(rule.transition for rule in rules) or any(each.transitions for each in inside)
    return Place(schema, rules, fields, items or None, values or None, transitions, _has_numbers(schema))


def _has_numbers(schema: JsonObject) -> bool:
    parts = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return schema.get("type") == "number" or any(_has_numbers(part) for part in parts if isinstance(part, dict))


def _reads(text: str) -> frozenset[str] | None:
    """The fields that a rule names as `self.field`; None when it uses `self` in any other way."""
    named = re.findall(r"\b(?:self|oldSelf)\.([A-Za-z_]\w*)(?!\w*\()", text)
    return frozenset(named) if len(named) == len(re.findall(r"\b(?:self|oldSelf)\b", text)) else None


def _rule(found: JsonObject, path: Path) -> Rule:
    text = found["rule"]
    try:
        program = cel.compile(text)
        message = cel.compile(found["messageExpression"]) if found.get("messageExpression") else None
    except ValueError as error:
        raise ValueError(f"{'.'.join(path)}: rule {text!r}: {error}") from error
    return Rule(
        text=text,
        program=program,
        message=found.get("message", ""),
        message_program=message,
        reason=found.get("reason", "FieldValueInvalid"),
        field_path=found.get("fieldPath", ""),
        transition="oldSelf" in text and not found.get("optionalOldSelf"),
        reads=_reads(f"{text} {found.get('messageExpression') or ''}"),
    )


def _judge(place: Place, new: Any, old: Any, where: str) -> Iterator[Cause]:
    if new is None or (new == old and not place.transitions):
        return
    for rule in place.rules:
        cause = _broken(rule, place, new, old, where)
        if cause is not None:
            yield cause
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        for name, below in place.fields.items():
            if name in new:
                yield from _judge(below, new[name], before.get(name, _NOTHING), f"{where}.{name}" if where else name)
        if place.extra is not None:
            declared = place.schema.get("properties") or {}
            for name, value in new.items():
                if name not in declared:
                    yield from _judge(place.extra, value, before.get(name, _NOTHING), f"{where}[{name}]")
    elif isinstance(new, list) and place.items is not None:
        matched = _matched(place.schema, old)
        for at, item in enumerate(new):
            yield from _judge(place.items, item, matched.get(_key(place.schema, item), _NOTHING), f"{where}[{at}]")


def _key(schema: JsonObject, item: Any) -> Any:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return tuple(repr(item.get(name)) for name in keys) if keys and isinstance(item, dict) else None


def _matched(schema: JsonObject, old: Any) -> dict[Any, Any]:
    """Items of the old list by key: only keyed lists can say which item was which."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, item): item for item in old}


def _broken(rule: Rule, place: Place, new: Any, old: Any, where: str) -> Cause | None:
    if rule.transition and old is _NOTHING:
        return None
    context: JsonObject = {"self": _seen(rule, place, new)}
    if old is not _NOTHING:
        context["oldSelf"] = _seen(rule, place, old)
    field = where + (
        rule.field_path if rule.field_path.startswith((".", "[")) else f".{rule.field_path}" if rule.field_path else ""
    )
    field = field.lstrip(".")
    try:
        if rule.program.execute(cel.Context(variables=context, functions=_LIST_LIBRARY)) is True:
            return None
        message = _message(rule, context)
    except (RuntimeError, TypeError, ValueError) as error:
        message = f"rule evaluation error: {error}: {rule.text}"
    head = _REASONS.get(rule.reason, "Invalid value")
    shown = f'"{place.schema.get("type", "")}"' if rule.reason == "FieldValueInvalid" else ""
    return Cause(rule.reason, f"{head}: {shown}: {message}" if shown else f"{head}: {message}", field)


def _message(rule: Rule, context: JsonObject) -> str:
    if rule.message_program is not None:
        try:
            told = rule.message_program.execute(cel.Context(variables=context, functions=_LIST_LIBRARY))
        except (RuntimeError, TypeError, ValueError):
            told = ""
        if isinstance(told, str) and told.strip():
            return told
    return rule.message or f"failed rule: {rule.text}"


def _seen(rule: Rule, place: Place, value: Any) -> Any:
    """What a rule reads of a value: all of it costs time for each field."""
    if rule.reads is not None and isinstance(value, dict):
        value = {name: value[name] for name in rule.reads if name in value}
    return _typed(value, place.schema) if place.numbers else value


def _typed(value: Any, schema: JsonObject) -> Any:
    """JSON has one kind of number, CEL two: whole numbers in a `number` field become doubles."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and schema.get("type") == "number":
        return float(value)
    if isinstance(value, dict):
        fields = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        rest = extra if isinstance(extra, dict) else {}
        return {name: _typed(child, fields.get(name, rest)) for name, child in value.items()}
    if isinstance(value, list):
        items = schema.get("items")
        below = items if isinstance(items, dict) else {}
        return [_typed(child, below) for child in value]
    return value
