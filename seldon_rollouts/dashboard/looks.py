"""Looks: what is read when somebody opens one rollout, shared by all who look in the same moment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from controller.api.meta import ROLLOUT_LABEL
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from seldon_rollouts.view.base import View
from seldon_rollouts.view.measuring import RunDetail, analysis_runs
from seldon_rollouts.view.revisions import DEPLOYMENT_LABEL, RevisionDetail, revisions

FRESH_SECONDS = 2.0


class Told(View):
    """An event of the rollout or of what belongs to it."""

    at: str
    type: str
    reason: str
    about: str
    message: str
    count: int


class Look(View):
    """What stands around one rollout."""

    revisions: tuple[RevisionDetail, ...]
    runs: tuple[RunDetail, ...]
    """The rollout's AnalysisRuns, newest first."""
    events: tuple[Told, ...]
    """Newest first, at most 50."""


class Looks:
    """Reads revisions, pods and events; two seconds of age will do, and those who ask meanwhile share the answer."""

    def __init__(self, client: Client, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._under_way: dict[tuple[str, str], tuple[datetime, asyncio.Task[Look]]] = {}

    async def at(self, rollout: dict[str, Any]) -> Look:
        """Return what stands around a rollout.

        Raises:
            ApiError: the API server could not be asked, or does not let the dashboard read this.
        """
        meta, now = rollout["metadata"], self._now()
        for key, (since, task) in list(self._under_way.items()):
            if task.done() and (now - since).total_seconds() > FRESH_SECONDS:
                del self._under_way[key]
        key = (meta["namespace"], meta["name"])
        if key not in self._under_way:
            self._under_way[key] = (now, asyncio.ensure_future(self._read(rollout)))
        return await asyncio.shield(self._under_way[key][1])

    async def _read(self, rollout: dict[str, Any]) -> Look:
        namespace, name = rollout["metadata"]["namespace"], rollout["metadata"]["name"]
        listing: Callable[..., Awaitable[tuple[list[Any], str]]] = self._client.list
        (history, _), (events, _), runs = await asyncio.gather(
            listing(resources.CONTROLLER_REVISION, namespace, labels=f"{ROLLOUT_LABEL}={name}"),
            listing(resources.EVENT, namespace, fields=f"involvedObject.name={name}"),
            self._runs(namespace, name),
        )
        deployments = ",".join(sorted(each["metadata"]["name"] for each in history))
        pods: list[Any] = []
        if deployments:
            pods, _ = await listing(resources.POD, namespace, labels=f"{DEPLOYMENT_LABEL} in ({deployments})")
        told = sorted(map(_told, events), key=lambda event: event.at, reverse=True)
        shown = revisions(rollout, history, pods)
        return Look(revisions=shown, runs=analysis_runs(runs), events=tuple(told[:50]))

    async def _runs(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """Return a rollout's AnalysisRuns; none where the kind is not installed."""
        try:
            found, _ = await self._client.list(resources.ANALYSIS_RUN, namespace, labels=f"{ROLLOUT_LABEL}={name}")
        except NotFoundError:
            return []
        return found


def _told(event: dict[str, Any]) -> Told:
    about = event.get("involvedObject") or {}
    at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
    return Told(
        at=str(at),
        type=str(event.get("type", "")),
        reason=str(event.get("reason", "")),
        about=f"{about.get('kind', '')} {about.get('name', '')}".strip(),
        message=str(event.get("message", "")),
        count=int(event.get("count") or (event.get("series") or {}).get("count") or 1),
    )
