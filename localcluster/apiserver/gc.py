"""What follows from a deletion: dependents of an owner, the content of a namespace, the objects of a definition.

In Kubernetes the controller manager does this. It works on the store, one step at a time, until nothing is left to do.
"""

from collections import deque
from typing import Any

from localcluster.apiserver import custom
from localcluster.apiserver.deletion import FOREGROUND, ORPHAN, Deletion
from localcluster.apiserver.errors import ApiError
from localcluster.apiserver.history import Entry, Event, Key
from localcluster.apiserver.store import Store

JsonObject = dict[str, Any]
Place = tuple[str, Key]

_UNOWNED = frozenset({"events"})


class Collector:
    """Watches the store's events; `run` does what they call for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[str, Place] = {}
        self._dependents: dict[str, set[Place]] = {}
        self._pending: deque[tuple[str, str, Place]] = deque()
        for collection, key, entry in store.history.all():
            self._learn(collection, key, entry.object)
        store.history.listeners.append(self._happened)

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def run(self) -> None:
        """Does everything that is pending, and what that leads to."""
        while self._pending:
            what, uid, place = self._pending.popleft()
            match what:
                case "dependents":
                    for dependent in sorted(self._dependents.get(uid, ())):
                        self._judge(dependent)
                case "owners":
                    self._judge(place)
                case "finalizers":
                    self._finalize(place)
                case "namespace":
                    self._empty_namespace(place[1][1])
                case "definition":
                    self._empty_definition(place[1][1])
                case _:
                    raise AssertionError(what)

    # ── learning ─────────────────────────────────────────────────────────────────────────────────────────────

    def _happened(self, event: Event) -> None:
        place = (event.collection, event.key)
        metadata = event.entry.object["metadata"]
        uid = metadata["uid"]
        if event.previous is not None:
            for owner in event.previous["metadata"].get("ownerReferences") or ():
                self._dependents.get(owner["uid"], set()).discard(place)
                if event.type == "DELETED" and owner["uid"] in self._places:
                    self._pending.append(("finalizers", owner["uid"], self._places[owner["uid"]]))
        if event.type == "DELETED":
            self._places.pop(uid, None)
            if self._dependents.get(uid):
                self._pending.append(("dependents", uid, place))
            self._ended_in(event)
            return
        self._learn(event.collection, event.key, event.entry.object)

    def _learn(self, collection: str, key: Key, obj: JsonObject) -> None:
        place = (collection, key)
        metadata = obj["metadata"]
        self._places[metadata["uid"]] = place
        owners = metadata.get("ownerReferences") or ()
        for owner in owners:
            self._dependents.setdefault(owner["uid"], set()).add(place)
        if owners and collection not in _UNOWNED and any(owner["uid"] not in self._places for owner in owners):
            self._pending.append(("owners", metadata["uid"], place))
        if "deletionTimestamp" in metadata:
            if collection == "namespaces":
                self._pending.append(("namespace", metadata["uid"], place))
            elif collection == custom.COLLECTION:
                self._pending.append(("definition", metadata["uid"], place))
            if {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or ()):
                self._pending.append(("finalizers", metadata["uid"], place))

    def _ended_in(self, event: Event) -> None:
        """Something went: its namespace or its definition may be waiting for that."""
        namespace = event.key[0]
        if namespace and self._terminating("namespaces", namespace):
            self._pending.append(("namespace", "", ("namespaces", ("", namespace))))
        if self._terminating(custom.COLLECTION, event.collection):
            self._pending.append(("definition", "", (custom.COLLECTION, ("", event.collection))))

    def _terminating(self, collection: str, name: str) -> bool:
        entry = self._store.history.get(collection, ("", name))
        return entry is not None and "deletionTimestamp" in entry.object["metadata"]

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────────

    def _entry(self, place: Place) -> Entry | None:
        return self._store.history.get(*place)

    def _judge(self, place: Place) -> None:
        """Deletes an object none of whose owners exists; takes missing owners off one that has another."""
        entry = self._entry(place)
        if entry is None:
            return
        owners = entry.object["metadata"].get("ownerReferences") or []
        present = [owner for owner in owners if self._present(owner["uid"], place)]
        if len(present) == len(owners):
            return
        if not present:
            self._delete(place, entry)
        else:
            self._rewrite(place, entry, {**entry.object["metadata"], "ownerReferences": present})

    def _present(self, uid: str, dependent: Place) -> bool:
        place = self._places.get(uid)
        return place is not None and place[1][0] in ("", dependent[1][0])

    def _delete(self, place: Place, entry: Entry, propagation: str = "") -> None:
        kind = self._store.kinds.of_collection(place[0])
        metadata = entry.object["metadata"]
        if kind is None or ("deletionTimestamp" in metadata and propagation != "Foreground"):
            return
        held = {FOREGROUND: "Foreground", ORPHAN: "Orphan"}
        keep = next((held[name] for name in metadata.get("finalizers") or () if name in held), "Background")
        try:
            self._store.delete(kind, *place[1], Deletion(propagation=propagation or keep, uid=metadata["uid"]))
        except ApiError as error:
            if error.code != 404:
                raise

    def _rewrite(self, place: Place, entry: Entry, metadata: JsonObject) -> None:
        """Stores new metadata as it is; an object that was only waiting for its finalizers goes."""
        obj = {**entry.object, "metadata": {name: value for name, value in metadata.items() if value != []}}
        waiting = "deletionTimestamp" in metadata and not obj["metadata"].get("finalizers")
        if waiting and not metadata.get("deletionGracePeriodSeconds") and not (obj.get("spec") or {}).get("finalizers"):
            self._store.history.remove(*place)
        else:
            self._store.history.put(place[0], place[1], obj)

    def _finalize(self, place: Place) -> None:
        entry = self._entry(place)
        if entry is None or "deletionTimestamp" not in entry.object["metadata"]:
            return
        finalizers = entry.object["metadata"].get("finalizers") or []
        uid = entry.object["metadata"]["uid"]
        if ORPHAN in finalizers:
            self._orphan(uid)
            self._without_finalizer(place, ORPHAN)
        elif FOREGROUND in finalizers and not self._delete_dependents(uid):
            self._without_finalizer(place, FOREGROUND)

    def _orphan(self, uid: str) -> None:
        for dependent in sorted(self._dependents.get(uid, ())):
            entry = self._entry(dependent)
            if entry is not None:
                owners = entry.object["metadata"].get("ownerReferences") or ()
                kept = [owner for owner in owners if owner["uid"] != uid]
                self._rewrite(dependent, entry, {**entry.object["metadata"], "ownerReferences": kept})

    def _delete_dependents(self, uid: str) -> bool:
        """Deletes what an owner in foreground deletion owns; True while something blocks it."""
        blocking = False
        for dependent in sorted(self._dependents.get(uid, ())):
            entry = self._entry(dependent)
            if entry is None:
                continue
            metadata = entry.object["metadata"]
            mine = next(owner for owner in metadata["ownerReferences"] if owner["uid"] == uid)
            others = [owner for owner in metadata["ownerReferences"] if owner["uid"] != uid]
            if others and any(self._present(owner["uid"], dependent) for owner in others):
                self._rewrite(dependent, entry, {**metadata, "ownerReferences": others})
                continue
            if "deletionTimestamp" not in metadata:
                owns = bool(self._dependents.get(metadata["uid"]))
                self._delete(dependent, entry, "Foreground" if owns else "Background")
            blocking = blocking or (bool(mine.get("blockOwnerDeletion")) and self._entry(dependent) is not None)
        return blocking

    def _without_finalizer(self, place: Place, finalizer: str) -> None:
        entry = self._entry(place)
        if entry is not None:
            metadata = entry.object["metadata"]
            left = [name for name in metadata.get("finalizers") or () if name != finalizer]
            self._rewrite(place, entry, {**metadata, "finalizers": left})

    def _empty_namespace(self, namespace: str) -> None:
        entry = self._store.history.get("namespaces", ("", namespace))
        if entry is None:
            return
        content = [(name, key) for name, key, _ in self._store.history.all() if key[0] == namespace]
        for place in sorted(content):
            held = self._entry(place)
            if held is not None:
                self._delete(place, held)
        if not any(key[0] == namespace for _, key, _ in self._store.history.all()):
            spec = {name: value for name, value in (entry.object.get("spec") or {}).items() if name != "finalizers"}
            emptied = Entry({**entry.object, "spec": spec}, entry.revision)
            self._rewrite(("namespaces", ("", namespace)), emptied, entry.object["metadata"])

    def _empty_definition(self, name: str) -> None:
        place = (custom.COLLECTION, ("", name))
        entry = self._entry(place)
        if entry is None or custom.CLEANUP not in (entry.object["metadata"].get("finalizers") or ()):
            return
        for key in list(self._store.history.keys(name)):
            held = self._entry((name, key))
            if held is not None:
                self._delete((name, key), held)
        if not self._store.history.entries(name):
            self._without_finalizer(place, custom.CLEANUP)
