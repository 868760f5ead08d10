"""Feed: one shared watch for all viewers, and the evidence curves that it has seen."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.watches import Change
from seldon_rollouts.dashboard import view
from seldon_rollouts.dashboard.view import Point

Key = tuple[str, str]
CURVE_POINTS = 600


class Feed:
    """What the dashboard knows of the cluster's rollouts, kept by one watch."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._curves: dict[Key, deque[Point]] = {}
        self._version = 0
        self._changed = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()
        cluster.watch(resources.SELDON_ROLLOUT, on_change=self._on_change)

    def rollouts(self) -> list[dict[str, Any]]:
        """Return all rollouts."""
        return self._cluster.list(resources.SELDON_ROLLOUT)

    def rollout(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one rollout."""
        return self._cluster.get(resources.SELDON_ROLLOUT, namespace, name)

    def curve(self, namespace: str, name: str) -> list[Point]:
        """Return what was seen of a rollout's evidence since the dashboard started, at most 600 points."""
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
        if change.type == "DELETED":
            self._curves.pop(key, None)
        else:
            self._remember(key, change.object)
        task = asyncio.ensure_future(self._wake())
        self._wakers.add(task)
        task.add_done_callback(self._wakers.discard)

    def _remember(self, key: Key, rollout: dict[str, Any]) -> None:
        status = view.status_of(rollout)
        at = status.analysis.updated_at
        curve = self._curves.setdefault(key, deque(maxlen=CURVE_POINTS))
        if at is not None and (not curve or at > curve[-1].at):
            canary = view.point(status, at)
            if curve and curve[-1].revision != canary.revision:
                curve.clear()
            curve.append(canary)

    async def _wake(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()
