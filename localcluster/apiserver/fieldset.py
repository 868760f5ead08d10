"""Sets of fields, in the form that `managedFields` has on the wire (FieldsV1), and how they come from objects.

A set is a tree of dicts: `f:name` for a field, `k:{...}` for an item of a keyed list, `v:...` for an item of a set.
An empty dict is a leaf that is a member; `"."` marks an inner place that is a member itself. The root is never one.
"""

from typing import Any

import orjson

from localcluster.apiserver.shape import ANY, Shape

FieldSet = dict[str, Any]
Path = tuple[str, ...]

DOT = "."


class ListError(ValueError):
    """An item of a keyed list that lacks a key, or comes twice."""


def _member(node: FieldSet) -> bool:
    return not node or DOT in node


def _node(*, member: bool, children: FieldSet) -> FieldSet | None:
    if not children:
        return {} if member else None
    return {DOT: {}, **children} if member else children


def _merge(a: FieldSet, b: FieldSet) -> FieldSet:
    member = _member(a) or _member(b)
    children = union({k: v for k, v in a.items() if k != DOT}, {k: v for k, v in b.items() if k != DOT})
    node = _node(member=member, children=children)
    return node if node is not None else {}


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not b:
        return a
    if not a:
        return b
    out = dict(a)
    for key, node in b.items():
        mine = out.get(key)
        out[key] = node if mine is None else _merge(mine, node)
    return out


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in `a` and not in `b`."""
    if not b or not a:
        return a
    out: FieldSet = {}
    for key, node in a.items():
        theirs = b.get(key)
        if theirs is None:
            out[key] = node
        elif key != DOT:
            left = _node(
                member=_member(node) and not _member(theirs),
                children=difference(_children(node), _children(theirs)),
            )
            if left is not None:
                out[key] = left
    return out


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    out: FieldSet = {}
    for key, node in a.items():
        theirs = b.get(key)
        if theirs is None or key == DOT:
            continue
        both = _node(
            member=_member(node) and _member(theirs),
            children=intersection(_children(node), _children(theirs)),
        )
        if both is not None:
            out[key] = both
    return out


def _children(node: FieldSet) -> FieldSet:
    return {k: v for k, v in node.items() if k != DOT} if DOT in node else node


def without(fields: FieldSet, paths: FieldSet) -> FieldSet:
    """`fields` less everything at or below the members of `paths`."""
    out: FieldSet = {}
    for key, node in fields.items():
        cut = paths.get(key)
        if cut is None:
            out[key] = node
        elif not _member(cut):
            rest = without(_children(node), cut)
            left = _node(member=_member(node), children=rest)
            if left is not None:
                out[key] = left
    return out


def paths(fields: FieldSet, prefix: Path = ()) -> list[Path]:
    """Every member, as a path of elements."""
    found: list[Path] = []
    for key, node in fields.items():
        if key == DOT:
            continue
        path = (*prefix, key)
        if _member(node):
            found.append(path)
        found.extend(paths(node, path))
    return found


def shown(path: Path) -> str:
    """A path as people read it: `.spec.containers[name="app"].image`."""
    parts: list[str] = []
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            parts.append(f".{rest}")
        elif kind == "k":
            keys = orjson.loads(rest)
            parts.append("[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in keys.items()) + "]")
        elif kind == "v":
            parts.append(f"[={rest}]")
        else:
            parts.append(f"[{rest}]")
    return "".join(parts)


def item_key(item: Any, shape: Shape) -> str:
    """The path element of one item of a keyed list or a set. Raises ListError when the item has no key."""
    if not shape.keys:
        return "v:" + orjson.dumps(item).decode()
    if not isinstance(item, dict):
        raise ListError("associative list with keys may not have non-map elements")
    values: dict[str, Any] = {}
    for name in shape.keys:
        value = item.get(name)
        if value is None:
            value = shape.element().child(name).default
            if not isinstance(value, (str, int, bool)):
                what = f'associative list with keys has an element that omits key field "{name}"'
                raise ListError(f"{what} (and doesn't have default value)")
        values[name] = value
    return "k:" + orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def keyed(items: list[Any] | None, shape: Shape) -> dict[str, Any]:
    """The items of a keyed list or a set by path element. Raises ListError for duplicates."""
    found: dict[str, Any] = {}
    for item in items or ():
        key = item_key(item, shape)
        if key in found:
            raise ListError(f"duplicate entries for key {shown((key,))}")
        found[key] = item
    return found


def of_value(value: Any, shape: Shape) -> FieldSet:
    """The fields that a manager names by applying `value`, which is a map."""
    out: FieldSet = {}
    declared = shape.fields
    for name, child in value.items():
        below = shape.child(name)
        node = _of_child(child, below)
        if name not in declared or child is None or child == {}:
            node = _with_dot(node)
        if node is not None:
            out["f:" + name] = node
    return out


def _with_dot(node: FieldSet | None) -> FieldSet:
    return {DOT: {}, **node} if node else {}


def _of_child(value: Any, shape: Shape) -> FieldSet | None:
    """The node of one value: {} for a leaf, None for a place that holds nothing to own."""
    if isinstance(value, dict) and shape.form != "scalar" and not shape.atomic:
        return of_value(value, shape) or None
    if isinstance(value, list) and shape.form == "list" and not shape.atomic:
        node: FieldSet = {}
        for key, item in keyed(value, shape).items():
            node[key] = _with_dot(_of_child(item, shape.element()) if isinstance(item, dict) else None)
        return node or None
    return {}


def compare(old: Any, new: Any, shape: Shape) -> tuple[FieldSet, FieldSet]:
    """What changed between two maps: (added or modified, removed)."""
    if not old:
        return _added(new, shape), {}
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, value in new.items():
        before = old.get(name)
        if value is before or (value == before and type(value) is type(before)):
            continue
        below = shape.child(name)
        _compare_child("f:" + name, (before, value), below, name not in shape.embedded, (changed, removed))
    for name, before in old.items():
        if name not in new:
            _compare_child(
                "f:" + name, (before, None), shape.child(name), name not in shape.embedded, (changed, removed)
            )
    return changed, removed


def _added(new: Any, shape: Shape) -> FieldSet:
    """Everything in a map that is new as a whole."""
    out: FieldSet = {}
    fields, items, embedded = shape.fields, shape.items, shape.embedded
    for name, value in new.items():
        below = fields.get(name) or items or ANY
        if value is None:
            continue
        node: FieldSet = {}
        if value and not below.atomic:
            if isinstance(value, dict) and below.form in ("map", "any"):
                node = _added(value, below)
            elif isinstance(value, list) and below.form == "list":
                element = below.element()
                for item in value:
                    inner = _added(item, element) if isinstance(item, dict) and not element.atomic else {}
                    node[item_key(item, below)] = {DOT: {}, **inner} if inner else {}
        out["f:" + name] = {DOT: {}, **node} if node and name not in embedded else node
    return out


Sets = tuple[FieldSet, FieldSet]


def _compare_child(key: str, values: tuple[Any, Any], shape: Shape, dotted: bool, out: Sets) -> None:
    """Compares the values (old, new) of one place. `dotted`: the place itself can come and go."""
    old, new = values
    if not shape.atomic and (old or new):
        if shape.form in ("map", "any") and _both(old, new, dict):
            _record(key, values, compare(old or {}, new or {}, shape), dotted, out)
            return
        if shape.form == "list" and _both(old, new, list):
            _record(key, values, _compare_lists(old or [], new or [], shape), dotted, out)
            return
    changed, removed = out
    if new is None:
        removed[key] = {}
    elif old != new or type(old) is not type(new):
        changed[key] = {}


def _both(old: Any, new: Any, kind: type) -> bool:
    """Whether both are of a kind, where either may be missing."""
    return isinstance(old, kind | None) and isinstance(new, kind | None)


def _record(key: str, values: tuple[Any, Any], below: Sets, dotted: bool, out: Sets) -> None:
    """Puts what changed below one place into both sets; the place itself where it came or went."""
    added = _node(member=values[0] is None and dotted, children=below[0])
    gone = _node(member=values[1] is None, children=below[1])
    if added is not None:
        out[0][key] = added
    if gone is not None:
        out[1][key] = gone


def _compare_lists(old: list[Any], new: list[Any], shape: Shape) -> tuple[FieldSet, FieldSet]:
    changed: FieldSet = {}
    removed: FieldSet = {}
    before = {item_key(item, shape): item for item in old}
    after = {item_key(item, shape): item for item in new}
    element = shape.element()
    for key, item in after.items():
        was = before.get(key)
        if was is item or (was == item and was is not None):
            continue
        if isinstance(item, dict) and not element.atomic:
            below = compare(was or {}, item, element)
            _record(key, (was, item), below, True, (changed, removed))
        else:
            changed[key] = {}
    for key, was in before.items():
        if key not in after:
            below = compare(was, {}, element) if isinstance(was, dict) and not element.atomic else ({}, {})
            _record(key, (was, None), below, True, (changed, removed))
    return changed, removed
