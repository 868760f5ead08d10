"""Objects as clients may ask for them: whole, as metadata alone, or as a printed table."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcluster.apiserver.jsonpath import reader
from localcluster.apiserver.kinds import Column, Kind
from localcluster.apiserver.negotiation import Form

JsonObject = dict[str, Any]

_NAME = Column("Name", ".metadata.name", format="name")
_DEFAULT = (_NAME, Column("Created At", ".metadata.creationTimestamp"))
_UNNAMED = frozenset({("", "Event"), ("events.k8s.io", "Event")})


def render_one(kind: Kind, obj: JsonObject, form: Form, include: str, now: datetime) -> JsonObject:
    match form:
        case "object":
            return obj
        case "partial":
            return partial(obj)
        case "table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return _table(kind, [obj], metadata, include, now)


def render_list(
    kind: Kind, objects: list[JsonObject], metadata: JsonObject, form: Form, include: str, now: datetime
) -> JsonObject:
    match form:
        case "object":
            return {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": objects}
        case "partial":
            items = [partial(obj) for obj in objects]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items,
            }
        case "table":
            return _table(kind, objects, metadata, include, now)


def partial(obj: JsonObject) -> JsonObject:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _table(kind: Kind, objects: list[JsonObject], metadata: JsonObject, include: str, now: datetime) -> JsonObject:
    columns = (_NAME, *kind.columns) if kind.columns else _DEFAULT
    if (kind.group, kind.kind) in _UNNAMED:
        columns = kind.columns
    cells = [reader(column, now) for column in columns]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(column, custom=kind.custom) for column in columns],
        "rows": [_row(cells, obj, include) for obj in objects],
    }


def _definition(column: Column, *, custom: bool) -> JsonObject:
    return {
        "name": column.name,
        "type": column.type if custom or column.type != "date" else "string",
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(cells: list[Callable[[JsonObject], Any]], obj: JsonObject, include: str) -> JsonObject:
    row: JsonObject = {"cells": [cell(obj) for cell in cells]}
    match include:
        case "Object":
            row["object"] = obj
        case "None":
            pass
        case _:
            row["object"] = partial(obj)
    return row
