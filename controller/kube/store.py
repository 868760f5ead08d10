"""The cache of one kind: what the watch told, and what we wrote ourselves, whichever is newer.

Pure but for its own state. A write's answer enters at once (`written`, `deleted`), so that a reader never sees the
world before its own last write; older news from the watch is then passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.kube.resources import owned_by
from controller.kube.watches import Change, ChangeType
from controller.queue import Key

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Written:
    """A write of ours that the watch has not confirmed yet; `seen` is what was told of the object before it."""

    sequence: int
    seen: Object | None


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """An object that we deleted, until the watch says so too."""

    sequence: int
    uid: str
    last: Object


class Store:
    """Objects by name, owner, namespace and declared labels.

    Args:
        indexed: the labels that have an index.
    """

    def __init__(self, indexed: Iterable[str] = ()) -> None:
        self.indexed: tuple[str, ...] = tuple(dict.fromkeys(indexed))
        self._objects: dict[Key, Object] = {}
        self._by_namespace: dict[str, dict[Key, None]] = {}
        self._by_owner: dict[str, dict[Key, None]] = {}
        self._by_label: dict[tuple[str, str], dict[Key, None]] = {}
        self._written: dict[Key, _Written] = {}
        self._tombstones: dict[Key, _Tombstone] = {}
        self._sequence = 0

    def declare(self, labels: Iterable[str]) -> None:
        """Add indexes by label, also when objects are there already."""
        for name in labels:
            if name in self.indexed:
                continue
            self.indexed += (name,)
            for key, obj in self._objects.items():
                value = (obj["metadata"].get("labels") or {}).get(name)
                if value is not None:
                    self._by_label.setdefault((name, value), {})[key] = None

    # reading

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Object | None:
        """Return one object."""
        return self._objects.get(key)

    def all(self, namespace: str | None = None) -> list[Object]:
        """Return the objects of one namespace, or of all."""
        if namespace is None:
            return list(self._objects.values())
        return [self._objects[key] for key in self._by_namespace.get(namespace, ())]

    def owned(self, uid: str) -> list[Object]:
        """Return the objects whose controller owner has this uid."""
        return [self._objects[key] for key in self._by_owner.get(uid, ())]

    def selected(self, namespace: str | None, labels: Mapping[str, str]) -> list[Object]:
        """Return the objects that carry all these labels."""
        return [obj for obj in self._candidates(namespace, labels) if _carries(obj, namespace, labels)]

    def _candidates(self, namespace: str | None, labels: Mapping[str, str]) -> Iterator[Object]:
        declared = [self._by_label.get((name, labels[name]), {}) for name in self.indexed if name in labels]
        if declared:
            return iter([self._objects[key] for key in min(declared, key=len)])
        return iter(self.all(namespace))

    # our own writes

    def begin(self) -> int:
        """Mark the moment before a list is asked for; give it to `replace`."""
        return self._sequence

    def written(self, obj: Object) -> None:
        """Take the answer of a write, unless the watch was quicker."""
        key = key_of(obj)
        current = self._objects.get(key)
        if current is not None and _older(obj, current):
            return
        if current is not None and _version(obj) == _version(current):
            return  # nothing changed, or the watch told it already
        self._sequence += 1
        before = self._written.get(key)
        tombstone = self._tombstones.pop(key, None)
        seen = before.seen if before else current if current is not None else tombstone.last if tombstone else None
        self._written[key] = _Written(self._sequence, seen)
        self._put(key, obj)

    def deleted(self, key: Key, uid: str | None) -> None:
        """Take the answer of a deletion that is complete; with a uid, only that object goes."""
        current = self._objects.get(key)
        if current is None or (uid is not None and _uid(current) != uid):
            return
        self._sequence += 1
        self._remove(key)
        before = self._written.pop(key, None)
        last = before.seen if before and before.seen is not None else current
        self._tombstones[key] = _Tombstone(self._sequence, _uid(current), last)

    def dropped(self, obj: Object) -> None:
        """Forget an object that a write of ours moved out of what we watch."""
        self.deleted(key_of(obj), _uid(obj))

    # news from the server

    def event(self, kind: ChangeType, obj: Object) -> Change | None:
        """Take one event of a watch, well-formed; return the change that it means, or None when it is old news."""
        key = key_of(obj)
        tombstone = self._tombstones.get(key)
        if tombstone is not None:
            if tombstone.uid == _uid(obj):
                if kind != "DELETED":
                    return None
                del self._tombstones[key]
                return Change("DELETED", obj, tombstone.last)
            del self._tombstones[key]
        current = self._objects.get(key)
        if kind == "DELETED":
            return self._gone(key, obj, current)
        return self._news(key, obj, current, tombstone)

    def _gone(self, key: Key, obj: Object, current: Object | None) -> Change | None:
        if current is None:
            return None
        if _uid(current) != _uid(obj) and _older(obj, current):
            return None  # its predecessor of the same name
        self._written.pop(key, None)
        self._remove(key)
        return Change("DELETED", obj, current)

    def _news(self, key: Key, obj: Object, current: Object | None, tombstone: _Tombstone | None) -> Change | None:
        written = self._written.get(key)
        if current is not None:
            if _older(obj, current):
                return None
            if written is None and _version(obj) == _version(current):
                return None
        self._written.pop(key, None)
        self._put(key, obj)
        if written is not None:
            previous = written.seen
        elif current is not None:
            previous = current
        else:
            previous = tombstone.last if tombstone else None
        same = previous is not None and _uid(previous) == _uid(obj)
        return Change("MODIFIED" if same else "ADDED", obj, previous)

    def replace(self, objects: Iterable[Object], *, version: str, began: int, namespace: str | None) -> list[Change]:
        """Take a whole list; return the changes that the watch did not tell.

        Args:
            objects: all objects of the scope, well-formed.
            version: the list's resourceVersion.
            began: what `begin` gave before the list was asked for.
            namespace: the scope of the list; None for all namespaces.
        """
        changes: list[Change] = []
        listed: set[Key] = set()
        for obj in objects:
            key = key_of(obj)
            listed.add(key)
            tombstone = self._tombstones.get(key)
            if tombstone is not None and tombstone.uid == _uid(obj):
                if tombstone.sequence > began:
                    continue  # we deleted it after the list was read
                del self._tombstones[key]
            change = self._news(key, obj, self._objects.get(key), tombstone)
            if change is not None:
                changes.append(change)
        changes.extend(self._missing(listed, version, began, namespace))
        return changes

    def _missing(self, listed: set[Key], version: str, began: int, namespace: str | None) -> Iterator[Change]:
        """Remove what the list no longer has, except what we wrote after it was read."""
        for key, obj in list(self._objects.items()):
            if key in listed or (namespace is not None and key[0] != namespace):
                continue
            written = self._written.get(key)
            if written is not None and (written.sequence > began or _is_newer(_version(obj), version)):
                continue
            self._written.pop(key, None)
            self._remove(key)
            yield Change("DELETED", obj, obj)
        for key, tombstone in list(self._tombstones.items()):
            if key in listed or (namespace is not None and key[0] != namespace) or tombstone.sequence > began:
                continue
            del self._tombstones[key]
            yield Change("DELETED", tombstone.last, tombstone.last)

    # indexes

    def _put(self, key: Key, obj: Object) -> None:
        self._remove(key)
        self._objects[key] = obj
        for index, value in self._places(key, obj):
            index.setdefault(value, {})[key] = None

    def _remove(self, key: Key) -> None:
        obj = self._objects.pop(key, None)
        if obj is None:
            return
        for index, value in self._places(key, obj):
            keys = index.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del index[value]

    def _places(self, key: Key, obj: Object) -> Iterator[tuple[dict[Any, dict[Key, None]], Any]]:
        yield self._by_namespace, key[0]
        owner = owned_by(obj)
        if owner is not None:
            yield self._by_owner, owner
        labels = obj["metadata"].get("labels") or {}
        for name in self.indexed:
            if name in labels:
                yield self._by_label, (name, labels[name])


class MalformedError(ValueError):
    """What came as an object is none."""


def well_formed(obj: Any) -> Object:
    """Check the few things that the cache stands on, and drop `managedFields`, which nobody here reads.

    Raises:
        MalformedError: it is no object of the API.
    """
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict):
        raise MalformedError("metadata is missing")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not (isinstance(name, str) and name) or not isinstance(namespace, str | None):
        raise MalformedError(f"metadata.name is {name!r} and metadata.namespace is {namespace!r}; expected texts")
    labels, owners = metadata.get("labels"), metadata.get("ownerReferences")
    if labels is not None and not (isinstance(labels, dict) and all(isinstance(v, str) for v in labels.values())):
        raise MalformedError(f"metadata.labels of {name!r} is {labels!r}; expected texts by name")
    if owners is not None and not (isinstance(owners, list) and all(isinstance(owner, dict) for owner in owners)):
        raise MalformedError(f"metadata.ownerReferences of {name!r} is {owners!r}; expected a list of objects")
    metadata.pop("managedFields", None)
    return obj  # type: ignore[no-any-return]  # a dict, as its metadata shows


def key_of(obj: Mapping[str, Any]) -> Key:
    """Return namespace (empty for a cluster-scoped object) and name of a well-formed object."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _uid(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("uid") or "")


def _version(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("resourceVersion") or "")


def _is_newer(version: str, than: str) -> bool:
    """Compare as Kubernetes lets us: whole numbers by size; anything else says nothing."""
    return version.isdigit() and than.isdigit() and int(version) > int(than)


def _older(obj: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    return _is_newer(_version(than), _version(obj))


def _carries(obj: Mapping[str, Any], namespace: str | None, labels: Mapping[str, str]) -> bool:
    metadata = obj["metadata"]
    if namespace is not None and (metadata.get("namespace") or "") != namespace:
        return False
    own = metadata.get("labels") or {}
    return all(own.get(name) == value for name, value in labels.items())
