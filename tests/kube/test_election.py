"""Election on a real API server: one leads, the next takes over, and never two at once."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from controller.kube.client import REQUEST_TIMEOUT, Client
from controller.kube.connection import fixed
from controller.kube.election import Election
from controller.kube.errors import ConflictError, UnavailableError
from controller.kube.lease import Terms
from controller.kube.objects import Object
from controller.kube.requests import Request
from controller.kube.resources import LEASE, NAMESPACE
from localcluster.apiserver.process import RunningApiServer

Until = Callable[..., Awaitable[Any]]

TERMS = Terms(duration=timedelta(seconds=1.5), deadline=timedelta(seconds=1), retry=timedelta(seconds=0.1))


@pytest_asyncio.fixture
async def namespace(client: Client) -> str:
    name = f"lease-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name


class Candidate:
    """A candidate that notes when it worked."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        self.election = Election(
            client, namespace=namespace, name="lease", identity=identity, terms=TERMS, chance=lambda: 0.0
        )
        self.working = False
        self.spans: list[tuple[float, float]] = []
        self.finish = asyncio.Event()
        self.task = asyncio.create_task(self.election.run(self._work))

    async def _work(self) -> None:
        began = time.monotonic()
        self.working = True
        try:
            await self.finish.wait()
        finally:
            self.working = False
            self.spans.append((began, time.monotonic()))

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest_asyncio.fixture
async def candidates(client: Client, namespace: str) -> AsyncIterator[list[Candidate]]:
    made = [Candidate(client, namespace, identity) for identity in "ab"]
    yield made
    for candidate in made:
        await candidate.end()


async def test_one_leads_and_the_next_follows_at_once_when_it_ends(
    client: Client, namespace: str, candidates: list[Candidate], until: Until
) -> None:
    await until(lambda: any(candidate.working for candidate in candidates))
    await until(lambda: all(candidate.election.looked.is_set() for candidate in candidates))
    leader, standby = sorted(candidates, key=lambda candidate: not candidate.working)
    assert not standby.working
    assert not standby.election.holds()
    began = time.monotonic()
    leader.finish.set()
    await leader.task
    await until(lambda: standby.working)
    assert time.monotonic() - began < TERMS.duration.total_seconds(), "a lease that was given up need not run out"
    found = await client.get(LEASE, namespace, "lease")
    assert found["spec"]["holderIdentity"] == standby.election.identity
    assert found["spec"]["leaseTransitions"] == 1


async def test_a_standby_that_is_cancelled_leaves_the_lease_alone(
    client: Client, namespace: str, candidates: list[Candidate], until: Until
) -> None:
    await until(lambda: any(candidate.working for candidate in candidates))
    leader, standby = sorted(candidates, key=lambda candidate: not candidate.working)
    await standby.end()
    found = await client.get(LEASE, namespace, "lease")
    assert found["spec"]["holderIdentity"] == leader.election.identity
    assert leader.working


class Cut(Client):
    """A client whose network can be cut."""

    cut = False

    async def send(
        self,
        request: Request,
        *,
        timeout: timedelta = REQUEST_TIMEOUT,  # noqa: ASYNC109 - as in Client
    ) -> Object:
        if self.cut:
            await asyncio.sleep(0.01)
            raise UnavailableError(0, "ConnectionLost", "cut")
        return await super().send(request, timeout=timeout)


async def test_a_leader_that_is_cut_off_stops_before_another_begins(
    server: RunningApiServer, client: Client, namespace: str, until: Until
) -> None:
    async with Cut(fixed(server.url, server.admin_token, tls=server.ssl_context())) as shaky:
        first = Candidate(shaky, namespace, "first")
        await until(lambda: first.working)
        second = Candidate(client, namespace, "second")
        await until(second.election.looked.is_set)
        shaky.cut = True
        await until(lambda: second.working)
        assert not first.working
        assert not first.election.holds()
        shaky.cut = False
        await second.end()
        await until(lambda: first.working)
        await first.end()
        assert first.spans[0][1] <= second.spans[0][0], "they must not overlap"


async def test_a_leader_whose_lease_was_taken_stops_at_its_next_look(
    client: Client, namespace: str, until: Until
) -> None:
    leader = Candidate(client, namespace, "first")
    await until(lambda: leader.working)
    while True:
        stolen = await client.get(LEASE, namespace, "lease")
        stolen["spec"] |= {"holderIdentity": "thief", "renewTime": "2026-01-01T00:00:00.000000Z"}
        try:
            await client.replace(LEASE, stolen)
        except ConflictError:  # a renewal came between
            continue
        break
    await until(lambda: bool(leader.spans))
    assert not leader.election.holds()
    await leader.end()
    assert (await client.get(LEASE, namespace, "lease"))["spec"]["holderIdentity"] == "thief"


async def test_work_that_breaks_gives_the_lease_up(client: Client, namespace: str) -> None:
    async def work() -> None:
        raise RuntimeError("broken")

    election = Election(client, namespace=namespace, name="lease", identity="a", terms=TERMS)
    with pytest.raises(RuntimeError, match="broken"):
        await election.run(work)
    assert "holderIdentity" not in (await client.get(LEASE, namespace, "lease"))["spec"]


PROGRAM = """
import asyncio, sys, time
from datetime import timedelta
from controller.kube.client import Client
from controller.kube.connection import connector
from controller.kube.election import Election
from controller.kube.lease import Terms
from controller import clock

async def main(kubeconfig, namespace, identity):
    terms = Terms(duration=timedelta(seconds=1.5), deadline=timedelta(seconds=1), retry=timedelta(seconds=0.1))
    async with Client(connector(kubeconfig, None, now=clock.now)) as client:
        election = Election(client, namespace=namespace, name="lease", identity=identity, terms=terms)
        async def work():
            while True:
                if election.holds():
                    print(time.monotonic(), flush=True)
                await asyncio.sleep(0.005)
        await election.run(work)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_never_work_at_once_even_when_the_leader_freezes(
    server: RunningApiServer, namespace: str
) -> None:
    """The first is stopped in its tracks, the second takes over, the first wakes up again and has to stand by."""

    async def start(identity: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            str(server.kubeconfig_path),
            namespace,
            identity,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def next_beat(process: asyncio.subprocess.Process) -> float:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            return float(await process.stdout.readline())

    first = await start("first")
    await next_beat(first)
    second = await start("second")
    try:
        os.kill(first.pid, signal.SIGSTOP)
        began = await next_beat(second)
        os.kill(first.pid, signal.SIGCONT)
        await asyncio.sleep(0.3)  # time to make the mistake, if it were made
        for process in (first, second):
            process.kill()
        assert first.stdout is not None
        beats = [float(beat) for beat in (await first.stdout.read()).split()]
        assert max(beats, default=0.0) < began, "the first worked after the second had begun"
    finally:
        for process in (first, second):
            if process.returncode is None:
                process.kill()
            await process.wait()
