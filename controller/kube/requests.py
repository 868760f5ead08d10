"""Requests to the API server as data: pure functions say what is sent, and `client` sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import orjson

from controller.kube.objects import Object
from controller.kube.resources import Resource

FIELD_MANAGER = "seldon-rollouts"
JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""Rows with the printer columns of a kind, in the place of its objects."""
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, before it is sent.

    Args:
        verb: the API's verb, for metrics and messages: get, list, watch, create, update, patch, apply, delete.
        method: the HTTP method.
        path: the path, quoted.
        query: the query's parameters, in order.
        body: the bytes to send, if any.
        content_type: what the body is.
        accept: what the answer is to be.
        idempotent: whether sending it twice does no harm when the first answer was lost.
        about: what it is about, for messages, without any content.
    """

    verb: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    idempotent: bool = False
    about: str = ""

    @property
    def target(self) -> str:
        """The path with its query, quoted."""
        if not self.query:
            return self.path
        return self.path + "?" + "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in self.query)


def _about(verb: str, resource: Resource, namespace: str | None, name: str = "") -> str:
    where = "/".join(part for part in (namespace if resource.namespaced else None, name) if part)
    return f"{verb} {resource.name} {where}".rstrip()


def name_of(resource: Resource, obj: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return namespace (None for a cluster-scoped kind) and name of an object that is about to be written.

    Raises:
        ValueError: there is no name, or no namespace where one is needed.
    """
    metadata = obj.get("metadata") or {}
    name, namespace = metadata.get("name") or "", metadata.get("namespace")
    if not name:
        raise ValueError(f"{resource.kind}: metadata.name is empty; expected a name")
    if not resource.namespaced:
        return None, name
    if not namespace:
        raise ValueError(f"{resource.kind} {name!r}: metadata.namespace is empty; expected a namespace")
    return namespace, name


def discover(path: str) -> Request:
    """Read any path, such as `/apis/apps/v1` or `/version`."""
    return Request(verb="get", method="GET", path=path, idempotent=True, about=f"get {path}")


def get(resource: Resource, namespace: str | None, name: str) -> Request:
    """Read one object."""
    path = resource.path(namespace, name)
    return Request(verb="get", method="GET", path=path, idempotent=True, about=_about("get", resource, namespace, name))


def list_page(
    resource: Resource,
    namespace: str | None,
    *,
    labels: str = "",
    fields: str = "",
    limit: int = 500,
    continue_token: str = "",
    accept: str = JSON,
) -> Request:
    """Read one page of objects, or of rows (`TABLE`); a limit of 0 reads all of them at once."""
    query = (
        ("labelSelector", labels),
        ("fieldSelector", fields),
        ("limit", str(limit) if limit else ""),
        ("continue", continue_token),
    )
    return Request(
        verb="list",
        method="GET",
        path=resource.collection(namespace),
        query=tuple((name, value) for name, value in query if value),
        accept=accept,
        idempotent=True,
        about=_about("list", resource, namespace),
    )


def watch(
    resource: Resource, namespace: str | None, *, resource_version: str, labels: str = "", timeout_seconds: int = 300
) -> Request:
    """Follow changes after a resourceVersion; the server ends the stream by itself after `timeout_seconds`."""
    query = (
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("labelSelector", labels),
        ("resourceVersion", resource_version),
        ("timeoutSeconds", str(timeout_seconds)),
    )
    return Request(
        verb="watch",
        method="GET",
        path=resource.collection(namespace),
        query=tuple((name, value) for name, value in query if value),
        idempotent=True,
        about=_about("watch", resource, namespace),
    )


def create(resource: Resource, obj: Object) -> Request:
    """Create an object; kinds without names (reviews) and `generateName` are fine."""
    metadata = obj.get("metadata") or {}
    namespace = metadata.get("namespace") if resource.namespaced else None
    if resource.namespaced and not namespace:
        raise ValueError(f"{resource.kind}: metadata.namespace is empty; expected a namespace")
    return Request(
        verb="create",
        method="POST",
        path=resource.collection(namespace),
        query=(("fieldManager", FIELD_MANAGER),),
        body=orjson.dumps(_identified(resource, obj)),
        about=_about("create", resource, namespace, metadata.get("name") or metadata.get("generateName") or ""),
    )


def replace(resource: Resource, obj: Object) -> Request:
    """Put an object in the place of the one it was read from; its resourceVersion is the precondition."""
    namespace, name = name_of(resource, obj)
    return Request(
        verb="update",
        method="PUT",
        path=resource.path(namespace, name),
        query=(("fieldManager", FIELD_MANAGER),),
        body=orjson.dumps(_identified(resource, obj)),
        about=_about("update", resource, namespace, name),
    )


def apply(resource: Resource, obj: Object, *, force: bool = True) -> Request:
    """Server-side apply: what stands in `obj` is ours, and what we no longer name is given up."""
    namespace, name = name_of(resource, obj)
    body = _identified(resource, obj)
    if "managedFields" in body["metadata"]:
        body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return Request(
        verb="apply",
        method="PATCH",
        path=resource.path(namespace, name),
        query=(("fieldManager", FIELD_MANAGER), ("force", "true" if force else "false")),
        body=orjson.dumps(body),
        content_type=APPLY_PATCH,
        idempotent="resourceVersion" not in body["metadata"],
        about=_about("apply", resource, namespace, name),
    )


def merge_patch(
    resource: Resource, namespace: str | None, name: str, patch: Object, *, resource_version: str | None = None
) -> Request:
    """Change the fields that `patch` names; None removes one. With a resourceVersion, a stale one gives 409."""
    if resource_version is not None:
        patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "resourceVersion": resource_version}}
    return Request(
        verb="patch",
        method="PATCH",
        path=resource.path(namespace, name),
        query=(("fieldManager", FIELD_MANAGER),),
        body=orjson.dumps(patch),
        content_type=MERGE_PATCH,
        idempotent=resource_version is None,
        about=_about("patch", resource, namespace, name),
    )


def patch_status(
    resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
) -> Request:
    """Put `status` in the place of the whole status; a stale resourceVersion gives 409.

    A JSON patch, since a merge patch would leave behind what the new status no longer has. Setting the resourceVersion
    (instead of testing it) makes the server check it as it does for an update, and answer 409.
    """
    if not resource_version:
        raise ValueError(f"{resource.kind} {name!r}: resource_version is empty; a status is never written blindly")
    operations = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]
    return Request(
        verb="patch",
        method="PATCH",
        path=resource.path(namespace, name, "status"),
        query=(("fieldManager", FIELD_MANAGER),),
        body=orjson.dumps(operations),
        content_type=JSON_PATCH,
        about=_about("patch status of", resource, namespace, name),
    )


def delete(
    resource: Resource,
    namespace: str | None,
    name: str,
    *,
    uid: str | None = None,
    propagation: Propagation = "Background",
) -> Request:
    """Delete an object; with a uid, only the one that was meant."""
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if uid is not None:
        options["preconditions"] = {"uid": uid}
    return Request(
        verb="delete",
        method="DELETE",
        path=resource.path(namespace, name),
        body=orjson.dumps(options),
        idempotent=uid is not None,
        about=_about("delete", resource, namespace, name),
    )


def _identified(resource: Resource, obj: Object) -> Object:
    """Return the object with the kind and the version that are asked for; the given one stays as it is."""
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": obj.get("metadata") or {}}
