"""Reading: the routes that show rollouts, as JSON and as server-sent events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

from controller.kube.errors import ApiError
from seldon_rollouts.dashboard.access import Person
from seldon_rollouts.dashboard.charts import Charts, Prometheus, Window
from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.identity import Identity
from seldon_rollouts.dashboard.looks import Look, Looks
from seldon_rollouts.dashboard.pulse import Pulse
from seldon_rollouts.dashboard.stream import events
from seldon_rollouts.view.acts import Act, acts
from seldon_rollouts.view.base import View
from seldon_rollouts.view.detail import Detail, Point, detail
from seldon_rollouts.view.past import Episode, episodes
from seldon_rollouts.view.rows import Filter, Row, Urgency

MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such rollout, or none that you may see."}}


class Page(View):
    """A page of the list."""

    items: tuple[Row, ...]
    total: int
    """How many match."""
    attention: int
    """How many need somebody, of all that may be seen."""
    namespaces: tuple[str, ...]


class Acts(View):
    """What may be asked of a rollout now."""

    person: str
    """Who would ask; empty for nobody who is signed in."""
    allowed: bool
    """Whether the person may change this rollout."""
    items: tuple[Act, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the routes show things from."""

    feed: Feed
    pulse: Pulse
    looks: Looks
    prometheus: Prometheus
    identity: Identity
    login: bool
    """Only those who are signed in see anything, and only what they may list."""
    now: Callable[[], datetime]

    async def viewer(self, request: Request) -> Person | None:
        """Return who looks; None for anybody, where anybody may.

        Raises:
            HTTPException: 401; one has to be signed in.
        """
        return await (self.identity.somebody(request) if self.login else self.identity.who(request))

    async def visible(self, person: Person | None, namespaces: Iterable[str]) -> frozenset[str]:
        """Return those of the namespaces that the viewer may see."""
        if not self.login or person is None:
            return frozenset(namespaces)
        return await self.identity.access.readable(person, namespaces)

    async def rollout(self, request: Request, namespace: str, name: str) -> dict[str, Any]:
        """Return a rollout that the viewer may see.

        Raises:
            HTTPException: 404; 401 where one has to be signed in.
        """
        seen = await self.visible(await self.viewer(request), [namespace])
        found = self.feed.rollout(namespace, name) if namespace in seen else None
        if found is None:
            raise HTTPException(404, f"there is no rollout {namespace}/{name}")
        return found


def routes(shown: Shown) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1")
    _list(router, shown)
    _one(router, shown)
    _around(router, shown)
    return router


def _list(router: APIRouter, shown: Shown) -> None:
    @router.get("/rollouts")
    async def rollouts(
        request: Request,
        wanted: Annotated[Filter, Depends(_filter)],
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Page:
        """List rollouts, those that need attention first."""
        every = shown.feed.rows()
        names = {row.namespace for row in every}
        seen = await shown.visible(await shown.viewer(request), names)
        mine = [row for row in every if row.namespace in seen] if seen != names else every
        rows = [row for row in mine if wanted.wants(row)]
        return Page(
            items=tuple(rows[offset : offset + limit]),
            total=len(rows),
            attention=sum(row.urgency == "attention" for row in mine),
            namespaces=tuple(sorted(seen)),
        )

    @router.get("/changes")
    async def changes(request: Request) -> StreamingResponse:
        """Tell, as server-sent events, that something has changed; the page then asks for what it shows."""
        await shown.viewer(request)
        return StreamingResponse(
            events(shown.feed, shown.pulse), media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )  # fmt: skip


def _filter(
    namespace: Annotated[str, Query(max_length=63)] = "",
    search: Annotated[str, Query(max_length=200)] = "",
    phase: Annotated[str, Query(max_length=20)] = "",
    urgency: Annotated[Urgency | None, Query()] = None,
) -> Filter:
    return Filter(namespace=namespace, search=search, phase=phase, urgency=urgency)


def _one(router: APIRouter, shown: Shown) -> None:
    @router.get("/rollouts/{namespace}/{name}", responses=MISSING)
    async def rollout(request: Request, namespace: str, name: str) -> Detail:
        """Show one rollout."""
        return detail(await shown.rollout(request, namespace, name))

    @router.get("/rollouts/{namespace}/{name}/evidence", responses=MISSING)
    async def evidence(request: Request, namespace: str, name: str) -> list[Point]:
        """Show how the evidence went: what the status kept, and what was seen since the dashboard started."""
        await shown.rollout(request, namespace, name)
        return shown.feed.curve(namespace, name)

    @router.get("/rollouts/{namespace}/{name}/past", responses=MISSING)
    async def past(request: Request, namespace: str, name: str) -> list[Episode]:
        """Show the rollouts of this model's revisions, newest first, as far as the history goes back."""
        return list(episodes(await shown.rollout(request, namespace, name)))

    @router.get("/rollouts/{namespace}/{name}/acts", responses=MISSING)
    async def possible(request: Request, namespace: str, name: str) -> Acts:
        """Say what may be asked of a rollout now, what would happen, and whether the viewer may."""
        found = await shown.rollout(request, namespace, name)
        person = await shown.identity.who(request)
        allowed = person is not None and await shown.identity.access.may(person, "patch", namespace, name)
        return Acts(person=person.name if person else "", allowed=allowed, items=acts(found))


def _around(router: APIRouter, shown: Shown) -> None:
    @router.get(
        "/rollouts/{namespace}/{name}/around",
        responses={**MISSING, 502: {"description": "The API server did not answer, or does not let the dashboard."}},
    )
    async def around(request: Request, namespace: str, name: str) -> Look:
        """Show what stands around a rollout: revisions with graph, difference and pods, and events."""
        found = await shown.rollout(request, namespace, name)
        try:
            return await shown.looks.at(found)
        except ApiError as error:
            raise HTTPException(502, f"the API server: {error}") from error

    @router.get("/rollouts/{namespace}/{name}/charts", responses=MISSING)
    async def charts(
        request: Request,
        namespace: str,
        name: str,
        began: Annotated[datetime | None, Query(description="Begin of a past rollout.")] = None,
        ended: Annotated[datetime | None, Query(description="Its end.")] = None,
    ) -> Charts:
        """Show requests, errors and latency by revision, of the last 15 minutes or of a past rollout."""
        await shown.rollout(request, namespace, name)
        for instant in (began, ended):
            if instant is not None and instant.tzinfo is None:
                raise HTTPException(422, f"{instant.isoformat()} has no timezone, such as 2026-01-01T00:00:00Z")
        if began is not None and began >= (ended or shown.now()):
            raise HTTPException(422, f"began {began.isoformat()} must lie before the end")
        return await shown.prometheus.charts(namespace, name, Window.last(shown.now(), began, ended))
