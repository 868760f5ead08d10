"""Look at and end a local cluster from another process than its supervisor, and start one that outlives its starter."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from localcluster import state
from localcluster.cluster import ClusterError, LocalCluster, prepare
from localcluster.faults import FaultError, Faults
from localcluster.state import Addresses, State
from localcluster.supervise import log_tail
from localcluster.sweep import marked, sweep

DOWN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """One program: its process id (0 if it does not run) and whether it is ready."""

    name: str
    pid: int
    ready: bool


def described(at: Addresses) -> str:
    """The addresses of a cluster as lines to print."""
    return (
        f"  kubeconfig  {at.kubeconfig}\n  gateway     {at.gateway_url}/seldon/<namespace>/<name>/\n"
        f"  prometheus  {at.prometheus_url}\n  api server  {at.api_url}\n  envoy admin {at.gateway_admin_url}\n"
    )


async def serve(cluster: LocalCluster, ready: Callable[[Addresses], object]) -> None:
    """Start a cluster, say so through `ready`, and end it at SIGINT, SIGTERM or SIGHUP. Raises ClusterError."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    starting = asyncio.create_task(cluster.up())

    def end() -> None:
        ended.set()
        starting.cancel()

    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await starting
            ready(cluster.addresses)
            await ended.wait()
            await cluster.down()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def status(data_dir: Path) -> tuple[State, list[Health]] | None:
    """The cluster of a folder and the health of its programs; None if none runs there."""
    found = state.read(data_dir)
    if found is None or not state.runs(data_dir):
        return None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        health = await asyncio.gather(*(_health(session, data_dir, name, url) for name, url in found.programs.items()))
    return found, list(health)


async def down(data_dir: Path) -> bool:
    """End the cluster of a folder, whoever started it; False if nothing of one was there. Raises ClusterError."""
    found = state.read(data_dir)
    if found is None:
        return False
    if state.runs(data_dir) and found.pid != os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while state.runs(data_dir) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process holds the lock
            await asyncio.sleep(0.05)
    left = await sweep(found.id)
    if left or state.runs(data_dir):
        raise ClusterError(f"the cluster in {data_dir} could not be ended: processes {left or [found.pid]} still run")
    (data_dir / state.STATE).unlink(missing_ok=True)
    return True


async def detach(argv: Sequence[str], data_dir: Path, *, limit: float = 120.0) -> State:
    """Run a command that supervises a cluster in `data_dir` (`... up`), in a session of its own, until it is ready.

    Whoever stops waiting, as by ctrl-C, ends it. Raises ClusterError if nothing can be started there, and with the
    end of its output (`supervisor.log` in the folder) if it ends or takes too long.
    """
    prepare(data_dir)
    log_file = data_dir / "supervisor.log"
    pid = _background(argv, log_file)
    deadline = time.monotonic() + limit
    try:
        while time.monotonic() < deadline:
            found = state.read(data_dir)
            if found is not None and found.pid == pid and found.phase == "Ready":
                return found
            code = _exit_code(pid)
            if code is not None:
                raise ClusterError(f"the local cluster's supervisor ended with {code}{log_tail(log_file)}")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(os.waitpid, pid, 0)
        raise
    os.kill(pid, signal.SIGTERM)
    raise ClusterError(f"the local cluster was not ready after {limit:g} s{log_tail(log_file)}")


def _background(argv: Sequence[str], log_file: Path) -> int:
    """Start a program that is nobody's to wait for: without a terminal, its output in a file. Its process id."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_file), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=actions, setsid=True)


def _exit_code(pid: int) -> int | None:
    """How a child of ours ended; None while it runs."""
    ended, code = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(code) if ended else None


def processes(data_dir: Path) -> list[int]:
    """The ids of all processes of the cluster of a folder, its supervisor's apart."""
    found = state.read(data_dir)
    return marked(found.id) if found is not None else []


async def _health(session: aiohttp.ClientSession, data_dir: Path, name: str, url: str) -> Health:
    try:
        pid = Faults(data_dir).pid(name)
        os.kill(pid, 0)
    except (FaultError, ProcessLookupError, ValueError):
        return Health(name, 0, ready=False)
    if not url:
        return Health(name, pid, ready=True)
    try:
        async with session.get(url, ssl=False) as answer:
            return Health(name, pid, ready=answer.status < 300)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Health(name, pid, ready=False)
