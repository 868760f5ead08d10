"""A real API server for each test module, a namespace for each test, and what waits for conditions."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from controller.kube.client import Client
from controller.kube.resources import NAMESPACE
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server

CRDS = Path(__file__).parents[2] / "crds"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(plain_http=True, crds=[CRDS]) as running:
        yield running


@pytest_asyncio.fixture
async def namespace(client: Client) -> str:
    name = f"shell-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name
