"""The OpenAPI documents, v2 and v3, from which kubectl learns fields and what the server validates."""

import hashlib
from typing import Any

import orjson

from localcluster.apiserver import definitions
from localcluster.apiserver.http import Response
from localcluster.apiserver.kinds import Kind, Kinds

JsonObject = dict[str, Any]

_INFO = {"title": "Kubernetes", "version": "v1.32.4"}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_V2_PREFIX = "#/definitions/"
_V3_PREFIX = "#/components/schemas/"
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_NO_SCHEMAS = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.32.4"
"""An OpenAPI v2 document in protobuf with its version and its title alone (swagger = 1, info = 2: title, version).

kubectl asks for it in this form, for a List: of its items it finds no schema there, and leaves them to the server.
"""


class Documents:
    """Rendered when first asked for, and again when the served kinds change."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._generation = -1
        self._rendered: dict[str, tuple[bytes, str]] = {}

    def answer(self, path: str, headers: dict[str, str]) -> Response | None:
        if not path.startswith("/openapi/"):
            return None
        if path == "/openapi/v2" and "proto-openapi" in headers.get("accept", ""):
            return Response(200, _NO_SCHEMAS, _PROTOBUF)
        if self._generation != self._kinds.generation:
            self._rendered = {}
            self._generation = self._kinds.generation
        if path not in self._rendered:
            document = self._document(path)
            if document is None:
                return None
            body = orjson.dumps(document)
            self._rendered[path] = (body, f'"{hashlib.sha256(body).hexdigest().upper()}"')
        body, tag = self._rendered[path]
        if tag in headers.get("if-none-match", ""):
            return Response(304, b"", headers=(("ETag", tag),))
        return Response(200, body, headers=(("ETag", tag), ("Vary", "Accept")))

    def _document(self, path: str) -> JsonObject | None:
        if path == "/openapi/v2":
            return v2(list(self._kinds))
        if path == "/openapi/v3":
            return self._index()
        parts = path.removeprefix("/openapi/v3/").split("/")
        match parts:
            case ["api", version]:
                found = self._kinds.at("", version)
            case ["apis", group, version]:
                found = self._kinds.at(group, version)
            case _:
                return None
        return v3(found) if found else None

    def _index(self) -> JsonObject:
        paths: JsonObject = {}
        for group, versions in self._kinds.groups().items():
            for version in versions:
                name = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha256(orjson.dumps(v3(self._kinds.at(group, version)))).hexdigest().upper()
                paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        return {"paths": paths}


def v3(kinds: list[Kind]) -> JsonObject:
    """The OpenAPI v3 document of one group and version."""
    schemas = _schemas(kinds)
    paths: JsonObject = {}
    for kind in kinds:
        paths.update(_paths(kind, v3_form=True))
    converted = {name: _rewritten(schema) for name, schema in schemas.items()}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": converted}}


def v2(kinds: list[Kind]) -> JsonObject:
    paths: JsonObject = {}
    for kind in kinds:
        paths.update(_paths(kind, v3_form=False))
    return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": _schemas(kinds)}


def _schemas(kinds: list[Kind]) -> dict[str, JsonObject]:
    """The definitions of some kinds, their lists, and everything that they refer to."""
    known = definitions.load()
    found: dict[str, JsonObject] = {}
    pending = [_META + "ObjectMeta", _META + "ListMeta", _META + "Status", _META + "DeleteOptions"]
    for kind in kinds:
        if kind.custom:
            found[kind.definition] = _custom(kind)
        else:
            pending.append(kind.definition)
        if "list" in kind.verbs:
            found[kind.definition + "List"] = _list(kind)
        if kind.scale is not None:
            pending.append("io.k8s.api.autoscaling.v1.Scale")
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = known[name]
            pending.extend(_references(known[name]))
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        name = definitions.reference(node) if isinstance(node.get("$ref"), str) else ""
        return ([name] if name else []) + [ref for child in node.values() for ref in _references(child)]
    if isinstance(node, list):
        return [ref for child in node for ref in _references(child)]
    return []


def _names(kind: Kind, suffix: str = "") -> list[JsonObject]:
    return [{"group": kind.group, "kind": kind.kind + suffix, "version": kind.version}]


def _custom(kind: Kind) -> JsonObject:
    schema = dict(kind.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    properties = dict(schema.get("properties") or {})
    properties["apiVersion"] = {"type": "string"}
    properties["kind"] = {"type": "string"}
    properties["metadata"] = {"$ref": f"{_V2_PREFIX}{_META}ObjectMeta"}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": _names(kind)}


def _list(kind: Kind) -> JsonObject:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"{_V2_PREFIX}{_META}ListMeta"},
            "items": {"type": "array", "items": {"$ref": _V2_PREFIX + kind.definition}},
        },
        "x-kubernetes-group-version-kind": _names(kind, "List"),
    }


def _rewritten(node: Any) -> Any:
    """A v2 schema as v3: other places for references, and defaults that a reference may carry."""
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str):
            moved = {"$ref": ref.replace(_V2_PREFIX, _V3_PREFIX)}
            rest = {key: _rewritten(value) for key, value in node.items() if key != "$ref"}
            return {"allOf": [moved], **rest} if rest else moved
        return {key: _rewritten(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_rewritten(child) for child in node]
    return node


def _paths(kind: Kind, *, v3_form: bool) -> JsonObject:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    base = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    verbs = {
        base: (("get", "list", "list"), ("post", "create", "post"), ("delete", "deletecollection", "deletecollection")),
        base + "/{name}": (
            ("get", "get", "get"),
            ("put", "update", "put"),
            ("patch", "patch", "patch"),
            ("delete", "delete", "delete"),
        ),
    }
    paths: JsonObject = {}
    for path, methods in verbs.items():
        operations = {
            method: _operation(kind, action, v3_form) for method, verb, action in methods if verb in kind.verbs
        }
        if operations:
            paths[path] = operations
    return paths


def _operation(kind: Kind, action: str, v3_form: bool) -> JsonObject:
    reference = (_V3_PREFIX if v3_form else _V2_PREFIX) + kind.definition + ("List" if action == "list" else "")
    schema = {"$ref": reference}
    response: JsonObject = {"description": "OK"}
    if v3_form:
        response["content"] = {"application/json": {"schema": schema}}
    else:
        response["schema"] = schema
    operation: JsonObject = {
        "operationId": f"{action}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}",
        "responses": {"200": response},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _names(kind)[0],
    }
    if action in ("post", "put", "patch"):
        operation["parameters"] = [_parameter(name, v3_form) for name in _WRITE_PARAMETERS]
    return operation


def _parameter(name: str, v3_form: bool) -> JsonObject:
    shape: JsonObject = (
        {"schema": {"type": "string", "uniqueItems": True}} if v3_form else {"type": "string", "uniqueItems": True}
    )
    return {"name": name, "in": "query", **shape}
