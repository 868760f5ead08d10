"""Does a live object still say what we want of it? Without this there is either a write at rest or drift that stays."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from controller.api.names import stable_hash

HASH_ANNOTATION = "rollouts.seldon.io/applied-hash"
"""On everything that the operator applies: the hash of what it applied."""

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(m|[kMGTPE]i?|)")
_SCALES = {"": Decimal(1), "m": Decimal("0.001")}
_SCALES |= {letter: Decimal(1000) ** (power + 1) for power, letter in enumerate("kMGTPE")}
_SCALES |= {f"{letter}i": Decimal(1024) ** (power + 1) for power, letter in enumerate("KMGTPE")}
_KEYS = ("mountPath", "name", "uid")
"""Fields that identify an entry of a list, so that entries which others add do not count as drift."""
_EMPTY: tuple[object, ...] = (None, "", 0, False, [], {}, ())


def signed(desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as it is applied: with the hash of what it says. The API's version is not a part of it."""
    metadata = desired["metadata"]
    notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != HASH_ANNOTATION}
    content = {**desired, "metadata": {**metadata, "annotations": notes}}
    del content["apiVersion"]
    annotations = {**notes, HASH_ANNOTATION: stable_hash(content, 16)}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def differs(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Return whether a live object must be applied again: we want something else now, or somebody changed it.

    Defaults and fields that the server or others added are passed over, and so are forms that the server rewrites, such
    as quantities.

    Args:
        desired: as `signed` made it.
        live: as the API gives it.
    """
    live_metadata = live.get("metadata") or {}
    if (live_metadata.get("annotations") or {}).get(HASH_ANNOTATION) != desired["metadata"]["annotations"][
        HASH_ANNOTATION
    ]:
        return True
    metadata = {name: desired["metadata"].get(name) for name in ("labels", "annotations", "ownerReferences")}
    content = {name: value for name, value in desired.items() if name not in ("metadata", "apiVersion")}
    return not (_covers(metadata, live_metadata) and _covers(content, live))


def _covers(wanted: Any, live: Any, quantity: bool = False) -> bool:
    """Return whether everything that is wanted stands in what is live."""
    if wanted == live:
        return True  # most of an object at rest, and far cheaper than going through it
    if isinstance(wanted, dict | Mapping):
        if not isinstance(live, dict | Mapping):
            return not wanted and live is None
        return all(
            _covers(value, live.get(name), quantity or name in {"requests", "limits"}) for name, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return _list_covers(wanted, live if isinstance(live, list | tuple) else [], quantity)
    if wanted in _EMPTY and live in _EMPTY:
        return True
    return quantity and _amount(wanted) is not None and _amount(wanted) == _amount(live)


def _list_covers(wanted: Sequence[Any], live: Sequence[Any], quantity: bool) -> bool:
    for key in _KEYS:
        names = [each.get(key) for each in wanted if isinstance(each, Mapping)]
        if wanted and len(names) == len(wanted) and None not in names and len(set(names)) == len(names):
            found = {each.get(key): each for each in live if isinstance(each, Mapping)}
            return all(_covers(each, found.get(each[key], {}), quantity) for each in wanted)
    return len(wanted) == len(live) and all(_covers(a, b, quantity) for a, b in zip(wanted, live, strict=True))


def _amount(value: object) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(value))
    return Decimal(match[1]) * _SCALES[match[2]] if match and match[2] in _SCALES else None
