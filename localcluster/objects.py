"""Kubernetes objects as the API gives them, their keys and paths, and the errors that the API answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

Object = dict[str, Any]
Key = tuple[str, str]


class ApiError(Exception):
    """The server refused or could not be reached (status 0); `reason` is Kubernetes' machine-readable word."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class NotFoundError(ApiError):
    """404: there is no such object, or no such kind."""


class ConflictError(ApiError):
    """409: changed meanwhile, or exists already (reason AlreadyExists)."""


class GoneError(ApiError):
    """410: the resourceVersion is too old to go on from; list again."""


def error_of(status: int, body: bytes) -> ApiError:
    """The error for an answer, from the Status object in its body where there is one."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    said = parsed if isinstance(parsed, dict) else {}
    reason, message = str(said.get("reason") or ""), str(said.get("message") or body[:300].decode(errors="replace"))
    kind = {404: NotFoundError, 409: ConflictError, 410: GoneError}.get(status, ApiError)
    return kind(status, reason, message)


def key_of(obj: Mapping[str, Any]) -> Key:
    """(namespace, name); the namespace of a cluster-wide object is empty."""
    meta = obj["metadata"]
    return meta.get("namespace") or "", meta["name"]


def version_of(obj: Mapping[str, Any]) -> int:
    """The resourceVersion as a number: it grows with every write in etcd and in our own server."""
    version = obj["metadata"].get("resourceVersion") or "0"
    return int(version) if version.isdigit() else 0


def path_of(group_version: str, plural: str, *, namespace: str | None = None, name: str = "", sub: str = "") -> str:
    """The REST path, for example `/apis/apps/v1/namespaces/ml/deployments/iris/status`."""
    root = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
    parts = [root, *(("namespaces", namespace) if namespace else ()), plural, *((name,) if name else ())]
    return "/".join([*parts, sub] if sub else parts)
