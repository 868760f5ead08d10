"""A real API server for each test module, and servers that answer as a test tells them to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import web

from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(plain_http=True) as running:
        yield running


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def _listening(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def listening() -> Callable[[Handler], AbstractAsyncContextManager[str]]:
    """Answer every request by a function; gives the URL."""
    return _listening


async def _silence(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return response


@pytest.fixture
def silence() -> Handler:
    """An answer that begins and never goes on."""
    return _silence
