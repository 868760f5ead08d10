"""Feed: one shared watch for all viewers; rows made once for each change, and how the evidence went."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.watches import Change
from controller.rollout.curve import before_it_began
from seldon_rollouts.view.base import status_of
from seldon_rollouts.view.detail import Point, kept, point
from seldon_rollouts.view.rows import Row, as_of, ordered, row

Key = tuple[str, str]
CURVE_POINTS = 600


class Feed:
    """What the dashboard knows of the cluster's rollouts, kept by one watch."""

    def __init__(self, cluster: Cluster, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._stale_at: datetime | None = None
        self._rows: dict[Key, Row] = {}
        self._ordered: list[Row] | None = None
        self._curves: dict[Key, deque[Point]] = {}
        self._version = 0
        self._changed = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()
        self._informer = cluster.watch(resources.SELDON_ROLLOUT, on_change=self._on_change)

    @property
    def problem(self) -> str:
        """Why what is shown may be old, or is not there yet; empty when all is well."""
        return self._informer.problem

    def rows(self) -> list[Row]:
        """Return all rows, those that need attention first; not to be changed."""
        now = self._now()
        if self._ordered is None or (self._stale_at is not None and self._stale_at <= now):
            self._ordered = ordered(as_of(row, now) for row in self._rows.values())
            moving = (row.stuck_at for row in self._ordered if row.urgency == "moving")
            self._stale_at = min(filter(None, moving), default=None)
        return self._ordered

    def rollout(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one rollout."""
        return self._cluster.get(resources.SELDON_ROLLOUT, namespace, name)

    def curve(self, namespace: str, name: str) -> list[Point]:
        """Return how a rollout's evidence went: what its status kept, and what was seen since; at most 600 points."""
        return list(self._curves.get((namespace, name), ()))

    async def versions(self) -> AsyncIterator[int]:
        """Yield the present version at once, and then each time something has changed."""
        seen = -1
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._version > seen)  # noqa: B023 - read when it is called
                seen = self._version
            yield seen

    def _on_change(self, change: Change) -> None:
        meta = change.object["metadata"]
        key = (meta["namespace"], meta["name"])
        self._ordered = None
        if change.type == "DELETED":
            self._curves.pop(key, None)
            self._rows.pop(key, None)
        else:
            self._rows[key] = row(change.object)
            self._remember(key, change.object)
        if not self._wakers:
            task = asyncio.ensure_future(self._wake())
            self._wakers.add(task)
            task.add_done_callback(self._wakers.discard)

    def _remember(self, key: Key, rollout: dict[str, Any]) -> None:
        status = status_of(rollout)
        at = status.analysis.updated_at
        if at is None or before_it_began(status.analysis):
            return
        curve = self._curves.setdefault(key, deque(maxlen=CURVE_POINTS))
        if not curve or at > curve[-1].at:
            seen = point(status, at)
            if curve and curve[-1].revision != seen.revision:
                curve.clear()
            if not curve:
                curve.extend(each for each in kept(status) if each.at < at)
            curve.append(seen)

    async def _wake(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()
