"""The orchestrator as a program of its own."""

import asyncio
import base64
import contextlib
import json
import os
import sys
from pathlib import Path

LINE = ["--sdep", "s", "--namespace", "n", "--predictor", "p", "--grpc_port", "0"]


def engine(graph):
    """What ENGINE_PREDICTOR says of a graph."""
    return base64.b64encode(json.dumps({"name": "p", "graph": graph}).encode()).decode()


@contextlib.asynccontextmanager
async def programs():
    """Gives what starts `python -m orchestrator`; what still runs at the end is killed."""
    started = []

    async def start(*arguments, **environment):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "orchestrator",
            *LINE,
            *arguments,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "SELDON_PODINFO_PATH": "/nowhere", "SELDON_BIND_ADDRESS": "127.0.0.1", **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answers(client, path="/live"):
    """Wait until a page is answered with 200, or for as long as a start may take."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if (await client.get(path)).status == 200:
                    return
            await asyncio.sleep(0.02)


def children(pid):
    """The processes that a process has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found.append(int(folder.name))
    return found
