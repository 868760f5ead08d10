"""Find and end every process of a local cluster, by the mark that each inherits in its environment (Linux)."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "SELDON_LOCAL_CLUSTER"
"""The environment variable that carries the cluster's id to all that it starts."""
PROC = Path("/proc")


def marked(cluster: str) -> list[int]:
    """Process ids of a cluster's processes, without our own. Those of other users cannot be seen."""
    wanted = f"{MARK}={cluster}".encode()
    found = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return sorted(found)


async def sweep(cluster: str, *, patience: float = 2.0) -> list[int]:
    """End what is left of a cluster: SIGTERM, after `patience` seconds SIGKILL. Returns what is left even so."""
    deadline = time.monotonic() + patience
    _send(marked(cluster), signal.SIGTERM)
    while marked(cluster) and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes end, nobody tells us
        await asyncio.sleep(0.05)
    while (left := marked(cluster)) and time.monotonic() < deadline + 3.0:
        _send(left, signal.SIGKILL)
        await asyncio.sleep(0.05)
    return left


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
