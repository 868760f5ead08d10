"""Events: what happened to an object, for people who ask `kubectl describe`.

Repeated ones raise a count instead of filling the cluster, and each object has a bounded rate.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from controller.kube.objects import Object

EventType = Literal["Normal", "Warning"]
COMPONENT = "seldon-rollouts"
WINDOW = timedelta(hours=1)  # the API server forgets events after that
SPACING = timedelta(seconds=10)
BURST = 25
REFILL = timedelta(seconds=30)
REMEMBERED = 4096
TRIES = 3


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What is said: the same of the same object is one event."""

    namespace: str
    uid: str
    type: EventType
    reason: str
    message: str
    action: str


@dataclass(slots=True)
class _Series:
    name: str
    regarding: Object
    first: datetime
    last: datetime
    count: int
    written_at: datetime | None = None
    hold_until: datetime | None = None
    failures: int = 0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Write:
    """One write that is due.

    Args:
        occurrence: what is said.
        name: the Event's name.
        body: the whole Event.
        new: whether it has to be created; else its count is raised.
    """

    occurrence: Occurrence
    name: str
    body: Object
    new: bool


@dataclass(slots=True)
class EventLog:
    """Which events are written when; pure, with `now` given.

    Args:
        host: the name of this process, in the events.
        spacing: the shortest time between two writes of one event.
        burst: how many different events one object may have at once.
        refill: after how long it may have one more.
    """

    host: str
    spacing: timedelta = SPACING
    burst: int = BURST
    refill: timedelta = REFILL
    dropped: int = 0
    _series: OrderedDict[Occurrence, _Series] = field(default_factory=OrderedDict)
    _pending: dict[Occurrence, None] = field(default_factory=dict)
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def record(self, occurrence: Occurrence, regarding: Object, now: datetime) -> bool:
        """Count an occurrence; return False when the object has said too much lately."""
        series = self._series.get(occurrence)
        if series is not None and now - series.last < WINDOW:
            series.count += 1
            series.last = now
        else:
            if not self._allowed(occurrence.uid, now):
                self.dropped += 1
                return False
            series = _Series(_name(occurrence, regarding, now), regarding, now, now, 1)
        self._series[occurrence] = series
        self._series.move_to_end(occurrence)
        self._pending[occurrence] = None
        while len(self._series) > REMEMBERED:
            oldest, _ = self._series.popitem(last=False)
            self._pending.pop(oldest, None)
        return True

    def _allowed(self, uid: str, now: datetime) -> bool:
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = self._buckets[uid] = _Bucket(float(self.burst), now)
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.at) / self.refill)
        bucket.at = now
        self._buckets.move_to_end(uid)
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def due(self, now: datetime, *, all_of_them: bool = False) -> list[Write]:
        """Take the writes whose time has come; at the end, all of them."""
        ready = [one for one in self._pending if all_of_them or self._due_at(one) <= now]
        writes = []
        for occurrence in ready:
            del self._pending[occurrence]
            series = self._series[occurrence]
            writes.append(
                Write(occurrence, series.name, _body(occurrence, series, self.host), new=series.written_at is None)
            )
            series.written_at, series.hold_until = now, None
        return writes

    def next_at(self) -> datetime | None:
        """Return when the next write is due; None when there is none."""
        return min((self._due_at(one) for one in self._pending), default=None)

    def failed(self, write: Write, now: datetime) -> bool:
        """Learn that a write did not come through; return whether it will be tried again."""
        series = self._series.get(write.occurrence)
        if series is None:
            return False
        series.failures += 1
        if series.failures > TRIES:
            self._series.pop(write.occurrence)
            self._pending.pop(write.occurrence, None)
            return False
        if write.new:
            series.written_at = None
        series.hold_until = now + self.spacing
        self._pending[write.occurrence] = None
        return True

    def _due_at(self, occurrence: Occurrence) -> datetime:
        series = self._series[occurrence]
        if series.hold_until is not None:
            return series.hold_until
        return series.first if series.written_at is None else series.written_at + self.spacing


def _name(occurrence: Occurrence, regarding: Object, now: datetime) -> str:
    """Return `<object>.<hash>`, as others name events; the same story begun at another time is another event."""
    metadata = regarding.get("metadata") or {}
    told = repr((occurrence.uid, occurrence.type, occurrence.reason, occurrence.message, now))
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    return f"{str(metadata.get('name') or 'unknown')[:230]}.{digest}"


def _body(occurrence: Occurrence, series: _Series, host: str) -> Object:
    metadata = series.regarding.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": occurrence.namespace},
        "involvedObject": {
            "apiVersion": series.regarding.get("apiVersion", ""),
            "kind": series.regarding.get("kind", ""),
            "namespace": metadata.get("namespace") or "",
            "name": metadata.get("name", ""),
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": occurrence.type,
        "reason": occurrence.reason,
        "message": occurrence.message,
        "action": occurrence.action or occurrence.reason,
        "count": series.count,
        "firstTimestamp": _seconds(series.first),
        "lastTimestamp": _seconds(series.last),
        "source": {"component": COMPONENT, "host": host},
        "reportingComponent": COMPONENT,
        "reportingInstance": host[:128],
    }


def _seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
