"""Watches: what happens, told to everybody who asked, once for each turn of the event loop."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from localcluster.apiserver.errors import ApiError
from localcluster.apiserver.history import Entry, Event, History
from localcluster.apiserver.http import Sink
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.listing import Query

JsonObject = dict[str, Any]
Render = Callable[[JsonObject], JsonObject]

_BOOKMARK_SECONDS = 15.0
_Type = Literal["ADDED", "MODIFIED", "DELETED"]


class Hub:
    """Collects events as they happen and passes them on in batches."""

    def __init__(self, history: History) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._pending: list[Event] = []
        self.history = history
        history.listeners.append(self._happened)

    def _happened(self, event: Event) -> None:
        if event.collection not in self._watches:
            return
        if not self._pending:
            asyncio.get_running_loop().call_soon(self.flush)
        self._pending.append(event)

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        by_collection: dict[str, list[Event]] = {}
        for event in pending:
            by_collection.setdefault(event.collection, []).append(event)
        for collection, events in by_collection.items():
            lines: dict[int, bytes] = {}
            for watch in list(self._watches.get(collection, ())):
                watch.tell(events, lines)

    def add(self, watch: "Watch") -> None:
        self.flush()
        self._watches.setdefault(watch.kind.collection, set()).add(watch)

    def remove(self, watch: "Watch") -> None:
        found = self._watches.get(watch.kind.collection)
        if found is not None:
            found.discard(watch)
            if not found:
                del self._watches[watch.kind.collection]

    def end(self, collection: str) -> None:
        """Ends every watch of a kind that is no longer served."""
        for watch in list(self._watches.get(collection, ())):
            watch.end()


@dataclass(slots=True, kw_only=True, eq=False)
class WatchOptions:
    """`revision` None: begin with what exists. `render` turns an object to what is shown, None: as it is stored."""

    query: Query
    revision: int | None
    seconds: float
    bookmarks: bool
    initial_events: bool
    render: Render | None


class Watch:
    """One client's watch, a `Stream`. It begins in the past and then follows the hub."""

    content_type = "application/json"

    def __init__(self, hub: Hub, kind: Kind, options: WatchOptions) -> None:
        self.kind = kind
        self._hub = hub
        self._options = options
        self._sink: Sink | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._seen = 0
        self._plain = options.render is None and kind.stored_version in ("", kind.api_version)
        self._selects = bool(options.query.labels or options.query.fields or options.query.namespace is not None)
        self._past = self._read_past()

    def _read_past(self) -> list[bytes]:
        """What the client has to hear first. Raises ApiError 410 when its revision is forgotten."""
        history, options = self._hub.history, self._options
        self._hub.flush()
        self._seen = history.revision
        if options.revision is not None and not options.initial_events:
            events = history.since(self.kind.collection, options.revision)
            return [line for event in events if (line := self._line(event, {}))]
        entries = history.entries(self.kind.collection)
        lines = [line for key in history.keys(self.kind.collection) if (line := self._initial(key, entries[key]))]
        if options.initial_events and options.bookmarks:
            lines.append(self._bookmark(history.revision, end=True))
        return lines

    def start(self, sink: Sink) -> None:
        self._sink = sink
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(self._options.seconds, self.end))
        if self._options.bookmarks:
            self._timers.append(loop.call_later(_BOOKMARK_SECONDS, self._send_bookmark))
        sink.write(b"".join(self._past))
        self._past = []
        self._hub.add(self)

    def stop(self) -> None:
        self._hub.remove(self)
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def end(self) -> None:
        """Says goodbye, with a bookmark if the client wants them."""
        sink = self._sink
        if sink is None:
            return
        if self._options.bookmarks:
            sink.write(self._bookmark(self._hub.history.revision))
        self.stop()
        sink.end()

    def tell(self, events: Iterable[Event], lines: dict[int, bytes]) -> None:
        """Sends the events that this client wants; `lines` caches what is the same for all clients."""
        if self._sink is None:
            return
        out = [line for event in events if event.revision > self._seen and (line := self._line(event, lines))]
        if out:
            self._sink.write(b"".join(out))

    def _send_bookmark(self) -> None:
        if self._sink is not None:
            self._hub.flush()
            self._sink.write(self._bookmark(self._hub.history.revision))
            self._timers[1:] = [asyncio.get_running_loop().call_later(_BOOKMARK_SECONDS, self._send_bookmark)]

    def _initial(self, key: tuple[str, str], entry: Entry) -> bytes:
        shown = self.kind.at_version(entry.object)
        if self._selects and not self._options.query.matches(key, shown):
            return b""
        return self._encoded("ADDED", entry, shown)

    def _line(self, event: Event, lines: dict[int, bytes]) -> bytes:
        """The line for one event, b"" when it does not concern this client."""
        if self._plain and not self._selects:
            line = lines.get(event.revision)
            if line is None:
                line = lines[event.revision] = self._encoded(event.type, event.entry, event.entry.object)
            return line
        shown = self.kind.at_version(event.entry.object)
        if not self._selects:
            return self._encoded(event.type, event.entry, shown)
        query = self._options.query
        now = event.type != "DELETED" and query.matches(event.key, shown)
        before = event.previous is not None and query.matches(event.key, self.kind.at_version(event.previous))
        if not now and not before:
            return b""
        kind: _Type = "DELETED" if not now else "MODIFIED" if before else "ADDED"
        if kind == "DELETED" and event.type != "DELETED" and event.previous is not None:
            # It only left the selection: the client hears of the last state that it could see.
            metadata = {**event.previous["metadata"], "resourceVersion": str(event.revision)}
            shown = self.kind.at_version({**event.previous, "metadata": metadata})
        return self._encoded(kind, event.entry, shown)

    def _encoded(self, type_: _Type, entry: Entry, shown: JsonObject) -> bytes:
        if self._options.render is not None:
            raw = orjson.dumps(self._options.render(shown))
        else:
            raw = entry.raw if shown is entry.object else orjson.dumps(shown)
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), raw)

    def _bookmark(self, revision: int, *, end: bool = False) -> bytes:
        metadata: JsonObject = {"resourceVersion": str(revision), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"


class Failed:
    """A watch that cannot begin: one ERROR event, then the end. That is how the API tells of 410 inside a watch."""

    content_type = "application/json"

    def __init__(self, error: ApiError) -> None:
        self._line = orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n"

    def start(self, sink: Sink) -> None:
        sink.write(self._line)
        sink.end()

    def stop(self) -> None:
        """Nothing to stop."""
