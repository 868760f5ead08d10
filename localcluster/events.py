"""Events: what a person reads under `kubectl describe`. The same news again raises the count of the first."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from localcluster.client import ApiClient, ApiError
from localcluster.objects import Object
from localcluster.times import stamp

REMEMBERED = 2000


class Recorder:
    """Writes Events of one component; a failure to write one never disturbs the work it tells about."""

    def __init__(self, client: ApiClient, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._counts: OrderedDict[str, int] = OrderedDict()

    async def tell(self, about: Object, reason: str, message: str, *, warning: bool = False, part: str = "") -> None:
        """Record an event; `part` is the field path of what it is about, such as `spec.containers{model}`."""
        meta = about["metadata"]
        name = self._name(meta, reason, message, part)
        count = self._counts.pop(name, 0) + 1
        self._counts[name] = count
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        at, namespace = stamp(datetime.now(UTC)), meta.get("namespace") or "default"
        with contextlib.suppress(ApiError):
            if count > 1:
                patch = {"count": count, "lastTimestamp": at}
                await self._client.patch("v1", "events", name, patch, namespace=namespace)
                return
            regarding = {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                "namespace": meta.get("namespace", ""),
                "uid": meta["uid"],
            } | ({"fieldPath": part} if part else {})
            event: dict[str, Any] = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": regarding,
                "reason": reason,
                "message": message[:1024],
                "type": "Warning" if warning else "Normal",
                "source": self._source,
                "reportingComponent": self._source["component"],
                "reportingInstance": self._source.get("host", ""),
                "firstTimestamp": at,
                "lastTimestamp": at,
                "count": 1,
            }
            await self._client.create("v1", "events", event)

    def _name(self, meta: dict[str, Any], reason: str, message: str, part: str) -> str:
        """The same for the same news, so that it can be found again; it differs for each life of the object."""
        source = "\0".join((meta["uid"], reason, message, part, self._source["component"]))
        return f"{meta['name'][:200]}.{hashlib.sha256(source.encode()).hexdigest()[:16]}"
