"""The OpenAPI document of one deployment, and a page to read it on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

HTML = b"text/html; charset=utf-8"
JSON = b"application/json"
YAML = b"application/yaml"

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


def documents(protocol: str, namespace: str, deployment: str) -> Documents:
    """The pages of a deployment; none in the TensorFlow protocol, as upstream has it."""
    if protocol == "seldon":
        text = orjson.dumps(document(namespace, deployment))
        return Documents(
            {**_pages("/api/v0.1/doc", "seldon.json", JSON, text), **_pages("/api/v1.0/doc", "seldon.json", JSON, text)}
        )
    if protocol == "v2":
        from orchestrator.servers.openapi_inference import document as inference

        # JSON is YAML, too.
        return Documents(_pages("/v2/docs", "dataplane.yaml", YAML, orjson.dumps(inference(namespace, deployment))))
    return Documents({})


def _pages(folder: str, name: str, content_type: bytes, text: bytes) -> dict[str, tuple[bytes, bytes]]:
    page = (HTML, _PAGE.replace(b"seldon.json", name.encode()))
    return {folder: page, f"{folder}/": page, f"{folder}/{name}": (content_type, text)}


def document(namespace: str, deployment: str) -> dict[str, Any]:
    """OpenAPI 3 of the graph's doors, as they are reached through the gateway."""
    base = f"/seldon/{namespace}/{deployment}/api/v1.0"
    return {
        "openapi": "3.0.3",
        "info": {"title": f"{deployment} in {namespace}", "version": "1.0", "description": "The Seldon protocol."},
        "paths": {
            f"{base}/predictions": _operation("Predict", "SeldonMessage"),
            f"{base}/feedback": _operation("SendFeedback", "Feedback"),
            f"{base}/metadata": {"get": {"operationId": "GraphMetadata", "responses": answers({"type": "object"})}},
            f"{base}/status": {"get": {"operationId": "Status", "responses": answers({"type": "object"})}},
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
            "requestBody": body_of(schema),
            "responses": answers({"$ref": "#/components/schemas/SeldonMessage"}),
        }
    }


def body_of(schema: str) -> dict[str, Any]:
    """A request's body, by the name of its schema."""
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def answers(schema: Mapping[str, Any], failure: str = "SeldonMessage") -> dict[str, Any]:
    """What comes back: an answer of that schema, or what went wrong, by the name of its schema."""
    content = {"application/json": {"schema": dict(schema)}}
    failed = {"application/json": {"schema": {"$ref": f"#/components/schemas/{failure}"}}}
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
if (!location.pathname.endsWith("/")) location.replace(location.pathname + "/");
else fetch("seldon.json").then(r => r.json()).then(d => {
  document.getElementById("title").textContent = d.info.title;
  for (const [path, verbs] of Object.entries(d.paths)) for (const [verb, operation] of Object.entries(verbs)) {
    const h = document.createElement("h2"); h.textContent = verb.toUpperCase() + " " + path;
    const p = document.createElement("pre"); p.textContent = JSON.stringify(operation, null, 2);
    document.getElementById("paths").append(h, p);
  }
});
</script>
"""
