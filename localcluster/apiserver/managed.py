"""Who owns which field: `metadata.managedFields`, for updates and for server-side apply.

The rules are those of Kubernetes' "structured merge": an update owns what it changed; an apply owns what it names,
takes what it no longer names out unless another manager holds it, and conflicts where it would change another's field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from localcluster.apiserver import errors
from localcluster.apiserver import fieldset as fs
from localcluster.apiserver.merge import merged, pruned
from localcluster.apiserver.shape import Shape

JsonObject = dict[str, Any]

_META_FIELDS = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
    "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
)  # fmt: skip
_NEVER_OWNED: fs.FieldSet = {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {f"f:{name}": {} for name in _META_FIELDS}}


class Manager(NamedTuple):
    """One entry's identity. Updates by one manager through different versions or subresources stay apart."""

    name: str
    operation: str
    api_version: str
    subresource: str


class Claim(NamedTuple):
    fields: fs.FieldSet
    time: str


Claims = dict[Manager, Claim]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who writes, through what and when; `reset` are the fields that this endpoint never touches."""

    manager: Manager
    time: str
    reset: fs.FieldSet


def decode(entries: list[JsonObject] | None) -> Claims:
    claims: Claims = {}
    for entry in entries or ():
        manager = Manager(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        claims[manager] = Claim(entry.get("fieldsV1") or {}, entry.get("time", ""))
    return claims


def given(new: Any, old: list[JsonObject] | None) -> list[JsonObject]:
    """The entries that count in an update: those that the writer gives, unless they are no entries.

    None, or an empty one, is the documented way to give up all ownership.
    """
    if new in ([], [{}]):
        return []
    sound = isinstance(new, list) and all(
        isinstance(each, dict) and each.get("operation") in ("Apply", "Update") and each.get("fieldsType") == "FieldsV1"
        for each in new
    )
    return new if sound else old or []


def encode(claims: Claims) -> list[JsonObject]:
    """Entries as they stand in an object: applies first, then by time and name."""
    entries: list[JsonObject] = []
    ordered = sorted(claims.items(), key=lambda item: (item[0].operation != "Apply", item[1].time, item[0]))
    for manager, claim in ordered:
        entry: JsonObject = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": claim.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": claim.fields,
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def updated(
    entries: list[JsonObject] | None, live: JsonObject, new: JsonObject, *, shape: Shape, writer: Writer
) -> list[JsonObject]:
    """managedFields, so far `entries`, after an update from `live` ({}: a creation) to `new`."""
    claims = decode(entries)
    changed, removed = fs.compare(live, new, shape)
    changed = fs.without(fs.without(changed, _NEVER_OWNED), writer.reset)
    for manager, claim in list(claims.items()):
        left = claim.fields
        if changed and manager != writer.manager:
            left = fs.difference(left, changed)
        if removed:
            left = fs.difference(left, removed)
        if left is not claim.fields:
            claims[manager] = Claim(left, claim.time)
    own = claims.get(writer.manager, Claim({}, writer.time))
    if changed:
        claims[writer.manager] = Claim(fs.union(own.fields, changed), writer.time)
    return encode({manager: claim for manager, claim in claims.items() if claim.fields})


@dataclass(frozen=True, slots=True)
class Applied:
    object: JsonObject
    claims: Claims


def applied(live: JsonObject | None, config: JsonObject, shape: Shape, writer: Writer, *, force: bool) -> Applied:
    """`config` applied to `live`. Raises ApiError 409 with a cause for each field that another manager holds.

    Raises fieldset.ListError for lists without keys.
    """
    before: JsonObject = live or {}
    claims = decode(before.get("metadata", {}).get("managedFields"))
    last = claims.get(writer.manager)
    own = fs.without(fs.without(fs.of_value(config, shape), _NEVER_OWNED), writer.reset)
    claims[writer.manager] = Claim(own, writer.time)
    new: JsonObject = merged(before, config, shape)
    given_up = {} if last is None else fs.difference(last.fields, own)
    if given_up:
        new = pruned(new, given_up, _all_of(claims), shape) or {}
    changed, removed = fs.compare(before, new, shape)
    changed = fs.without(fs.without(changed, _NEVER_OWNED), writer.reset)
    others = {manager: claim for manager, claim in claims.items() if manager != writer.manager}
    conflicts = {m: both for m, c in others.items() if (both := fs.intersection(c.fields, changed))}
    if conflicts and not force:
        raise _conflict(conflicts)
    for manager, claim in others.items():
        left = fs.difference(fs.difference(claim.fields, conflicts.get(manager, {})), removed)
        claims[manager] = Claim(left, claim.time)
    if last is not None and last.fields == own and not changed and not removed:
        claims[writer.manager] = last
    return Applied(new, {manager: claim for manager, claim in claims.items() if claim.fields})


def _all_of(claims: Claims) -> fs.FieldSet:
    every: fs.FieldSet = {}
    for claim in claims.values():
        every = fs.union(every, claim.fields)
    return every


def _conflict(conflicts: Mapping[Manager, fs.FieldSet]) -> errors.ApiError:
    causes: list[errors.Cause] = []
    lines: list[str] = []
    for manager, fields in conflicts.items():
        told = _described(manager)
        places = sorted(fs.shown(path) for path in fs.paths(fields))
        causes.extend(errors.Cause("FieldManagerConflict", f"conflict with {told}", place) for place in places)
        lines.append(
            f"conflict with {told}: {places[0]}"
            if len(places) == 1
            else "\n- ".join([f"conflicts with {told}:", *places])
        )
    count = len(causes)
    return errors.apply_conflict(
        f"Apply failed with {count} conflict{'s' if count > 1 else ''}: " + "\n".join(lines), causes
    )


def _described(manager: Manager) -> str:
    told = f'"{manager.name}"'
    if manager.subresource:
        told += f' with subresource "{manager.subresource}"'
    if manager.operation == "Update":
        told += f" using {manager.api_version}"
    return told
