"""Events: what a person reads under `kubectl describe`. The same news again raises the count of the first."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from localcluster.client import ApiClient
from localcluster.objects import ApiError, Object
from localcluster.times import stamp

REMEMBERED, QUEUED = 2000, 1000


class Recorder:
    """Writes Events of one component, in the background: neither a slow nor a missing API server holds up the work."""

    def __init__(self, client: ApiClient, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._queue: asyncio.Queue[tuple[str, Object, int]] = asyncio.Queue(QUEUED)
        self._writer: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop writing; what was not written yet is lost."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def tell(self, about: Object, reason: str, message: str, *, warning: bool = False, part: str = "") -> None:
        """Record an event; `part` is the field path of what it is about, such as `spec.containers{model}`."""
        meta = about["metadata"]
        name = self._name(meta, reason, message, part)
        count = self._counts.pop(name, 0) + 1
        self._counts[name] = count
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        at = stamp(datetime.now(UTC))
        regarding = {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": meta.get("namespace", ""),
            "uid": meta["uid"],
        } | ({"fieldPath": part} if part else {})
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta.get("namespace") or "default"},
            "involvedObject": regarding,
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if warning else "Normal",
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": count,
        }
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="events")
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((name, event, count))

    async def _write(self) -> None:
        while True:
            name, event, count = await self._queue.get()
            with contextlib.suppress(ApiError):
                if count == 1:
                    await self._client.create("v1", "events", event)
                    continue
                patch = {"count": count, "lastTimestamp": event["lastTimestamp"]}
                await self._client.patch("v1", "events", name, patch, namespace=event["metadata"]["namespace"])

    def _name(self, meta: dict[str, Any], reason: str, message: str, part: str) -> str:
        """The same for the same news, so that it can be found again; it differs for each life of the object."""
        source = "\0".join((meta["uid"], reason, message, part, self._source["component"]))
        return f"{meta['name'][:200]}.{hashlib.sha256(source.encode()).hexdigest()[:16]}"
