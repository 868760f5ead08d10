"""The pages that tell how the controller is."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from controller.health import Health, HealthServer
from controller.metrics import Metrics


@pytest_asyncio.fixture
async def health() -> Health:
    return Health(Metrics())


@pytest_asyncio.fixture
async def pages(health: Health) -> AsyncIterator[aiohttp.ClientSession]:
    server = HealthServer(health, "127.0.0.1", 0)
    port = await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.stop()


async def read(pages: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with pages.get(path) as response:
        return response.status, (await response.text()).strip()


async def test_readiness_names_the_role_or_what_is_missing(health: Health, pages: aiohttp.ClientSession) -> None:
    missing = "seldonrollouts.rollouts.seldon.io: 404"
    health.ready["caches"] = lambda: missing
    assert await read(pages, "/readyz") == (503, missing)
    missing = ""
    assert await read(pages, "/readyz") == (200, "ok: waiting for the lease")
    health.leading = False
    assert await read(pages, "/readyz") == (200, "ok: standby")
    health.leading = True
    assert await read(pages, "/readyz") == (200, "ok: leading")


async def test_a_loop_that_ended_means_that_the_process_is_not_alive(
    health: Health, pages: aiohttp.ClientSession
) -> None:
    loop = asyncio.create_task(asyncio.Event().wait())
    health.watch_task("informer pods", loop)
    assert await read(pages, "/healthz") == (200, "ok")
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert await read(pages, "/healthz") == (503, "informer pods has ended")


async def test_metrics_are_prometheus_text(health: Health, pages: aiohttp.ClientSession) -> None:
    health.metrics.api_requests.labels("apply", "200").inc()
    health.metrics.leader.set(1)
    status, text = await read(pages, "/metrics")
    assert status == 200
    assert 'seldon_rollouts_api_requests_total{code="200",verb="apply"} 1.0' in text
    assert "seldon_rollouts_leader 1.0" in text
