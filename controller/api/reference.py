"""The reference of all kinds and the table of permissions, as Markdown, out of the models and the table."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from controller.api.crds import KINDS, Kind
from controller.api.described import described
from controller.api.meta import DURATION_PATTERN
from controller.api.permissions import PERMISSIONS, Permission
from controller.api.rules import EXTRAS
from controller.api.structural import Schema, one_line

_HEADER = "<!-- Rendered from controller/api by `make crds`; edit that instead. -->\n"
_INTRODUCTION = """\
# Reference

Every field of our kinds. `kubectl explain` shows the same. A field without a default is empty when absent; **bold**
ones are required. A duration is such as `30s`, `5m`, `1h30m`, or a number of seconds.
"""


def reference() -> str:
    """Return the reference of all kinds: every field with type, default and meaning."""
    known: dict[str, Schema] = {}
    return "\n".join([_HEADER, _INTRODUCTION, *(_kind(kind, known) for kind in KINDS)])


def _kind(kind: Kind, known: dict[str, Schema]) -> str:
    definitions = _definitions(kind.model)
    scope = "In a namespace" if kind.namespaced else "For the whole cluster"
    short = ", ".join(f"`{name}`" for name in kind.short)
    versions = ", ".join(f"`{kind.group}/{version}`" for version in kind.versions)
    lines = [
        f"## {kind.name}\n",
        f"{one_line(definitions[kind.name]['description'])}\n",
        f"API: {versions}. Short name: {short}. {scope}.\n",
        _table(kind.name, definitions[kind.name]),
    ]
    for name, schema in definitions.items():
        if name == kind.name:
            continue
        if name in known:
            if known[name] != schema:
                raise ValueError(f"two models have the name {name}; expected one, since the reference links by name")
            continue
        known[name] = schema
        lines.append(f"### {name}\n\n{one_line(schema.get('description', ''))}\n\n{_table(name, schema)}")
    return "\n".join(lines)


def _definitions(model: type[BaseModel]) -> dict[str, Schema]:
    """Return a model's parts by name, in the order in which a reader meets them, embedded ones included."""
    found: dict[str, Schema] = {}
    schema = described(model)
    pool: dict[str, Schema] = schema.pop("$defs", {})
    pool[model.__name__] = schema
    for embedded in EXTRAS.embedded.values():
        inner = described(embedded)
        pool |= inner.pop("$defs", {})
        pool[embedded.__name__] = inner
    waiting = [model.__name__]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = pool[name]
            waiting[:0] = list(_named(name, pool[name]))
    return found


def _named(owner: str, schema: Schema) -> Iterator[str]:
    for key, prop in schema.get("properties", {}).items():
        if embedded := EXTRAS.embedded.get((owner, key)):
            yield embedded.__name__
        else:
            yield from _links(prop)


def _links(schema: Any) -> Iterator[str]:
    """Yield the names of the models that a schema refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.removeprefix("#/$defs/")
            elif key != "default":
                yield from _links(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _links(value)


def _table(owner: str, schema: Schema) -> str:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    required = schema.get("required", ())
    for key, prop in schema.get("properties", {}).items():
        name = f"**{key}**" if key in required else key
        embedded = EXTRAS.embedded.get((owner, key))
        kind = _link(embedded.__name__) if embedded else _type(prop)
        text = one_line(prop.get("description", "")).replace("\n", " ")
        rows.append(f"| {name} | {kind} | {_default(prop)} | {text.replace('|', chr(92) + '|')} |")
    rules = [f"- {rule.message[0].upper()}{rule.message[1:]}." for rule in EXTRAS.rules.get(owner, ())]
    return "\n".join([*rows, "", *rules, ""] if rules else [*rows, ""])


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"].removeprefix("#/$defs/"))
    if "anyOf" in schema:
        given = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if any(option.get("pattern") == DURATION_PATTERN for option in given):
            return "duration"
        return " or ".join(_type(option) for option in given)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value)
    match kind := str(schema.get("type", "any")):
        case "array":
            return f"list of {_type(schema['items'])}"
        case "object":
            values = schema.get("additionalProperties", True)
            return f"map of {_type(values)}" if isinstance(values, dict) else "object"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case "integer" | "number":
            return kind + _range(schema)
        case _:
            return kind


def _range(schema: Schema) -> str:
    """Say the limits of a number; those of a 32-bit integer go without saying."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    low = None if low is not None and low <= -(2**31) else low
    high = None if high is not None and high >= 2**31 - 1 else high
    above = "above " if "exclusiveMinimum" in schema else ""
    below = "below " if "exclusiveMaximum" in schema else ""
    if low is not None and high is not None:
        return f" ({above}{low} to {below}{high})"
    if low is not None:
        return f" ({above or 'at least '}{low})"
    return f" ({below or 'at most '}{high})" if high is not None else ""


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict | list):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def permissions() -> str:
    """Return the table of what the controllers may do in a cluster, and why."""
    rows = "\n".join(_permission(permission) for permission in PERMISSIONS)
    return f"""{_HEADER}
# Permissions

Exactly what the code calls; a test reads the calls out of the code and compares. `operator` and `rollout` are
ClusterRoles of the controllers, bound separately; `own` is a Role in the controller's namespace. `webhook` (a
ClusterRole) and `webhook-own` (a Role) come with the component `webhook` alone. Discovery (`/apis/...`) is open to
every account of a cluster. Roles and pods are not written; Secrets are read one by one, and never listed.

| role | group | resources | verbs | why |
|---|---|---|---|---|
{rows}
"""


def _permission(permission: Permission) -> str:
    names = f" (only `{'`, `'.join(permission.names)}`)" if permission.names else ""
    resources = ", ".join(f"`{name}`" for name in permission.resources)
    cells = (
        permission.part,
        permission.group or "core",
        resources + names,
        ", ".join(permission.verbs),
        permission.why,
    )
    return f"| {' | '.join(cells)} |"
