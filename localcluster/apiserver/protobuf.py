"""Kubernetes' protobuf, read only: kubectl sends built-in kinds so, and takes JSON back.

A body is `k8s\\0` and a message that wraps (kind, bytes); see `wire_table` for what the bytes of a kind mean.
"""

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from localcluster.apiserver import definitions, wire_table
from localcluster.apiserver.errors import bad_request

JsonObject = dict[str, Any]
Raw = int | bytes

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_MACHINERY = "io.k8s.apimachinery.pkg."
_NOTHING: Any = object()


def decode(body: bytes) -> JsonObject:
    """The object in a body. Raises ApiError 400 when it is not one, or of a kind that is not known."""
    if not body.startswith(_MAGIC):
        raise bad_request("the body is not Kubernetes protobuf: it does not begin with k8s\\0")
    try:
        return _unwrapped(body[len(_MAGIC) :])
    except (IndexError, struct.error, UnicodeDecodeError, KeyError) as error:
        raise bad_request(f"malformed protobuf: {error!r}") from error


def _unwrapped(data: bytes) -> JsonObject:
    api_version = kind = ""
    raw = b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            named = {n: v.decode() for n, v in _fields(value) if isinstance(v, bytes)}
            api_version, kind = named.get(1, ""), named.get(2, "")
        elif number == 2 and isinstance(value, bytes):
            raw = value
    name = _definition(api_version, kind)
    return {"apiVersion": api_version, "kind": kind, **_message(raw, name, _properties(name))}


def _definition(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for name, schema in definitions.load().items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return name
    raise bad_request(f'no kind "{kind}" is registered for version "{api_version}" in protobuf; send JSON')


def _properties(name: str) -> JsonObject:
    found: JsonObject = definitions.load()[name].get("properties", {})
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Raw]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("a field is longer than its message")
            yield number, data[at : at + size]
            at += size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield number, data[at : at + size]
            at += size
        else:
            raise IndexError(f"wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise IndexError("a number where bytes belong")
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _message(data: bytes, name: str, properties: JsonObject) -> JsonObject:
    out: JsonObject = {}
    known = wire_table.load()[name]
    for number, raw in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        if field.inline:
            if not isinstance(raw, bytes):
                raise IndexError(f"field {number} of {name} is a number, not a message")
            inlined = properties if field.inline not in definitions.load() else _properties(field.inline)
            out.update(_message(raw, field.inline, inlined))
            continue
        schema = properties[field.name]
        if schema.get("type") == "array":
            out.setdefault(field.name, []).append(_value(raw, schema["items"]))
        elif "additionalProperties" in schema:
            key, value = _entry(raw, schema["additionalProperties"])
            out.setdefault(field.name, {})[key] = value
        else:
            value = _value(raw, schema)
            if value is not _NOTHING and (field.pointer or field.zero or _says_something(value)):
                out[field.name] = value
    return out


def _says_something(value: Any) -> bool:
    return isinstance(value, (dict, list)) or bool(value)


def _entry(raw: Raw, schema: JsonObject) -> tuple[str, Any]:
    """One entry of a map."""
    raw = _bytes(raw)
    fields = dict(_fields(raw))
    key = fields.get(1, b"")
    key = _bytes(key)
    return key.decode(), _value(fields.get(2, b""), schema)


def _value(raw: Raw, schema: JsonObject) -> Any:
    ref = definitions.reference(schema)
    if ref:
        raw = _bytes(raw)
        special = _SPECIAL.get(ref)
        return special(raw) if special is not None else _message(raw, ref, _properties(ref))
    match schema.get("type"):
        case "string":
            raw = _bytes(raw)
            return base64.b64encode(raw).decode() if schema.get("format") == "byte" else raw.decode()
        case "integer":
            return _signed(raw) if isinstance(raw, int) else int.from_bytes(raw, "little")
        case "boolean":
            return bool(raw)
        case "number":
            raw = _bytes(raw)
            return struct.unpack("<d", raw)[0]
        case "array":
            raw = _bytes(raw)
            return [_value(value, schema["items"]) for _, value in _fields(raw)]
        case _:
            return _NOTHING


def _time(raw: bytes, timespec: str) -> Any:
    fields = {number: value for number, value in _fields(raw) if isinstance(value, int)}
    if not fields.get(1):
        return _NOTHING
    moment = datetime.fromtimestamp(_signed(fields[1]), UTC).replace(microsecond=fields.get(2, 0) // 1000)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _text(raw: bytes) -> Any:
    value = dict(_fields(raw)).get(1, b"")
    value = _bytes(value)
    return value.decode()


def _int_or_string(raw: bytes) -> Any:
    fields = dict(_fields(raw))
    if fields.get(1, 0) == 0:
        number = fields.get(2, 0)
        if not isinstance(number, int):
            raise IndexError("bytes where a number belongs")
        return _signed(number)
    text = fields.get(3, b"")
    text = _bytes(text)
    return text.decode()


def _json(raw: bytes) -> Any:
    value = dict(_fields(raw)).get(1, b"")
    return orjson.loads(value) if isinstance(value, bytes) and value else _NOTHING


_SPECIAL = {
    _META + "Time": lambda raw: _time(raw, "seconds"),
    _META + "MicroTime": lambda raw: _time(raw, "microseconds"),
    _META + "FieldsV1": _json,
    _MACHINERY + "api.resource.Quantity": _text,
    _MACHINERY + "util.intstr.IntOrString": _int_or_string,
    _MACHINERY + "runtime.RawExtension": _json,
}
