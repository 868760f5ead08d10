"""Reading an object by its shape: unknown fields are found and dropped, nulls taken out, defaults put in."""

from typing import Any

import orjson

from localcluster.apiserver.errors import bad_request
from localcluster.apiserver.shape import MISSING, Shape

JsonObject = dict[str, Any]

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_JSON_NAMES = {str: "string", int: "number", float: "number", bool: "bool", dict: "object", list: "array"}


def copy(obj: Any) -> Any:
    """A deep copy of JSON data that shares nothing with it."""
    return orjson.loads(orjson.dumps(obj))


def drop_unknown(value: Any, shape: Shape, path: str = "") -> list[str]:
    """Takes the fields that the shape does not know out of `value`, in place. Gives their paths."""
    unknown: list[str] = []
    _drop(value, shape, path, unknown)
    return unknown


def _drop(value: Any, shape: Shape, path: str, unknown: list[str]) -> None:
    if isinstance(value, dict) and shape.form == "map":
        fields, items = shape.fields, shape.items
        closed = items is None and not shape.preserve
        for name in list(value):
            below = fields.get(name) or items
            if below is not None:
                child = value[name]
                if isinstance(child, (dict, list)):
                    _drop(child, below, f"{path}.{name}" if path else name, unknown)
            elif closed:
                unknown.append(f"{path}.{name}" if path else name)
                del value[name]
    elif isinstance(value, list) and shape.form == "list":
        below = shape.element()
        for at, child in enumerate(value):
            if isinstance(child, (dict, list)):
                _drop(child, below, f"{path}[{at}]", unknown)


def drop_nulls(value: Any, shape: Shape) -> None:
    """Takes out nulls, and zeros that mean absence, in place, as the API's types do; what is nullable or open stays."""
    if isinstance(value, dict):
        if shape.form == "any":
            return
        for name in list(value):
            child = value[name]
            below = shape.child(name)
            if below.omits_zero and not child and child is not None:
                del value[name]
            elif child is None:
                if not below.nullable and below.form != "any":
                    del value[name]
            elif isinstance(child, (dict, list)):
                drop_nulls(child, below)
    elif isinstance(value, list) and shape.form == "list":
        for child in value:
            if isinstance(child, (dict, list)):
                drop_nulls(child, shape.element())


def check_types(value: Any, shape: Shape, kind: str, path: str = "") -> None:
    """Refuses JSON of the wrong type in a built-in kind. Raises ApiError 400 naming the field."""
    if isinstance(value, dict):
        if shape.form == "map":
            for name, child in value.items():
                if child is not None:
                    check_types(child, shape.child(name), kind, f"{path}.{name}" if path else name)
            return
        wrong = shape.form in ("scalar", "list")
    elif isinstance(value, list):
        if shape.form == "list":
            for child in value:
                check_types(child, shape.element(), kind, path)
            return
        wrong = shape.form in ("scalar", "map")
    else:
        if shape.form == "scalar":
            allowed = _PYTHON_TYPES.get(shape.type)
            odd = isinstance(value, bool) and shape.type != "boolean"
            wrong = bool(allowed) and (odd or not isinstance(value, allowed or ()))
        else:
            wrong = shape.form in ("map", "list")
    if wrong:
        found = _JSON_NAMES.get(type(value), "value")
        wanted = shape.type or shape.form
        raise bad_request(f"{kind}: json: cannot unmarshal {found} into field {path} of type {wanted}")


def put_defaults(value: Any, shape: Shape) -> None:
    """Fills in the schema's defaults, in place: only inside what is there, as the API does."""
    if not shape.has_defaults:
        return
    if isinstance(value, dict):
        for name, below in shape.fields.items():
            child = value.get(name, MISSING)
            if (child is MISSING or (child is None and not below.nullable)) and below.default is not MISSING:
                child = value[name] = copy(below.default)
            if below.has_defaults and isinstance(child, (dict, list)):
                put_defaults(child, below)
        if shape.items is not None and shape.form == "map":
            for name, child in value.items():
                if name not in shape.fields:
                    put_defaults(child, shape.items)
    elif isinstance(value, list) and shape.items is not None:
        for child in value:
            put_defaults(child, shape.items)
