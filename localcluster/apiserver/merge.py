"""Merging an applied configuration into a live object by its shape, and taking out what is no longer applied."""

from typing import Any

from localcluster.apiserver.fieldset import DOT, FieldSet, item_key, keyed
from localcluster.apiserver.shape import Shape

JsonObject = dict[str, Any]


def merged(live: Any, applied: Any, shape: Shape) -> Any:
    """`live` with every field of `applied`; where neither is a granular map or list, `applied` wins whole."""
    if shape.atomic or live is None:
        return applied
    if isinstance(live, dict) and isinstance(applied, dict):
        out = dict(live)
        for name, value in applied.items():
            out[name] = merged(live.get(name), value, shape.child(name))
        return out
    if shape.form == "list" and isinstance(live, list) and isinstance(applied, list):
        return _merged_lists(live, applied, shape)
    return applied


def _merged_lists(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    """Items of both come in the order of `applied`; what is only in `live` stays before the next shared item."""
    mine = keyed(applied, shape)
    theirs = {item_key(item, shape): item for item in live}
    element = shape.element()
    out: list[Any] = []
    done: set[str] = set()
    left, right = list(theirs), list(mine)
    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left) and (left[at_left] not in mine or left[at_left] in done):
            if left[at_left] not in done:
                out.append(theirs[left[at_left]])
            at_left += 1
        elif at_right < len(right):
            key = right[at_right]
            out.append(merged(theirs.get(key), mine[key], element))
            done.add(key)
            at_right += 1
        else:
            at_left += 1
    return out


def pruned(value: Any, dropped: FieldSet, owned: FieldSet, shape: Shape) -> Any:
    """`value` without the members of `dropped` (what its manager gave up) that nobody in `owned` holds.

    A map that becomes empty by this goes as well. Items hold on while anybody owns a field inside them.
    """
    if isinstance(value, dict):
        return _pruned_map(value, dropped, owned, shape)
    if isinstance(value, list) and shape.form == "list" and not shape.atomic:
        return _pruned_list(value, dropped, owned, shape)
    return value


def _pruned_map(value: JsonObject, dropped: FieldSet, owned: FieldSet, shape: Shape) -> JsonObject | None:
    out = dict(value)
    for element, node in dropped.items():
        name = element[2:]
        if element == DOT or name not in out:
            continue
        holders = owned.get(element)
        if holders is None and (not node or DOT in node):
            del out[name]
            continue
        below = {k: v for k, v in node.items() if k != DOT}
        if not below:
            continue
        kept = pruned(out[name], below, holders or {}, shape.child(name))
        if kept:
            out[name] = kept
        elif holders is not None and (not holders or DOT in holders):
            out[name] = [] if isinstance(out[name], list) else {}
        else:
            del out[name]
    return out if out or not value else None


def _pruned_list(value: list[Any], dropped: FieldSet, owned: FieldSet, shape: Shape) -> list[Any]:
    out: list[Any] = []
    for item in value:
        key = item_key(item, shape)
        node = dropped.get(key)
        holders = owned.get(key)
        if node is None:
            out.append(item)
        elif holders is None and (not node or DOT in node):
            continue
        else:
            kept = pruned(item, {k: v for k, v in node.items() if k != DOT}, holders or {}, shape.element())
            if kept is not None:
                out.append(kept)
    return out
