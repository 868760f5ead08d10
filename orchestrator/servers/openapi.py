"""The OpenAPI document of one deployment, and a page to read it on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

HTML = b"text/html; charset=utf-8"
JSON = b"application/json"

_STATUS = {
    "type": "object",
    "properties": {
        "code": {"type": "integer"},
        "info": {"type": "string"},
        "reason": {"type": "string"},
        "status": {"type": "string", "enum": ["SUCCESS", "FAILURE"]},
    },
}
_DATA = {
    "type": "object",
    "description": "One of tensor, ndarray and tftensor.",
    "properties": {
        "names": {"type": "array", "items": {"type": "string"}},
        "tensor": {
            "type": "object",
            "properties": {
                "shape": {"type": "array", "items": {"type": "integer"}},
                "values": {"type": "array", "items": {"type": "number"}},
            },
        },
        "ndarray": {"type": "array", "items": {}},
        "tftensor": {"type": "object"},
    },
}
_META = {
    "type": "object",
    "properties": {
        "puid": {"type": "string"},
        "tags": {"type": "object"},
        "routing": {"type": "object", "additionalProperties": {"type": "integer"}},
        "requestPath": {"type": "object", "additionalProperties": {"type": "string"}},
        "metrics": {"type": "array", "items": {"type": "object"}},
    },
}
_MESSAGE = {
    "type": "object",
    "description": "At most one of data, binData, strData and jsonData.",
    "properties": {
        "status": {"$ref": "#/components/schemas/Status"},
        "meta": {"$ref": "#/components/schemas/Meta"},
        "data": {"$ref": "#/components/schemas/DefaultData"},
        "binData": {"type": "string", "format": "byte"},
        "strData": {"type": "string"},
        "jsonData": {},
    },
}
_FEEDBACK = {
    "type": "object",
    "properties": {
        "request": {"$ref": "#/components/schemas/SeldonMessage"},
        "response": {"$ref": "#/components/schemas/SeldonMessage"},
        "truth": {"$ref": "#/components/schemas/SeldonMessage"},
        "reward": {"type": "number"},
    },
}


@dataclass(frozen=True, slots=True)
class Documents:
    """Static pages: path to content type and bytes."""

    pages: Mapping[str, tuple[bytes, bytes]]


def documents(namespace: str, deployment: str) -> Documents:
    """The pages of a deployment in the Seldon protocol."""
    text = orjson.dumps(document(namespace, deployment))
    pages = {}
    for version in ("v0.1", "v1.0"):
        pages[f"/api/{version}/doc/"] = pages[f"/api/{version}/doc"] = (HTML, _PAGE)
        pages[f"/api/{version}/doc/seldon.json"] = (JSON, text)
    return Documents(pages)


def document(namespace: str, deployment: str) -> dict[str, Any]:
    """OpenAPI 3 of the graph's doors, as they are reached through the gateway."""
    base = f"/seldon/{namespace}/{deployment}/api/v1.0"
    return {
        "openapi": "3.0.3",
        "info": {"title": f"{deployment} in {namespace}", "version": "1.0", "description": "The Seldon protocol."},
        "paths": {
            f"{base}/predictions": _operation("Predict", "SeldonMessage"),
            f"{base}/feedback": _operation("SendFeedback", "Feedback"),
            f"{base}/metadata": {"get": {"operationId": "GraphMetadata", "responses": _answers({"type": "object"})}},
            f"{base}/status": {"get": {"operationId": "Status", "responses": _answers({"type": "object"})}},
        },
        "components": {
            "schemas": {
                "Status": _STATUS,
                "Meta": _META,
                "DefaultData": _DATA,
                "SeldonMessage": _MESSAGE,
                "Feedback": _FEEDBACK,
            }
        },
    }


def _operation(name: str, schema: str) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
            },
            "responses": _answers({"$ref": "#/components/schemas/SeldonMessage"}),
        }
    }


def _answers(schema: Mapping[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": dict(schema)}}
    failed = {"application/json": {"schema": {"$ref": "#/components/schemas/SeldonMessage"}}}
    return {
        "200": {"description": "The answer", "content": content},
        "default": {"description": "What went wrong", "content": failed},
    }


_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>API</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem}
pre{background:#f4f4f4;padding:1rem;overflow:auto}</style>
<h1 id="title">API</h1><p>The document itself: <a href="seldon.json">seldon.json</a></p><div id="paths"></div>
<script>
fetch("seldon.json").then(r => r.json()).then(d => {
  document.getElementById("title").textContent = d.info.title;
  for (const [path, verbs] of Object.entries(d.paths)) for (const [verb, operation] of Object.entries(verbs)) {
    const h = document.createElement("h2"); h.textContent = verb.toUpperCase() + " " + path;
    const p = document.createElement("pre"); p.textContent = JSON.stringify(operation, null, 2);
    document.getElementById("paths").append(h, p);
  }
});
</script>
"""
