"""Objects and what happened to them: one growing revision, the present, and the recent past for watches and pages."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from localcluster.apiserver.errors import expired

JsonObject = dict[str, Any]
Key = tuple[str, str]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(slots=True)
class Entry:
    """A stored object. Nobody changes `object`; `raw` is its JSON, rendered once."""

    object: JsonObject
    revision: int
    _raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        if self._raw is None:
            self._raw = orjson.dumps(self.object)
        return self._raw


@dataclass(slots=True, frozen=True)
class Event:
    """One change of one object. `previous` is the object before it; a DELETED event's `entry` is its last state."""

    type: EventType
    collection: str
    key: Key
    entry: Entry
    previous: JsonObject | None

    @property
    def revision(self) -> int:
        return self.entry.revision


@dataclass(slots=True)
class Collection:
    entries: dict[Key, Entry] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=deque)
    compacted: int = 0
    ordered: list[Key] | None = None


class History:
    """All collections. `keep` is how many events each one remembers."""

    def __init__(self, *, keep: int = 2_000, revision: int = 0) -> None:
        self.revision = revision
        self._floor = revision
        self._keep = keep
        self._collections: dict[str, Collection] = {}
        self.listeners: list[Callable[[Event], None]] = []

    def collection(self, name: str) -> Collection:
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = Collection(compacted=self._floor)
        return found

    def get(self, collection: str, key: Key) -> Entry | None:
        return self.collection(collection).entries.get(key)

    def put(self, collection: str, key: Key, obj: JsonObject) -> Entry:
        """Stores `obj` at the next revision, which is written into its metadata."""
        held = self.collection(collection)
        before = held.entries.get(key)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        entry = held.entries[key] = Entry(obj, self.revision)
        if before is None:
            held.ordered = None
        self._record(
            held, Event("MODIFIED" if before else "ADDED", collection, key, entry, before.object if before else None)
        )
        return entry

    def remove(self, collection: str, key: Key) -> Entry:
        """Takes an object out. What it returns, and what watches see, carries the revision of the removal."""
        held = self.collection(collection)
        before = held.entries.pop(key)
        held.ordered = None
        self.revision += 1
        metadata = {**before.object["metadata"], "resourceVersion": str(self.revision)}
        entry = Entry({**before.object, "metadata": metadata}, self.revision)
        self._record(held, Event("DELETED", collection, key, entry, before.object))
        return entry

    def restore(self, collection: str, key: Key, obj: JsonObject, revision: int) -> None:
        """Puts an object back as it was, at start, without an event."""
        held = self.collection(collection)
        held.entries[key] = Entry(obj, revision)
        held.ordered = None

    def restored(self, revision: int) -> None:
        """Ends a restoration: revisions go on from here, and no watch can start before it."""
        self.revision = self._floor = revision
        for held in self._collections.values():
            held.compacted = revision

    def _record(self, held: Collection, event: Event) -> None:
        held.events.append(event)
        while len(held.events) > self._keep:
            held.compacted = held.events.popleft().revision
        for listener in self.listeners:
            listener(event)

    def compact(self, revision: int) -> None:
        """Forgets every event up to a revision: watches from before it get 410."""
        self._floor = max(self._floor, revision)
        for held in self._collections.values():
            held.compacted = max(held.compacted, revision)
            while held.events and held.events[0].revision <= revision:
                held.events.popleft()

    def since(self, collection: str, revision: int) -> Iterator[Event]:
        """The events after a revision, oldest first. Raises ApiError 410 when they are no longer remembered."""
        held = self.collection(collection)
        if revision < held.compacted:
            raise expired(f"too old resource version: {revision} ({held.compacted})")
        return (event for event in list(held.events) if event.revision > revision)

    def keys(self, collection: str) -> list[Key]:
        """All keys in the order of lists: by namespace, then name. Callers do not change it."""
        held = self.collection(collection)
        if held.ordered is None:
            held.ordered = sorted(held.entries)
        return held.ordered

    def entries(self, collection: str) -> dict[Key, Entry]:
        return self.collection(collection).entries

    def at(self, collection: str, revision: int) -> dict[Key, Entry]:
        """The collection as it was at a revision. Raises ApiError 410 when that is no longer known."""
        held = self.collection(collection)
        if revision < held.compacted:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            )
        past = dict(held.entries)
        for event in reversed(held.events):
            if event.revision <= revision:
                break
            if event.previous is None:
                past.pop(event.key, None)
            else:
                past[event.key] = Entry(event.previous, int(event.previous["metadata"]["resourceVersion"]))
        return past

    def all(self) -> Iterable[tuple[str, Key, Entry]]:
        for name, held in self._collections.items():
            for key, entry in held.entries.items():
                yield name, key, entry
