"""The program as people start it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from controller.__main__ import _within
from controller.kube.client import Client
from controller.kube.resources import LEASE
from localcluster.apiserver.process import RunningApiServer

Until = Callable[..., Awaitable[Any]]


class Program:
    """A child process and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said += line.decode()

    @property
    def port(self) -> int | None:
        found = re.search(r"serving health address=127\.0\.0\.1:(\d+)", self.said)
        return int(found[1]) if found else None

    async def end(self) -> int:
        """Ask it to end, and wait for its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), 15)
        await self.reading
        return code


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Program]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *arguments, stderr=asyncio.subprocess.PIPE, env=environment
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await program.reading


async def test_it_becomes_ready_leads_and_ends_cleanly(
    server: RunningApiServer, client: Client, namespace: str, until: Until
) -> None:
    flags = ["--kubeconfig", str(server.kubeconfig_path), "--listen", "127.0.0.1:0", "--leader-elect"]
    async with started(*flags, "--lease-namespace", namespace, "--namespace", namespace) as program:
        await until(lambda: program.port is not None)
        await until(lambda: "leading lease=" in program.said)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{program.port}") as pages:
            async with pages.get("/readyz") as ready:
                assert (ready.status, await ready.text()) == (200, "ok: leading\n")
            async with pages.get("/healthz") as alive:
                assert alive.status == 200
            async with pages.get("/metrics") as metrics:
                assert "process_resident_memory_bytes" in await metrics.text()
        held = await client.get(LEASE, namespace, "seldon-rollouts-controller")
        assert held["spec"]["holderIdentity"]
        assert await program.end() == 0
        assert server.admin_token not in program.said
        assert "Traceback" not in program.said, program.said
    left = await client.get(LEASE, namespace, "seldon-rollouts-controller")
    assert "holderIdentity" not in left["spec"]


async def test_it_ends_cleanly_while_it_still_waits_for_a_server(until: Until, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: c}}],"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], users: []}"
    )
    async with started("--kubeconfig", str(kubeconfig), "--listen", "127.0.0.1:0", "--log-level", "debug") as program:
        await until(lambda: "watch failed" in program.said)
        assert await program.end() == 0


async def test_a_bad_flag_ends_it_with_a_sentence() -> None:
    async with started("--workers", "none") as program:
        assert await program.process.wait() == 2
        await program.reading
        assert "--workers 'none'" in program.said
        assert "Traceback" not in program.said


async def test_a_kubeconfig_that_is_not_there_ends_it_with_a_sentence() -> None:
    async with started("--kubeconfig", "/does/not/exist", "--listen", "127.0.0.1:0") as program:
        assert await program.process.wait() == 1
        await program.reading
        assert "'/does/not/exist' is not a file" in program.said
        assert "Traceback" not in program.said


async def test_something_that_hangs_is_cut_off_at_the_end_of_the_bound() -> None:
    """Such as a credential plugin that waits for a person."""
    stop = asyncio.Event()
    stop.set()
    hanging = asyncio.Event()
    await asyncio.wait_for(_within(timedelta(seconds=0.05), _hang(hanging), stop), 5)
    assert hanging.is_set(), "it was cancelled"


async def _hang(cancelled: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.set()
