"""Half load for a long time: memory stays flat, no file descriptor is left open, nothing fails.

`python bench/soak.py --minutes 10` runs an orchestrator with a chain of two nodes of ours and asks it as often as half
of what it took in a short run before: predictions, longer bodies, feedback, clients that leave without waiting, and
connections that are made anew. It prints a table and ends with status 1 when memory (the median of the last quarter
over that of the second) grew by more than 2 %, descriptors grew, or a request failed.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

NODE = """
import asyncio, sys, uvloop
from orchestrator.servers.http import Server
from orchestrator.servers.message import Response
async def main():
    await Server(lambda request: Response(200, request.body or b"{}")).listen("127.0.0.1", int(sys.argv[1]))
    await asyncio.Event().wait()
uvloop.run(main())
"""
SMALL = json.dumps({"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]] * 8}}).encode()
LONG = json.dumps({"strData": "x" * 1_000_000}).encode()
FEEDBACK = json.dumps({"reward": 1.0, "response": {"meta": {"routing": {}}}}).encode()


@dataclass(slots=True)
class Count:
    """What came of the requests."""

    answered: int = 0
    left: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one time. Memory in MiB."""

    at: float
    memory: float
    files: int
    answered: int


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample(pid: int, at: float, answered: int) -> Sample:
    """Look at a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    memory = int(found[1]) / 1024 if found else 0.0
    return Sample(at, memory, len(list(Path(f"/proc/{pid}/fd").iterdir())), answered)


@contextlib.asynccontextmanager
async def started(*words: str, port: int, **environment: str) -> AsyncIterator[int]:
    """A program that listens on a port, ended with the block; its process id."""
    process = await asyncio.create_subprocess_exec(sys.executable, *words, env={**os.environ, **environment})
    try:
        for _ in range(800):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.025)
        else:
            raise SystemExit(f"{words} does not listen on port {port}")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def request(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST /api/v1.0/{path} HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def answer(reader: asyncio.StreamReader) -> int:
    """Read one answer and give its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    if length is not None:
        await reader.readexactly(int(length[1]))
    else:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return int(head.split()[1])


async def client(port: int, number: int, every: float, until: float, count: Count) -> None:
    """One client: mostly predictions on a kept connection; now and then something else."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    turn = number
    due = time.monotonic()
    while (now := time.monotonic()) < until:
        due = max(due + every, now - 1.0)
        await asyncio.sleep(max(0.0, due - now))
        turn += 1
        try:
            if turn % 101 == 0:  # leaves without waiting for the answer
                writer.write(request("predictions", LONG)[:400_000])
                await asyncio.sleep(0.002)
                writer.transport.abort()
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
                count.left += 1
                continue
            path, body = "predictions", LONG if turn % 200 == 3 else SMALL
            if turn % 50 == 0:
                path, body = "feedback", FEEDBACK
            writer.write(request(path, body))
            status = await asyncio.wait_for(answer(reader), 30)
            count.answered += 1
            if status != 200:
                count.failures.append(f"{path}: {status}")
            if turn % 500 == 0:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            count.failures.append(repr(error))
            writer.transport.abort()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.close()


async def load(port: int, clients: int, rate: float, seconds: float) -> tuple[Count, "asyncio.Future[Any]"]:
    """Start clients that together ask `rate` times a second."""
    count, until = Count(), time.monotonic() + seconds
    work = asyncio.gather(*[client(port, at * 7, clients / rate, until, count) for at in range(clients)])
    return count, work


async def soak(options: argparse.Namespace) -> tuple[list[Sample], Count]:
    """The run: what the process was like over time, and what came of the requests."""
    node, port = free_port(), free_port()
    endpoint = {"service_host": "localhost", "httpPort": node}
    graph = {"name": "a", "endpoint": endpoint, "children": [{"name": "b", "endpoint": endpoint}]}
    predictor = base64.b64encode(json.dumps({"name": "p", "graph": graph}).encode()).decode()
    line = f"-m orchestrator --sdep soak --namespace soak --predictor p --http_port {port} --grpc_port 0"
    async with (
        started("-c", NODE, str(node), port=node),
        started(*line.split(), port=port, ENGINE_PREDICTOR=predictor, SELDON_LOG_LEVEL="ERROR") as pid,
    ):
        rate = options.rate
        if rate is None:
            count, work = await load(port, options.clients, 1e6, 5.0)
            await work
            rate = count.answered / 5.0 / 2
            print(f"{rate * 2:,.0f} requests a second were taken")
        print(f"{rate:,.0f} requests a second are sent for {options.minutes:g} minutes", flush=True)
        seconds = options.minutes * 60
        count, work = await load(port, options.clients, rate, seconds)
        samples, begun = [], time.monotonic()
        while not work.done():
            samples.append(sample(pid, time.monotonic() - begun, count.answered))
            await asyncio.wait({work}, timeout=seconds / 60)
        await work
        await asyncio.sleep(1.0)
        return [*samples, sample(pid, time.monotonic() - begun, count.answered)], count


def verdict(samples: list[Sample], count: Count) -> list[str]:
    """What is not as it should be."""
    quarter = len(samples) // 4
    early = statistics.median(one.memory for one in samples[quarter : 2 * quarter])
    late = statistics.median(one.memory for one in samples[-quarter:])
    found = [] if late <= early * 1.02 else [f"memory grew from {early:.1f} to {late:.1f} MiB"]
    most = max(one.files for one in samples[quarter : 2 * quarter])
    if samples[-1].files > most:
        found.append(f"file descriptors grew from {most} to {samples[-1].files}")
    if count.failures:
        found.append(f"{len(count.failures)} requests failed: {', '.join(sorted(set(count.failures))[:5])}")
    return found


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float, help="requests a second, instead of half of what it takes")
    parser.add_argument("--json", type=Path, help="write the samples there")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        samples, count = runner.run(soak(options))
    print("| seconds | answered | memory, MiB | descriptors |\n|---|---|---|---|")
    for one in samples[:: max(1, len(samples) // 12)] + samples[-1:]:
        print(f"| {one.at:.0f} | {one.answered:,} | {one.memory:.1f} | {one.files} |")
    print(f"{count.answered:,} answered, {count.left:,} left by their clients, {len(count.failures)} failed")
    if options.json:
        rows = [{"at": one.at, "memory": one.memory, "files": one.files, "answered": one.answered} for one in samples]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    troubles = verdict(samples, count)
    print("\n".join(troubles) or "memory flat, no descriptor left open, no error")
    return bool(troubles)


if __name__ == "__main__":
    sys.exit(main())
