"""A real API server for each test module, a namespace for each test, and what waits for conditions."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from controller.backoff import Backoff
from controller.kube.client import Client
from controller.kube.connection import fixed
from controller.kube.reflector import Timing
from controller.kube.resources import NAMESPACE
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
CRDS = Path(__file__).parents[2] / "crds"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(plain_http=True, crds=[CRDS]) as running:
        yield running


@pytest_asyncio.fixture
async def client(server: RunningApiServer) -> AsyncIterator[Client]:
    async with Client(fixed(server.url, server.admin_token, tls=server.ssl_context()), chance=lambda: 0.0) as made:
        yield made


@pytest_asyncio.fixture
async def namespace(client: Client) -> str:
    name = f"shell-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition, at most ten seconds."""

    async def wait(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while not condition():
            if time.monotonic() > until:
                raise AssertionError("the condition did not come true within 10 s")
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def quick() -> Timing:
    """List and watch at a test's pace."""
    return Timing(
        backoff=Backoff(timedelta(seconds=0.02), timedelta(seconds=0.2)),
        poll=timedelta(seconds=0.1),
        confirm=timedelta(seconds=0.05),
    )
