"""The dashboard's application: JSON and server-sent events under /api/v1, and one page that draws them. Read-only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from controller import clock
from controller.kube.cluster import Cluster
from seldon_rollouts import __version__
from seldon_rollouts.dashboard import view
from seldon_rollouts.dashboard.charts import Charts, Prometheus
from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.view import Detail, Point, Row, View

STATIC = Path(__file__).parent / "static"
KEEP_ALIVE_SECONDS = 15.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Page(View):
    """A page of the list."""

    items: tuple[Row, ...]
    total: int
    namespaces: tuple[str, ...]


def create(cluster: Cluster, prometheus_url: str = "") -> FastAPI:
    """Return the application over a cluster whose caches it starts and stops with itself."""
    feed, prometheus = Feed(cluster), Prometheus(prometheus_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with cluster:
            yield

    app = FastAPI(
        title="Seldon Rollouts", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )  # fmt: skip

    @app.middleware("http")
    async def secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the dashboard answers."""
        return {"status": "ok"}

    @app.get("/api/v1/rollouts")
    async def rollouts(
        namespace: Annotated[str, Query(max_length=63)] = "",
        search: Annotated[str, Query(max_length=200)] = "",
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Page:
        """List rollouts, those that need attention first."""
        every = feed.rollouts()
        rows = view.listing(every, namespace=namespace, search=search)
        names = sorted({rollout["metadata"]["namespace"] for rollout in every})
        return Page(items=tuple(rows[offset : offset + limit]), total=len(rows), namespaces=tuple(names))

    _details(app, feed, prometheus)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _details(app: FastAPI, feed: Feed, prometheus: Prometheus) -> None:
    missing = {404: {"description": "There is no such rollout."}}

    @app.get("/api/v1/rollouts/{namespace}/{name}", responses=missing)  # type: ignore[arg-type] # FastAPI's own invariance
    async def rollout(namespace: str, name: str) -> Detail:
        """Show one rollout."""
        found = feed.rollout(namespace, name)
        if found is None:
            raise HTTPException(404, f"there is no rollout {namespace}/{name}")
        return view.detail(found)

    @app.get("/api/v1/rollouts/{namespace}/{name}/evidence", responses=missing)  # type: ignore[arg-type] # the same
    async def evidence(namespace: str, name: str) -> list[Point]:
        """Show the evidence that was seen since the dashboard started."""
        if feed.rollout(namespace, name) is None:
            raise HTTPException(404, f"there is no rollout {namespace}/{name}")
        return feed.curve(namespace, name)

    @app.get("/api/v1/rollouts/{namespace}/{name}/charts", responses=missing)  # type: ignore[arg-type] # the same
    async def charts(namespace: str, name: str) -> Charts:
        """Show requests, errors and latency by revision, of the last 15 minutes."""
        if feed.rollout(namespace, name) is None:
            raise HTTPException(404, f"there is no rollout {namespace}/{name}")
        return await prometheus.charts(namespace, name, now=clock.now())

    @app.get("/api/v1/changes")
    async def changes() -> StreamingResponse:
        """Tell, as server-sent events, that something has changed; the page then asks for what it shows."""
        return StreamingResponse(_events(feed), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(feed: Feed) -> AsyncIterator[bytes]:
    versions = feed.versions()
    waiting: asyncio.Task[int] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(versions))
            done, _ = await asyncio.wait({waiting}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            version, waiting = waiting.result(), None
            yield f"event: changed\nid: {version}\ndata: {version}\n\n".encode()
    finally:
        if waiting is not None:
            waiting.cancel()
