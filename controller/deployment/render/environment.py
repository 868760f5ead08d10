"""Lists with keys in a container: environment, mounts, volumes. Server-side apply allows each key once."""

from collections.abc import Iterable, Mapping
from typing import Any

Entries = Iterable[Mapping[str, Any]]


def merged(*lists: Entries, key: str = "name") -> list[dict[str, Any]]:
    """Join lists of entries; a later entry replaces an earlier one of the same key, in its place."""
    done: dict[Any, dict[str, Any]] = {}
    for entries in lists:
        for entry in entries:
            done[entry[key]] = dict(entry)
    return list(done.values())


def with_defaults(given: Entries, defaults: Entries, key: str = "name") -> list[dict[str, Any]]:
    """Join lists of entries; what is given stays, defaults are added for the keys that are missing."""
    given = [dict(entry) for entry in given]
    present = {entry[key] for entry in given}
    return merged(given, [entry for entry in defaults if entry[key] not in present], key=key)


def variables(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return environment variables of plain values."""
    return [{"name": name, "value": value} for name, value in values.items()]
