"""Names, labels and the other parts of `metadata` that every kind has in common."""

import re
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver.errors import Cause

JsonObject = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_MOST_ANNOTATION_BYTES = 256 * 1024

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_PATH_NAMES = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def wrong_value(field: str, value: object, why: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", field)


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", field)


def unsupported(field: str, value: object, allowed: tuple[str, ...]) -> Cause:
    told = ", ".join(f'"{word}"' for word in allowed)
    return Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {told}', field)


def immutable(field: str, value: object) -> Cause:
    return wrong_value(field, value, "field is immutable")


def check(metadata: JsonObject, kind: str) -> Iterator[Cause]:
    """What is wrong with the metadata of a new object."""
    yield from _check_name(metadata.get("name", ""), kind)
    yield from check_labels(metadata.get("labels"), "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        yield from _check_key(key.lower(), "metadata.annotations", key)
    size = sum(len(key) + len(str(value)) for key, value in annotations.items())
    if size > _MOST_ANNOTATION_BYTES:
        yield Cause(
            "FieldValueTooLong",
            f"Too long: may not be more than {_MOST_ANNOTATION_BYTES} bytes",
            "metadata.annotations",
        )
    for at, owner in enumerate(metadata.get("ownerReferences") or ()):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                yield wrong_value(f"metadata.ownerReferences[{at}].{name}", "", f"{name} must not be empty")
    if sum(bool(owner.get("controller")) for owner in metadata.get("ownerReferences") or ()) > 1:
        yield wrong_value("metadata.ownerReferences", "", "Only one reference can have Controller set to true")
    for at, name in enumerate(metadata.get("finalizers") or ()):
        yield from _check_key(name, f"metadata.finalizers[{at}]", name)


def _check_name(name: str, kind: str) -> Iterator[Cause]:
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif kind in _PATH_NAMES:
        if name in (".", "..") or "/" in name or "%" in name:
            yield wrong_value("metadata.name", name, "may not be '.' or '..' or contain '/' or '%'")
    elif kind == "Service":
        if len(name) > 63 or not _SERVICE.fullmatch(name):
            yield wrong_value("metadata.name", name, _SERVICE_RULE)
    elif kind == "Namespace":
        if len(name) > 63 or not _LABEL.fullmatch(name):
            yield wrong_value("metadata.name", name, _LABEL_RULE)
    elif len(name) > 253:
        yield wrong_value("metadata.name", name, "must be no more than 253 characters")
    elif not _SUBDOMAIN.fullmatch(name):
        yield wrong_value("metadata.name", name, _SUBDOMAIN_RULE)


def check_labels(labels: JsonObject | None, field: str) -> Iterator[Cause]:
    for key, value in (labels or {}).items():
        yield from _check_key(key, field, key)
        if len(value) > 63:
            yield wrong_value(field, value, "must be no more than 63 characters")
        elif not _LABEL_VALUE.fullmatch(value):
            yield wrong_value(field, value, _VALUE_RULE)


def _check_key(key: str, field: str, shown: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        yield wrong_value(field, shown, "prefix part " + _SUBDOMAIN_RULE)
    if len(name) > 63:
        yield wrong_value(field, shown, "name part must be no more than 63 characters")
    elif not _QUALIFIED.fullmatch(name):
        yield wrong_value(field, shown, _QUALIFIED_RULE)


def check_unchanged(new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """What an update may not change in metadata."""
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        if new.get(name) != old.get(name):
            yield immutable(f"metadata.{name}", new.get(name, ""))
    if old.get("deletionTimestamp"):
        for finalizer in new.get("finalizers") or ():
            if finalizer not in (old.get("finalizers") or ()):
                yield Cause(
                    "FieldValueForbidden",
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                    f'[]string{{"{finalizer}"}}',
                    "metadata.finalizers",
                )
