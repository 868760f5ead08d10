"""The dashboard's application: an API under /api/v1, and one page that draws what it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from analysis.providers.prometheus import PrometheusProvider
from controller import clock
from controller.backoff import Backoff
from controller.kube.cluster import Cluster
from controller.kube.errors import ApiError
from controller.kube.reflector import Timing
from seldon_rollouts import __version__
from seldon_rollouts.asking import ANSWER_SECONDS
from seldon_rollouts.dashboard import acting, reading
from seldon_rollouts.dashboard.access import Access
from seldon_rollouts.dashboard.acting import AsPerson
from seldon_rollouts.dashboard.charts import Prometheus
from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.identity import Identity, forged
from seldon_rollouts.dashboard.looks import Looks
from seldon_rollouts.dashboard.pulse import Pulse

STATIC = Path(__file__).parent / "static"
TIMING = Timing(backoff=Backoff(timedelta(seconds=0.5), timedelta(seconds=5)))
"""Of the cluster that is shown: somebody looks on, so after an outage it is asked sooner than by a controller."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the dashboard is served."""

    prometheus: PrometheusProvider | None = None
    """For charts."""
    login: bool = False
    """Only those who are signed in see anything, and only what they may list."""
    token_header: str = ""
    """Where a proxy that signs people in leaves their token."""
    hosts: tuple[str, ...] = ("*",)
    """Names that it answers to; a page of another name cannot read it through a name that leads here."""
    patience: float = ANSWER_SECONDS
    """Seconds to wait for the controller's answer to an act."""
    now: Callable[[], datetime] = clock.now


def create(cluster: Cluster, options: Options | None = None, *, as_person: AsPerson | None = None) -> FastAPI:
    """Return the application over a cluster whose caches it starts and stops with itself.

    Args:
        cluster: what is shown, with the dashboard's own rights.
        options: how.
        as_person: makes a client that asks with a person's token; without it nothing can be asked for.
    """
    options = options or Options()
    feed = Feed(cluster, now=options.now)
    pulse = Pulse(cluster.client, lambda: feed.problem, now=options.now)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with cluster, asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(pulse.run())
            yield
            beating.cancel()

    app = FastAPI(
        title="Seldon Rollouts", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )  # fmt: skip
    identity = Identity(Access(cluster.client, now=options.now), token_header=options.token_header)
    shown = reading.Shown(
        feed=feed,
        pulse=pulse,
        looks=Looks(cluster.client, now=options.now),
        prometheus=Prometheus(options.prometheus),
        identity=identity,
        login=options.login,
        now=options.now,
    )
    _guard(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(options.hosts), www_redirect=False)
    app.include_router(reading.routes(shown))
    app.include_router(acting.routes(identity, as_person, patience=options.patience))
    _page(app)
    return app


def _guard(app: FastAPI) -> None:
    @app.middleware("http")
    async def secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        reason = forged(request)
        response = JSONResponse({"detail": reason}, 403) if reason else await call_next(request)
        response.headers.update(HEADERS)
        if request.url.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.exception_handler(ApiError)
    async def unavailable(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse({"detail": f"the API server: {error}"}, 502)


def _page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the dashboard answers."""
        return {"status": "ok"}

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
