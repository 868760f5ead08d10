"""Events: what happened to an object, for people who ask `kubectl describe`.

Repeated ones raise a count instead of filling the cluster, each object has a bounded rate, and nobody waits or fails.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from controller import clock
from controller.kube.client import Client
from controller.kube.errors import ApiError, NotFoundError
from controller.kube.resources import EVENT
from controller.kube.store import Object

log = logging.getLogger("seldon_rollouts.events")

EventType = Literal["Normal", "Warning"]
COMPONENT = "seldon-rollouts"
LONGEST_MESSAGE = 1024  # the API refuses longer ones
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


class Recorder:
    """Writes the events of an `EventLog` in the background.

    Args:
        client: sends the requests.
        host: the name of this process.
        log: decides what is written when.
        now: the clock.
    """

    def __init__(
        self,
        client: Client,
        *,
        host: str = COMPONENT,
        events: EventLog | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._client = client
        self._log = events or EventLog(host)
        self._now = now
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def record(
        self,
        regarding: Object,
        *,
        type: EventType,  # noqa: A002 - the API's word
        reason: str,
        message: str,
        action: str = "",
    ) -> None:
        """Note what happened; it is written soon."""
        metadata = regarding.get("metadata") or {}
        occurrence = Occurrence(
            namespace=metadata.get("namespace") or "default",
            uid=str(metadata.get("uid") or f"{regarding.get('kind')}/{metadata.get('name')}"),
            type=type,
            reason=reason,
            message=message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…",
            action=action,
        )
        if not self._log.record(occurrence, regarding, self._now()):
            self._client.metrics.events_dropped.labels("rate").inc()
            log.warning("event dropped, too many object=%s reason=%s", metadata.get("name"), reason)
            return
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="events")

    async def close(self, *, within: timedelta = timedelta(seconds=3)) -> None:
        """Write what is still to be told, within a bound."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(within.total_seconds()):
                for write in self._log.due(self._now(), all_of_them=True):
                    await self._send(write)
        except TimeoutError:
            self._client.metrics.events_dropped.labels("shutdown").inc()
            log.warning("events not written in time")

    async def _run(self) -> None:
        while True:
            for write in self._log.due(self._now()):
                await self._send(write)
            self._wake.clear()
            next_at = self._log.next_at()
            wait = None if next_at is None else max((next_at - self._now()).total_seconds(), 0.0)
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send(self, write: Write) -> None:
        try:
            await self._write(write)
        except Exception as error:  # noqa: BLE001 - an event is never worth a failure
            again = self._log.failed(write, self._now())
            if not again:
                self._client.metrics.events_dropped.labels("error").inc()
            log.warning("event not written reason=%s again=%s error=%s", write.occurrence.reason, again, error)

    async def _write(self, write: Write) -> None:
        if not write.new:
            counted = {key: write.body[key] for key in ("count", "lastTimestamp")}
            try:
                await self._client.merge_patch(EVENT, write.occurrence.namespace, write.name, counted)
            except NotFoundError:
                pass  # the server forgot it
            else:
                return
        try:
            await self._client.create(EVENT, write.body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
