"""The three patch formats that name their changes: merge patch, JSON patch and strategic merge patch."""

from typing import Any

import jsonpatch

from localcluster.apiserver.decoding import copy
from localcluster.apiserver.errors import ApiError, bad_request
from localcluster.apiserver.shape import Shape

JsonObject = dict[str, Any]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_MOST_OPERATIONS = 10_000


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, maps merge, everything else replaces. Shares with both, changes neither."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def json_patch(target: JsonObject, operations: Any) -> Any:
    """RFC 6902 on a copy. Raises ApiError: 400 for a malformed patch, 422 for one that does not fit the object."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > _MOST_OPERATIONS:
        raise ApiError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}",
        )
    try:
        return jsonpatch.apply_patch(copy(target), operations, in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as error:
        raise ApiError(
            422, "Invalid", f"the server rejected our request due to an error in our request: {error}", details={}
        ) from error


def strategic(target: Any, patch: Any, shape: Shape) -> Any:
    """A strategic merge patch: lists merge by their merge key, directives such as `$patch` are obeyed."""
    if not isinstance(patch, dict):
        return patch
    match patch.get("$patch"):
        case "delete":
            return None
        case "replace":
            return {key: value for key, value in patch.items() if key != "$patch"}
        case None | "merge":
            pass
        case other:
            raise bad_request(f"Unrecognized patch type: {other}")
    out = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        out = {key: value for key, value in out.items() if key in retained}
    _delete_primitives(out, patch)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        below = shape.child(key)
        if value is None:
            out.pop(key, None)
        elif isinstance(value, list) and "merge" in below.strategy:
            out[key] = _strategic_list(out.get(key) or [], value, below, patch.get(f"$setElementOrder/{key}"))
        elif isinstance(value, dict) and "replace" not in below.strategy:
            merged = strategic(out.get(key), value, below)
            if merged is None:
                out.pop(key, None)
            else:
                out[key] = merged
        else:
            out[key] = value
    _reorder_untouched(out, patch, shape)
    return out


def _delete_primitives(out: JsonObject, patch: JsonObject) -> None:
    for key, values in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            if isinstance(out.get(name), list):
                out[name] = [item for item in out[name] if item not in values]


def _reorder_untouched(out: JsonObject, patch: JsonObject, shape: Shape) -> None:
    for key, order in patch.items():
        name = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and name not in patch and isinstance(out.get(name), list):
            out[name] = _ordered(out[name], order, shape.child(name).merge_key)


def _strategic_list(current: list[Any], patch: list[Any], shape: Shape, order: list[Any] | None) -> list[Any]:
    key = shape.merge_key
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    if not key:
        out = [*current, *(item for item in patch if item not in current)]
        return _ordered(out, order, "") if order is not None else out
    out = list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((n for n, other in enumerate(out) if other.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            out = [other for other in out if other.get(key) != item[key]]
        elif at is None:
            out.append(strategic(None, item, shape.element()))
        else:
            out[at] = strategic(out[at], item, shape.element())
    return _ordered(out, order, key) if order is not None else out


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items named in `order` in that order; others keep their place behind the item that they followed."""

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    named = iter(
        sorted((item for item in items if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    )
    return [next(named) if identity(item) in wanted else item for item in items]
