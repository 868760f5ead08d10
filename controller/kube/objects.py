"""Objects as the API gives them: what each must have for a cache to stand on it."""

from collections.abc import Mapping
from typing import Any

from controller.queue import Key

Object = dict[str, Any]


class MalformedError(ValueError):
    """What came as an object is none."""


def well_formed(obj: Any) -> Object:
    """Check the few things that the cache stands on, and drop `managedFields`, which nobody here reads.

    Raises:
        MalformedError: it is no object of the API.
    """
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict):
        raise MalformedError("metadata is missing")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not (isinstance(name, str) and name) or not isinstance(namespace, str | None):
        raise MalformedError(f"metadata.name is {name!r} and metadata.namespace is {namespace!r}; expected texts")
    labels, owners = metadata.get("labels"), metadata.get("ownerReferences")
    if labels is not None and not (isinstance(labels, dict) and all(isinstance(v, str) for v in labels.values())):
        raise MalformedError(f"metadata.labels of {name!r} is {labels!r}; expected texts by name")
    if owners is not None and not (isinstance(owners, list) and all(isinstance(owner, dict) for owner in owners)):
        raise MalformedError(f"metadata.ownerReferences of {name!r} is {owners!r}; expected a list of objects")
    metadata.pop("managedFields", None)
    return obj  # type: ignore[no-any-return]  # a dict, as its metadata shows


def key_of(obj: Mapping[str, Any]) -> Key:
    """Return namespace (empty for a cluster-scoped object) and name of a well-formed object."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def uid_of(obj: Mapping[str, Any]) -> str:
    """Return the uid of a well-formed object; empty when it has none."""
    return str(obj["metadata"].get("uid") or "")


def version_of(obj: Mapping[str, Any]) -> str:
    """Return the resourceVersion of a well-formed object; empty when it has none."""
    return str(obj["metadata"].get("resourceVersion") or "")
