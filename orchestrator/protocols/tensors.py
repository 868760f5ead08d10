"""Flat values to nested lists and back, and tensors as raw bytes (little-endian, row by row)."""

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from orchestrator.errors import BadPayloadError

# The protocol's name of a type to Python's code of an array.
CODES = {
    "BOOL": "B", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
    "UINT64": "Q", "FP32": "f", "FP64": "d",
}  # fmt: skip


def flat(value: Any) -> tuple[list[Any], list[int]]:
    """The values of nested lists, and their shape.

    Raises:
        BadPayloadError: rows have different lengths.
    """
    shape: list[int] = []
    values = [value]
    while values and isinstance(values[0], list):
        length = len(values[0])
        if not all(isinstance(row, list) and len(row) == length for row in values):
            raise BadPayloadError("the rows of a tensor have different lengths")
        shape.append(length)
        values = [item for row in values for item in row]
    if any(isinstance(item, list) for item in values):
        raise BadPayloadError("the rows of a tensor have different lengths")
    return values, shape


def nested(values: list[Any], shape: Sequence[int]) -> Any:
    """Flat values as nested lists of a shape; the value itself for no dimensions.

    Raises:
        BadPayloadError: there are not as many values as the shape has.
    """
    size = 1
    for length in shape:
        size *= length
    if size != len(values) or any(length < 0 for length in shape):
        raise BadPayloadError(f"a tensor of the shape {list(shape)} has {len(values)} values")
    if not shape:
        return values[0]
    for length in reversed(shape[1:]):
        values = [values[at : at + length] for at in range(0, len(values), length)] if length else []
    return values


def decoded(raw: bytes, datatype: str) -> list[Any]:
    """The values of a tensor's raw bytes.

    Raises:
        BadPayloadError: the bytes are no such tensor.
    """
    if datatype == "BYTES":
        return _texts(raw)
    try:
        if datatype == "FP16":
            return [value for (value,) in struct.iter_unpack("<e", raw)]
        if datatype == "BF16":
            return [struct.unpack("<f", b"\0\0" + raw[at : at + 2])[0] for at in range(0, len(raw), 2)]
        values = array(CODES[datatype], raw)
    except (KeyError, ValueError, struct.error) as error:
        raise BadPayloadError(f"{len(raw)} raw bytes are no tensor of the type {datatype!r}: {error}") from None
    if sys.byteorder == "big":
        values.byteswap()
    found = values.tolist()
    return [bool(value) for value in found] if datatype == "BOOL" else found


def encoded(values: Sequence[Any], datatype: str) -> bytes:
    """The raw bytes of a tensor's values.

    Raises:
        BadPayloadError: the values are not of this type.
    """
    try:
        if datatype == "BYTES":
            texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
            return b"".join([struct.pack("<I", len(one)) + one for one in texts])
        if datatype == "FP16":
            return struct.pack(f"<{len(values)}e", *values)
        packed = array(CODES[datatype], [int(value) for value in values] if datatype == "BOOL" else values)
    except (KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise BadPayloadError(f"the values are no tensor of the type {datatype!r}: {error}") from None
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _texts(raw: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise BadPayloadError("the raw bytes of a BYTES tensor end in the middle of a length")
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at + length > len(raw):
            raise BadPayloadError("the raw bytes of a BYTES tensor end in the middle of a value")
        found.append(raw[at : at + length])
        at += length
    return found
