"""The OpenAPI document of one deployment in the v2 (Open Inference) protocol."""

from typing import Any

from orchestrator.servers.openapi import answers, body_of

_PARAMETERS = {"type": "object", "description": "By name: text, numbers or booleans."}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "description": "The values are in data, or behind the JSON, as many bytes as the parameter binary_data_size says.",
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string", "description": "BOOL, INT64, FP32, BYTES and so on."},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "parameters": _PARAMETERS,
        "data": {},
    },
}
_WANTED = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": _PARAMETERS,
        "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/WantedOutput"}},
    },
}
_RESPONSE = {
    "type": "object",
    "required": ["outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": _PARAMETERS,
        "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
    },
}
_FAILURE = {
    "type": "object",
    "description": "Of our own failures; a node's are as the node says them.",
    "properties": {
        "status": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "info": {"type": "string"},
                "reason": {"type": "string"},
                "status": {"type": "string"},
            },
        }
    },
}
_ANYTHING: dict[str, Any] = {"type": "object"}
_NAME = {
    "name": "model_name",
    "in": "path",
    "required": True,
    "description": "A node, with what is below it, or the graph.",
    "schema": {"type": "string", "minLength": 1},
}
_VERSION = {"name": "model_version", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def document(namespace: str, deployment: str) -> dict[str, Any]:
    """OpenAPI 3 of the graph's doors, as they are reached through the gateway."""
    base = f"/seldon/{namespace}/{deployment}/v2"
    paths = {
        base: _get("ServerMetadata"),
        f"{base}/health/live": _get("ServerLive"),
        f"{base}/health/ready": _get("ServerReady"),
        f"{base}/models/infer": {"post": _infer("GraphInfer")},
    }
    for end, more, which in (("", [_NAME], "Model"), ("/versions/{model_version}", [_NAME, _VERSION], "ModelVersion")):
        model = f"{base}/models/{{model_name}}{end}"
        paths[model] = {**_get(f"{which}Metadata"), "parameters": more}
        paths[f"{model}/ready"] = {**_get(f"{which}Ready"), "parameters": more}
        paths[f"{model}/infer"] = {"post": _infer(f"{which}Infer"), "parameters": more}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{deployment} in {namespace}",
            "version": "2.0",
            "description": "The Open Inference Protocol (v2).",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Tensor": _TENSOR,
                "WantedOutput": _WANTED,
                "InferenceRequest": _REQUEST,
                "InferenceResponse": _RESPONSE,
                "Failure": _FAILURE,
            }
        },
    }


def _get(name: str) -> dict[str, Any]:
    return {"get": {"operationId": name, "responses": answers(_ANYTHING, "Failure")}}


def _infer(name: str) -> dict[str, Any]:
    response = {"$ref": "#/components/schemas/InferenceResponse"}
    return {"operationId": name, "requestBody": body_of("InferenceRequest"), "responses": answers(response, "Failure")}
