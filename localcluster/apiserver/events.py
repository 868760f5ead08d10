"""Events have two faces, `v1` and `events.k8s.io/v1`, over one store: the same data under different names."""

from typing import Any

JsonObject = dict[str, Any]

_CORE = "v1"
# Each field under its name in v1 and in events.k8s.io/v1.
_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def convert(event: JsonObject, api_version: str) -> JsonObject:
    """A copy of an event as `api_version` names its fields."""
    names = dict(_NAMES) if api_version != _CORE else {new: core for core, new in _NAMES}
    return {names.get(key, key): value for key, value in event.items()} | {"apiVersion": api_version}
