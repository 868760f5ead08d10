"""Writes events in the background: nobody waits for one, and none is worth a failure."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller import clock
from controller.kube.client import Client
from controller.kube.errors import ApiError, NotFoundError
from controller.kube.events import COMPONENT, EventLog, EventType, Occurrence, Write
from controller.kube.objects import Object
from controller.kube.resources import EVENT

log = logging.getLogger("seldon_rollouts.events")

LONGEST_MESSAGE = 1024  # the API refuses longer ones


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
