"""Loads on one port: as fast as it goes (wrk), and at a steady rate."""

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.programs import BODY


def wrk(url: str, connections: int, seconds: int, folder: Path) -> tuple[float, float, float, int, int]:
    """Full speed: requests a second, p50, p99 (microseconds), all requests, failed ones."""
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{BODY.decode()}]==]\nwrk.headers["Content-Type"] = "application/json"\n'
    )
    command = [
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
    count = int(re.findall(r"(\d+) requests in", text)[0])
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    for line in re.findall(r"Socket errors: (.*)", text):
        failed += sum(int(number) for number in re.findall(r"\d+", line))
    quantiles = [_microseconds(re.findall(rf"\s{share}%\s+([\d.]+)(us|ms|s)", text)[0]) for share in (50, 99)]
    return rate, quantiles[0], quantiles[1], count, failed


def _microseconds(found: tuple[str, str]) -> float:
    return float(found[0]) * {"us": 1.0, "ms": 1e3, "s": 1e6}[found[1]]


class Pacer(asyncio.Protocol):
    """One keep-alive connection that sends a request when told, and times its answer."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self.request = request
        self.times = times
        self.errors = 0
        self.late = 0
        self.begun = 0.0
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self) -> None:
        if self.begun:
            self.late += 1  # the last one is not back: the rate cannot be kept on this connection
            return
        self.begun = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"content-length: (\d+)", head.lower())
        if length is None or len(body) < int(length[1]):
            return
        self.errors += not head.startswith(b"HTTP/1.1 200")
        self.times.append(time.perf_counter() - self.begun)
        self.begun = 0.0
        self.buffer = b""


async def _paced(port: int, path: str, rate: int, seconds: float) -> tuple[list[float], int, int]:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    head = f"POST {path} HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    pacers = []
    for _ in range(8):
        _, pacer = await loop.create_connection(lambda: Pacer(head.encode() + BODY, times), "127.0.0.1", port)
        pacers.append(pacer)
    begun = time.perf_counter()
    for at in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + at / rate - time.perf_counter()))
        pacers[at % len(pacers)].send()
    await asyncio.sleep(0.5)
    for pacer in pacers:
        pacer.transport.close()
    return times[len(times) // 10 :], sum(pacer.errors for pacer in pacers), sum(pacer.late for pacer in pacers)


def paced(port: int, path: str, rate: int, seconds: float) -> tuple[float, float, int, int]:
    """A steady rate over eight connections: p50 and p99 in microseconds, what failed, and what was not sent in time."""
    import uvloop

    os.sched_setaffinity(0, {1})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        times, errors, late = runner.run(_paced(port, path, rate, seconds))
    times.sort()
    return times[len(times) // 2] * 1e6, times[int(len(times) * 0.99)] * 1e6, errors, late
