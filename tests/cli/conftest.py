"""A cluster with our kinds and Istio's, and the program as a person starts it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from controller import clock
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[2]
Typed = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[tuple[str, Client]]:
    """The path of its kubeconfig, and a client."""
    async with running_server(crds=[ROOT / "crds", ROOT / "localcluster/istio_crds"]) as server:
        kubeconfig = str(server.kubeconfig_path)
        async with Client(connector(kubeconfig, None, now=clock.now)) as client:
            yield kubeconfig, client


@pytest.fixture
def typed(cluster: tuple[str, Client]) -> Typed:
    """Runs a command line on the cluster."""

    async def call(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "seldon_rollouts", *words, "--kubeconfig", cluster[0]]
        return await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    return call
