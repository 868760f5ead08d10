"""A SeldonMessage in JSON to what a model's method takes, and what it gives back to a SeldonMessage."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.node.errors import NodeRuntimeError

DATA = ("tensor", "ndarray", "tftensor")
_TF_VALUES = (
    "floatVal",
    "doubleVal",
    "intVal",
    "int64Val",
    "boolVal",
    "float_val",
    "double_val",
    "int_val",
    "int64_val",
)


class SeldonResponse:
    """What a model's method may give back to add tags and metrics to one answer."""

    def __init__(self, data: Any, tags: Mapping[str, Any] | None = None, metrics: Sequence[Any] | None = None) -> None:
        self.data = data
        self.tags = dict(tags or {})
        self.metrics = list(metrics or [])


@dataclass(frozen=True, slots=True)
class Content:
    """What a message holds: `kind` is tensor, ndarray, tftensor, binData, strData, jsonData or empty."""

    kind: str
    value: Any = None
    names: Sequence[str] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


def content(message: Any) -> Content:
    """Read a message.

    Raises:
        NodeRuntimeError: it is no SeldonMessage, or its data cannot be used.
    """
    if not isinstance(message, Mapping):
        raise NodeRuntimeError(f"the message must be a JSON object, not {type(message).__name__}")
    meta = message.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    data = message.get("data")
    if isinstance(data, Mapping):
        return _data(data, meta)
    if "binData" in message:
        return Content("binData", _bytes(message["binData"]), (), meta)
    if "strData" in message:
        return Content("strData", message["strData"], (), meta)
    if "jsonData" in message:
        return Content("jsonData", message["jsonData"], (), meta)
    if data is not None:
        raise NodeRuntimeError("data must be an object with one of tensor, ndarray and tftensor")
    raise NodeRuntimeError("the message has no data: expected one of data, binData, strData and jsonData")


def _data(data: Mapping[str, Any], meta: Mapping[str, Any]) -> Content:
    names = data.get("names") or ()
    if not isinstance(names, list | tuple):
        raise NodeRuntimeError("data.names must be a list")
    if "tensor" in data:
        return Content("tensor", _tensor(data["tensor"]), names, meta)
    if "ndarray" in data:
        if not isinstance(data["ndarray"], list):
            raise NodeRuntimeError("data.ndarray must be a list")
        return Content("ndarray", array(data["ndarray"]), names, meta)
    if "tftensor" in data:
        return Content("tftensor", _tftensor(data["tftensor"]), names, meta)
    raise NodeRuntimeError(f"data must have one of {', '.join(DATA)}")


def array(value: Any) -> Any:
    """A numpy array, or the lists themselves where there is no numpy or no array can be made."""
    try:
        import numpy as np
    except ImportError:
        return value
    try:
        return np.array(value)
    except ValueError:  # rows of different lengths
        return np.array(value, dtype=object)


def _shaped(values: Any, shape: Any, where: str) -> Any:
    if not isinstance(values, list) or not isinstance(shape, list | tuple):
        raise NodeRuntimeError(f"{where} must have a shape and values")
    try:
        sizes = [int(size) for size in shape]
    except (TypeError, ValueError) as error:
        raise NodeRuntimeError(f"{where}: the shape {list(shape)!r} is not of whole numbers") from error
    try:
        import numpy as np
    except ImportError:
        return _nested(values, sizes, where)
    try:
        return np.array(values).reshape(sizes)
    except (TypeError, ValueError) as error:
        raise NodeRuntimeError(f"{where}: {len(values)} values do not fit the shape {sizes}: {error}") from error


def _nested(values: list[Any], shape: list[int], where: str) -> Any:
    size = 1
    for length in shape:
        size *= length
    if size != len(values):
        raise NodeRuntimeError(f"{where}: {len(values)} values do not fit the shape {shape}")
    for length in reversed(shape[1:]):
        values = [values[at : at + length] for at in range(0, len(values), length)] if length else values
    return values


def _tensor(tensor: Any) -> Any:
    if not isinstance(tensor, Mapping):
        raise NodeRuntimeError("data.tensor must be an object with shape and values")
    return _shaped(tensor.get("values"), tensor.get("shape"), "data.tensor")


def _tftensor(tensor: Any) -> Any:
    if not isinstance(tensor, Mapping):
        raise NodeRuntimeError("data.tftensor must be an object with tensorShape and values")
    key = next((key for key in _TF_VALUES if tensor.get(key)), None)
    if key is None:
        raise NodeRuntimeError(f"data.tftensor must have one of {', '.join(_TF_VALUES)}")
    shape = tensor.get("tensorShape") or tensor.get("tensor_shape") or {}
    try:
        sizes = [int(dimension.get("size", 0)) for dimension in shape.get("dim", [])]
        # In protobuf's JSON an int64 is a string.
        values = [int(value) for value in tensor[key]] if "int" in key.lower() else tensor[key]
    except (AttributeError, TypeError, ValueError) as error:
        raise NodeRuntimeError(f"data.tftensor cannot be read: {error}") from error
    return _shaped(values, sizes, "data.tftensor")


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise NodeRuntimeError(f"binData is no base64: {error}") from error


def message(result: Any, request: Content, names: Sequence[str] | None) -> dict[str, Any]:
    """What a method gave back, as the fields of a message, in the form of the request where it can have that form.

    Args:
        result: an array, list, string, bytes or dict.
        request: what the request held.
        names: the names of the columns, or None for `t:0`, `t:1`, ...

    Raises:
        NodeRuntimeError: there is no such form of data.
    """
    if isinstance(result, bytes | bytearray):
        return {"binData": base64.b64encode(result).decode("ascii")}
    if request.kind == "jsonData":
        return {"jsonData": result}
    if isinstance(result, str):
        return {"strData": result}
    if isinstance(result, Mapping):
        return {"jsonData": result}
    numeric, shape, values = _table(result)
    if names is None:
        names = [f"t:{at}" for at in range(shape[1])] if len(shape) > 1 else []
    kind = (request.kind if request.kind in DATA else "tensor") if numeric else "ndarray"
    if kind == "ndarray":
        return {"data": {"names": list(names), "ndarray": values}}
    flat = _flat(values)
    if kind == "tensor":
        return {"data": {"names": list(names), "tensor": {"shape": shape, "values": flat}}}
    dimensions = [{"size": str(size)} for size in shape]
    tensor = {"dtype": "DT_DOUBLE", "tensorShape": {"dim": dimensions}, "doubleVal": flat}
    return {"data": {"names": list(names), "tftensor": tensor}}


def encoded(value: Any) -> bytes:
    """JSON, with arrays and their numbers wherever they are. NaN is written as Python writes it.

    Raises:
        TypeError: something in it has no JSON.
    """
    try:
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        pass
    else:
        if b"null" not in text:  # orjson writes NaN as null
            return text
    return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float):
        return float(value)
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no JSON")


def _table(result: Any) -> tuple[bool, list[int], list[Any]]:
    """Whether all are numbers, the shape, and the nested lists of a result."""
    if hasattr(result, "tolist") and hasattr(result, "dtype") and hasattr(result, "shape") and result.shape:
        return result.dtype.kind in "iuf", list(result.shape), result.tolist()
    if hasattr(result, "tolist"):
        result = result.tolist()
    if not isinstance(result, list | tuple):
        info = f"the model gave back a {type(result).__name__}; expected an array, list, string, bytes or dict"
        raise NodeRuntimeError(info, 500, "MICROSERVICE_INTERNAL_ERROR")
    values = list(result)
    return _numeric(values), _shape(values), values


def _shape(values: Any) -> list[int]:
    shape = []
    while isinstance(values, list | tuple):
        shape.append(len(values))
        if not values:
            break
        values = values[0]
    return shape


def _flat(values: Any) -> list[Any]:
    while values and isinstance(values[0], list | tuple):
        values = [item for row in values for item in row]
    return list(values)


def _numeric(values: Any) -> bool:
    """Whether all are numbers, in rows of the same length."""
    if values and isinstance(values[0], list | tuple):
        size = len(values[0])
        return all(isinstance(row, list | tuple) and len(row) == size and _numeric(row) for row in values)
    return all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
