"""The shape of pod specs, as far as we read them: the API server keeps them as they come. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

Found = tuple[str, object, str]
"""Field, value, and what would be right."""

_LISTS = {"containers": "name", "initContainers": "name", "volumes": "name"}
_CONTAINER_LISTS = {"env": "name", "volumeMounts": "mountPath", "ports": "containerPort", "envFrom": ""}


def misshapen(component: Mapping[str, Any], metadata: Mapping[str, Any], field: str) -> Iterator[Found]:
    """Return what of a component's pod spec and metadata cannot be read."""
    for name in ("labels", "annotations"):
        yield from _texts(metadata.get(name), f"{field}.metadata.{name}")
    if not isinstance(metadata.get("name", ""), str):
        yield f"{field}.metadata.name", metadata["name"], "a text"
    for name, key in _LISTS.items():
        entries = component.get(name)
        yield from entries_misshapen(entries, key, f"{field}.spec.{name}")
        if name == "volumes" or not isinstance(entries, list):
            continue
        for index, container in enumerate(entries):
            if isinstance(container, Mapping):
                yield from container_misshapen(container, f"{field}.spec.{name}[{index}]")


def entries_misshapen(entries: object, key: str, field: str) -> Iterator[Found]:
    """Return what of a list of objects cannot be read; each must have the field `key`, as a text or a number."""
    if entries is None:
        return
    if not isinstance(entries, list | tuple):
        yield field, entries, "a list"
        return
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            yield f"{field}[{index}]", entry, "an object"
        elif key == "containerPort" and (type(entry.get(key)) is not int or not 0 < entry[key] < 65536):
            yield f"{field}[{index}].{key}", entry.get(key), "a number of 1 to 65535"
        elif key and key != "containerPort" and (not isinstance(entry.get(key), str) or not entry[key]):
            yield f"{field}[{index}].{key}", entry.get(key), "a text"


def container_misshapen(container: Mapping[str, Any], field: str) -> Iterator[Found]:
    """Return what of a container cannot be read, its name apart."""
    for name, key in _CONTAINER_LISTS.items():
        yield from entries_misshapen(container.get(name), key, f"{field}.{name}")
    if not isinstance(container.get("lifecycle", {}), Mapping | None):
        yield f"{field}.lifecycle", container["lifecycle"], "an object"
    if not isinstance(container.get("image", ""), str | None):
        yield f"{field}.image", container["image"], "a text"


def _texts(value: object, field: str) -> Iterator[Found]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        yield field, value, "an object of texts"
