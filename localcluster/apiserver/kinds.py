"""What the server serves: each kind at each of its versions, and where to find one by path or by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localcluster.apiserver import errors
from localcluster.apiserver.shape import ANY, Shape

JsonObject = dict[str, Any]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SELECTABLE = frozenset({"metadata.name", "metadata.namespace"})


@dataclass(frozen=True, slots=True)
class Column:
    """One printed column: `cell` is a JSONPath into the object, or a function of it."""

    name: str
    cell: str | Callable[[JsonObject], Any]
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a kind keeps the numbers of its scale subresource, as field paths."""

    replicas: tuple[str, ...] = ("spec", "replicas")
    observed: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ()


class Rules(Protocol):
    """What is special about one kind. Every function may change `new`, which nobody else holds."""

    def default(self, new: JsonObject) -> None: ...

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[errors.Cause]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind at one version.

    `stored` names the collection that holds its objects, which all versions of a kind share, and `stored_version` the
    apiVersion they have there. `convert(obj, api_version)` makes a copy at another version.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    status: bool = False
    scale: Scale | None = None
    connects: tuple[str, ...] = ()
    generations: bool = False
    selectable: frozenset[str] = _SELECTABLE
    shape: Shape = ANY
    rules: Rules | None = None
    columns: tuple[Column, ...] = ()
    definition: str = ""
    schema: JsonObject | None = field(default=None, hash=False, compare=False)
    custom: bool = False
    stored: str = ""
    stored_version: str = ""
    convert: Callable[[JsonObject, str], JsonObject] | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def collection(self) -> str:
        return self.stored or errors.qualified(self.group, self.plural)

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    def at_version(self, obj: JsonObject) -> JsonObject:
        """The object as this version shows it; the object itself when that is how it is stored."""
        if obj["apiVersion"] == self.api_version:
            return obj
        return self._converted(obj, self.api_version)

    def to_stored(self, obj: JsonObject) -> JsonObject:
        if not self.stored_version or obj["apiVersion"] == self.stored_version:
            return obj
        return self._converted(obj, self.stored_version)

    def _converted(self, obj: JsonObject, api_version: str) -> JsonObject:
        if self.convert is not None:
            return self.convert(obj, api_version)
        return {**obj, "apiVersion": api_version}

    def not_found(self, name: str) -> errors.ApiError:
        return errors.not_found(self.group, self.plural, name)


class Kinds:
    """The registry. `generation` grows with every change, so that what is rendered from it can be cached."""

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_name: dict[tuple[str, str], Kind] = {}
        self._preferred: dict[str, list[str]] = {}
        self.generation = 0
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> None:
        self._by_path[kind.group, kind.version, kind.plural] = kind
        self._by_name[kind.api_version, kind.kind] = kind
        self._order()

    def remove(self, kind: Kind) -> None:
        del self._by_path[kind.group, kind.version, kind.plural]
        del self._by_name[kind.api_version, kind.kind]
        self._order()

    def _order(self) -> None:
        found: dict[str, set[str]] = {}
        for group, version, _ in self._by_path:
            found.setdefault(group, set()).add(version)
        self._preferred = {group: sorted(versions, key=priority, reverse=True) for group, versions in found.items()}
        self.generation += 1

    def by_path(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_path.get((group, version, plural))

    def by_name(self, api_version: str, kind: str) -> Kind | None:
        return self._by_name.get((api_version, kind))

    def preferred(self, group: str, plural: str) -> Kind | None:
        """The kind at the group's first version that serves it."""
        versions = self._preferred.get(group, ())
        return next((kind for v in versions if (kind := self._by_path.get((group, v, plural)))), None)

    def of_collection(self, collection: str) -> Kind | None:
        """Any version of what is stored in a collection, the stored version first."""
        found = [kind for kind in self if kind.collection == collection]
        return next((k for k in found if k.stored_version in ("", k.api_version)), found[0] if found else None)

    def groups(self) -> Mapping[str, list[str]]:
        """Group to its versions, best first."""
        return self._preferred

    def at(self, group: str, version: str) -> list[Kind]:
        return [kind for (g, v, _), kind in self._by_path.items() if (g, v) == (group, version)]

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_path.values()))


def priority(version: str) -> tuple[int, int, int]:
    """Kubernetes' order of versions: v2 before v1 before v1beta1 before v1alpha1."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return (0, 0, 0)
    stage = {None: 3, "beta": 2, "alpha": 1}[found[2]]
    return (stage, int(found[1]), int(found[3] or 0))
