"""The cache of one kind: what the watch told, and what we wrote ourselves, whichever is newer.

Pure but for its own state. A write's answer enters at once (`written`, `deleted`), so that a reader never sees the
world before its own last write; older news from the watch is then passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.kube.objects import Object, key_of, uid_of, version_of
from controller.kube.resources import owned_by
from controller.kube.watches import Change, ChangeType
from controller.queue import Key

REMEMBERED = 1000
"""Deletions that are remembered, so that the late answer of a write brings nothing back."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A write of ours that the watch has not confirmed yet; `seen` is what was told of the object before it."""

    sequence: int
    seen: Object | None


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """An object that we deleted, until the watch says so too.

    `version` is what the cache had of it, `last` what was told of it before, if anything.
    """

    sequence: int
    version: str
    last: Object | None


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
        self._tombstones: dict[Key, dict[str, _Tombstone]] = {}
        self._gone_at: dict[str, str] = {}
        self._heard: dict[str | None, str] = {}  # by namespace, None for all: the newest version that was told
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
        if self._buried_after(key, obj) or (current is None and self._told_as_gone(obj)):
            return  # its answer came after a later deletion, ours or one that was told
        if current is not None and (_older(obj, current) or version_of(obj) == version_of(current)):
            return  # nothing changed, or the watch told it already
        self._sequence += 1
        before = self._written.get(key)
        self._written[key] = _Written(self._sequence, before.seen if before else current)
        self._put(key, obj)

    def deleted(self, key: Key, uid: str) -> None:
        """Take the answer of a deletion that is complete: only that object goes, and no successor of its name."""
        current = self._objects.get(key)
        if uid in self._tombstones.get(key, ()) or uid in self._gone_at:
            return
        self._sequence += 1
        version, last = "", None
        if current is not None and uid_of(current) == uid:
            self._remove(key)
            before = self._written.pop(key, None)
            version, last = version_of(current), before.seen if before is not None else current
        self._tombstones.setdefault(key, {})[uid] = _Tombstone(self._sequence, version, last)

    def dropped(self, obj: Object) -> None:
        """Forget an object that a write of ours moved out of what we watch; one that was never in it may yet come."""
        current = self._objects.get(key_of(obj))
        if current is not None and uid_of(current) == uid_of(obj):
            self.deleted(key_of(obj), uid_of(obj))

    # news from the server

    def event(self, kind: ChangeType, obj: Object) -> Change | None:
        """Take one event of a watch, well-formed; return the change that it means, or None when it is old news."""
        key = key_of(obj)
        self._hear(key[0], version_of(obj))
        if kind == "DELETED":
            self._remember_gone(uid_of(obj), version_of(obj))
        elif self._buried_after(key, obj):
            return None
        if uid_of(obj) in self._tombstones.get(key, ()):
            return self._confirmed(key, obj, self._take_tombstone(key, uid_of(obj)))
        current = self._objects.get(key)
        if kind == "DELETED":
            return self._gone(key, obj, current)
        return self._news(key, obj, current)

    def _buried_after(self, key: Key, obj: Object) -> bool:
        """Say whether news of an object are older than a deletion of ours: of it, or of a successor of its name."""
        graves = self._tombstones.get(key)
        if not graves:
            return False
        return uid_of(obj) in graves or any(_is_newer(grave.version, version_of(obj)) for grave in graves.values())

    def _hear(self, namespace: str | None, version: str) -> None:
        if not _is_newer(self._heard.get(namespace, ""), version):
            self._heard[namespace] = version

    def _told_as_gone(self, obj: Object) -> bool:
        """Say of an object that is not here whether it was: by its uid, or as what was told is as new as it is."""
        heard = (self._heard.get(scope, "") for scope in (key_of(obj)[0], None))
        return self._is_past(obj) or any(
            version.isdigit() and not _is_newer(version_of(obj), version) for version in heard
        )

    def _is_past(self, obj: Object) -> bool:
        """Say whether news of an object are from before its end was told, or before it left what we watch."""
        gone = self._gone_at.get(uid_of(obj))
        return gone is not None and not _is_newer(version_of(obj), gone)

    def _take_tombstone(self, key: Key, uid: str) -> _Tombstone:
        graves = self._tombstones[key]
        tombstone = graves.pop(uid)
        if not graves:
            del self._tombstones[key]
        return tombstone

    def _confirmed(self, key: Key, obj: Object, tombstone: _Tombstone) -> Change | None:
        """The deletion of ours is confirmed: tell it, unless a successor of the same name has been told already."""
        if tombstone.last is None or (key in self._objects and key not in self._written):
            return None
        return Change("DELETED", obj, tombstone.last)

    def _gone(self, key: Key, obj: Object, current: Object | None) -> Change | None:
        if current is None:
            return None
        if uid_of(current) != uid_of(obj):
            if _older(obj, current):
                return None  # its predecessor of the same name
            self._remember_gone(uid_of(current), version_of(obj))
        self._written.pop(key, None)
        self._remove(key)
        return Change("DELETED", obj, current)

    def _remember_gone(self, uid: str, version: str) -> None:
        """Keep at which resourceVersion an object was told to be gone; of the oldest that is forgotten."""
        before = self._gone_at.pop(uid, "")
        self._gone_at[uid] = before if _is_newer(before, version) else version
        if len(self._gone_at) > REMEMBERED:
            del self._gone_at[next(iter(self._gone_at))]

    def _news(self, key: Key, obj: Object, current: Object | None) -> Change | None:
        if current is None and self._is_past(obj):
            return None  # told once more
        written = self._written.get(key)
        if current is not None:
            if _older(obj, current):
                return None
            if written is None and version_of(obj) == version_of(current):
                return None
        self._written.pop(key, None)
        self._put(key, obj)
        previous = written.seen if written is not None else current
        same = previous is not None and uid_of(previous) == uid_of(obj)
        return Change("MODIFIED" if same else "ADDED", obj, previous)

    def replace(self, objects: Iterable[Object], *, version: str, began: int, namespace: str | None) -> list[Change]:
        """Take a whole list; return the changes that the watch did not tell.

        Args:
            objects: all objects of the scope, well-formed.
            version: the list's resourceVersion.
            began: what `begin` gave before the list was asked for.
            namespace: the scope of the list; None for all namespaces.
        """
        self._hear(namespace, version)
        changes: list[Change] = []
        listed: set[tuple[Key, str]] = set()
        for obj in objects:
            key = key_of(obj)
            listed.add((key, uid_of(obj)))
            tombstone = self._tombstones.get(key, {}).get(uid_of(obj))
            if tombstone is not None and tombstone.sequence <= began:
                self._take_tombstone(key, uid_of(obj))  # the list is younger than our deletion: it is there after all
            if self._buried_after(key, obj):
                continue
            change = self._news(key, obj, self._objects.get(key))
            if change is not None:
                changes.append(change)
        changes.extend(self._missing(listed, version, began, namespace))
        return changes

    def _missing(
        self, listed: set[tuple[Key, str]], version: str, began: int, namespace: str | None
    ) -> Iterator[Change]:
        """Remove what the list no longer has, except what we wrote after it was read."""
        for key, obj in list(self._objects.items()):
            if (key, uid_of(obj)) in listed or (namespace is not None and key[0] != namespace):
                continue
            written = self._written.get(key)
            if written is not None and _after_list(version_of(obj), version, written.sequence > began):
                continue
            self._written.pop(key, None)
            self._remove(key)
            self._remember_gone(uid_of(obj), version)
            yield Change("DELETED", obj, obj)
        graves = [(key, uid, grave) for key, by_uid in self._tombstones.items() for uid, grave in by_uid.items()]
        for key, uid, grave in graves:
            if (key, uid) in listed or (namespace is not None and key[0] != namespace):
                continue
            if grave.sequence > began and _after_list(grave.version, version, told=True):
                continue  # the list may be older than the object
            self._remember_gone(uid, version)
            change = self._confirmed(key, grave.last or {}, self._take_tombstone(key, uid))
            if change is not None:
                yield change

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


def _is_newer(version: str, than: str) -> bool:
    """Compare as Kubernetes lets us: whole numbers by size; anything else says nothing."""
    return version.isdigit() and than.isdigit() and int(version) > int(than)


def _after_list(version: str, listed: str, told: bool) -> bool:
    """Say whether an object of this version is younger than a list: by the versions, else by when we were `told`."""
    if version.isdigit() and listed.isdigit():
        return int(version) > int(listed)
    return told


def _older(obj: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    return _is_newer(version_of(than), version_of(obj))


def _carries(obj: Mapping[str, Any], namespace: str | None, labels: Mapping[str, str]) -> bool:
    metadata = obj["metadata"]
    if namespace is not None and (metadata.get("namespace") or "") != namespace:
        return False
    own = metadata.get("labels") or {}
    return all(own.get(name) == value for name, value in labels.items())
