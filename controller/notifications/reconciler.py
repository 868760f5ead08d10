"""The notifier: finds what is new in the histories of rollouts, and delivers it beside the passes.

At least once: up to when everything was told stands in a ConfigMap, and a new leader begins there.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from controller import clock
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.errors import ApiError, NotFoundError
from controller.kube.watches import Watch
from controller.notifications import messages, sending
from controller.notifications.configuration import Configuration, ConfigurationError, parse
from controller.notifications.notices import notices, stuck_at
from controller.notifications.outbox import Letter, Outbox
from controller.queue import Key
from controller.settings import Settings

log = logging.getLogger("seldon_rollouts.notifications")

CURSOR = "seldon-rollouts-notified"
TICK = timedelta(seconds=1)
KEEP_EVERY = timedelta(seconds=10)
"""How often it is written down what was told."""
FORGET = timedelta(hours=24)
MARGIN = timedelta(minutes=1)
"""Histories are looked at from so long before: the watch may tell of one rollout later than of another."""

Send = Callable[[messages.Post | messages.Mail], Awaitable[sending.Failure | None]]


def sent(registry: CollectorRegistry) -> Counter:
    """Return what counts notifications."""
    return Counter(
        "seldon_rollouts_notifications",
        "Notifications by service and result: delivered, failed (and tried again), dropped.",
        ["service", "result"],
        registry=registry,
    )


class Notifier:
    """Tells people elsewhere what happened to rollouts."""

    name = "notifications"

    def __init__(self, cluster: Cluster, settings: Settings, *, send: Send = sending.send) -> None:
        self._cluster = cluster
        self._file = Path(settings.notifications_file)
        self._namespace = settings.operator_namespace
        self._send = send
        self._outbox = Outbox()
        self._sent = sent(cluster.client.metrics.registry)
        self._configuration = Configuration()
        self._busy: set[str] = set()
        self._read_at = 0.0
        self._since: datetime | None = None
        self._newest: datetime | None = None
        self._kept: datetime | None = None
        self._requeue: Callable[[Key], None] = lambda _key: None
        self.watches = (Watch(resources.SELDON_ROLLOUT, lambda obj: [_key(obj)]),)

    def start(self, requeue: Callable[[Key], None]) -> None:
        """Take the function that wakes a rollout."""
        self._requeue = requeue

    async def reconcile(self, key: Key) -> timedelta | None:
        """Post what is new in one rollout's history; return when it would count as stuck."""
        rollout = self._cluster.get(resources.SELDON_ROLLOUT, *key)
        if rollout is None or self._since is None:
            return None
        now = clock.now()
        for notice in notices(rollout, since=self._since - MARGIN, now=now):
            self._newest = max(self._newest or notice.at, notice.at)
            self._outbox.post(notice, self._configuration.services_for(notice), now)
        due = stuck_at(rollout)
        return due - now + TICK if due is not None and due > now else None

    async def run(self) -> None:
        """Deliver what waits, while we lead; a failure of a service delays its own letters alone."""
        self._read()
        self._kept = await self._told_until()
        self._since = self._newest = self._kept or clock.now()
        if self._kept is None:
            await self._keep()  # what happens from now on is told, also if we end before anything was
        for rollout in self._cluster.list(resources.SELDON_ROLLOUT):
            self._requeue(_key(rollout))
        kept_at = clock.now()
        async with asyncio.TaskGroup() as rounds:
            while True:
                await asyncio.sleep(TICK.total_seconds())
                self._read()
                for service, letters in self._due().items():
                    self._busy.add(service)
                    rounds.create_task(self._round(service, letters, self._configuration))
                self._count_dropped()
                if clock.now() - kept_at >= KEEP_EVERY:
                    kept_at = clock.now()
                    await self._keep()

    def _due(self) -> dict[str, list[Letter]]:
        """Return what to send now to each service that is not being told something already."""
        limits = {name: service.per_minute for name, service in self._configuration.services.items()}
        found: dict[str, list[Letter]] = {}
        for letter in self._outbox.due(clock.now(), limits):
            if letter.service not in self._busy:
                found.setdefault(letter.service, []).append(letter)
        return found

    async def _round(self, service: str, letters: list[Letter], configuration: Configuration) -> None:
        """Tell one service one thing after another, until it refuses."""
        try:
            for letter in letters:
                if not await self._deliver(letter, configuration):
                    break
        finally:
            self._busy.discard(service)

    async def _deliver(self, letter: Letter, configuration: Configuration) -> bool:
        service = configuration.services[letter.service]
        failure = await self._send(messages.message(letter.notice, service, configuration))
        where = (letter.notice.namespace, letter.notice.name, letter.notice.trigger.value, letter.service)
        self._sent.labels(letter.service, "failed" if failure else "delivered").inc()
        if failure is not None:
            self._outbox.failed(letter, clock.now(), random.random(), failure.wait)
            log.warning("rollout=%s/%s trigger=%s service=%s not delivered problem=%s", *where, failure.problem)
        else:
            self._outbox.delivered(letter, clock.now())
            log.info("rollout=%s/%s trigger=%s service=%s delivered", *where)
        return failure is None

    def _count_dropped(self) -> None:
        if self._outbox.dropped:
            log.error("notifications dropped number=%d", self._outbox.dropped)
            self._sent.labels("", "dropped").inc(self._outbox.dropped)
            self._outbox.dropped = 0

    def _read(self) -> None:
        """Read the file again when it has changed; one that is wrong leaves what was known before in force."""
        try:
            changed = self._file.stat().st_mtime
            if changed == self._read_at:
                return
            self._read_at = changed
            self._configuration = parse(self._file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, ConfigurationError) as error:
            log.error("file=%s cannot be used error=%s", self._file, error)

    async def _told_until(self) -> datetime | None:
        """Return up to when everything was told, a day ago at most; None when nobody wrote it down."""
        try:
            kept = await self._cluster.client.get(resources.CONFIG_MAP, self._namespace, CURSOR)
            told = datetime.fromisoformat((kept.get("data") or {})["toldUntil"])
        except (NotFoundError, KeyError, ValueError):
            return None
        return max(told, clock.now() - FORGET)

    async def _keep(self) -> None:
        """Write down up to when everything was told, if that has changed."""
        until = self._outbox.told_until(self._newest or clock.now())
        if until == self._kept:
            return
        obj: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": self._namespace, "name": CURSOR},
            "data": {"toldUntil": until.isoformat()},
        }
        try:
            await self._cluster.apply(resources.CONFIG_MAP, obj)
        except ApiError as error:
            log.warning("what was told cannot be written down; after a restart it may be told again error=%s", error)
        else:
            self._kept = self._since = until


def _key(obj: dict[str, Any]) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
