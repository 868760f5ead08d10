"""What one tick of the judge costs: asking, reading, differencing and judging for so many running rollouts.

    make bench-tick ROLLOUTS=1000

A server in another process answers as Prometheus does, with counters that move: for each rollout two pods of stable
and one of the canary, each with the orchestrator's 15 buckets and two codes, and both arms at one gateway. The CPU of
this process alone is counted, and garbage is collected as the controller does it; the judge has been through its
warm-up before. Beside it stands what it costs to ask and read alone. With --parts it says where it goes.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from analysis import columns, session
from analysis.judges import ledger
from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.providers.prometheus import PrometheusProvider
from analysis.spec import Arm, Comparison, Plan
from bench.programs import memory
from controller.garbage import collect_seldom

EDGES = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0")
STEP = 10
START = 1_700_000_000 // STEP * STEP
FIRST = START + 400
"""Nothing is older: to read half an hour of history is not what is measured."""
PODS = {"1": ("a", "b"), "2": ("c",)}
_NAMES = re.compile(r'(?:deployment_name|destination_service_name)=~"([^"]*)"')


def vector(query: str, at: int) -> bytes:
    """The answer to one of the judge's queries at an instant."""
    names = _NAMES.findall(query)[0].replace("\\\\", "").split("|") if at >= FIRST else []
    kind = "bucket" if "_bucket" in query else "gateway" if "istio" in query else "codes"
    found = [
        {"metric": labels, "value": [at, str(value)]} for name in names for labels, value in series(kind, name, at)
    ]
    written = json.dumps(
        {"status": "success", "data": {"resultType": "vector", "result": found}}, separators=(",", ":")
    )
    return written.encode()


def series(kind: str, name: str, at: int) -> Iterator[tuple[dict[str, str], int]]:
    """The series of one arm: labels and value."""
    seconds = at - START + 100_000
    if kind == "gateway":
        where = {"destination_service_namespace": "ml", "destination_service_name": name, "pod": "gateway"}
        yield {**where, "response_code": "200", "response_flags": "-"}, 10 * seconds
        yield {**where, "response_code": "503", "response_flags": "UF"}, seconds // 50
        return
    for pod in PODS[name[-1]]:
        where = {"namespace": "ml", "pod": f"{name}-{pod}", "instance": "10.0.0.1:8000", "deployment_name": name}
        if kind == "codes":
            yield {**where, "code": "200"}, 10 * seconds
            yield {**where, "code": "500"}, seconds // 50
            continue
        for number, edge in enumerate((*EDGES, "+Inf")):
            yield {**where, "le": edge}, int(10 * seconds * min(1.0, (number + 1) / 8))


class Handler(BaseHTTPRequestHandler):
    """Answers instant and range queries; keeps what it has answered once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One query."""
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {key: values[0] for key, values in parse_qs(form).items()}
        if "time" in asked:
            body = vector(asked["query"], int(asked["time"]))
        else:
            moments = range(int(asked["start"]), int(asked["end"]) + 1, int(asked["step"]))
            rows: dict[str, dict[str, object]] = {}
            for at in moments:
                for one in json.loads(vector(asked["query"], at))["data"]["result"]:
                    row = rows.setdefault(str(one["metric"]), {"metric": one["metric"], "values": []})
                    row["values"].append(one["value"])  # type: ignore[attr-defined]
            body = json.dumps({"status": "success", "data": {"result": list(rows.values())}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(ready: Connection) -> None:
    """Serve until the process is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_address[1])
    server.serve_forever()


def comparison(number: int) -> Comparison:
    """One rollout."""
    stable, canary = f"model{number}-1", f"model{number}-2"
    return Comparison(
        key=("ml", f"model{number}"),
        stable=Arm("ml", stable, (f"svc{number}-1",)),
        canary=Arm("ml", canary, (f"svc{number}-2",)),
        plan=Plan(warmup=timedelta(0)),
        started_at=datetime.fromtimestamp(START + 600, UTC),
    )


GOAL = 0.1
"""Seconds of CPU that a tick of 1,000 rollouts may cost."""


async def measure(url: str, rollouts: int, ticks: int, spent: dict[str, float]) -> list[dict[str, float]]:
    """CPU seconds of each of the last ticks, of what was read by itself before it, and of the parts in `spent`."""
    measurer = Measurer(PrometheusProvider(url, timeout=120))
    monitor = Monitor(measurer, step=timedelta(seconds=STEP), settle=timedelta(0))
    comparisons = [comparison(number) for number in range(rollouts)]
    for one in comparisons:
        monitor.track(one)
    at, found = START + 600, []
    await monitor.tick(datetime.fromtimestamp(at, UTC))
    for _ in range(ticks + 1):
        at += STEP
        started = time.process_time()
        await measurer.read(comparisons, datetime.fromtimestamp(at, UTC))
        between = time.process_time()
        spent.clear()
        await monitor.tick(datetime.fromtimestamp(at, UTC))
        found.append({TICK: time.process_time() - between, READING: between - started, **spent})
    return found[1:]  # the first one chooses histogram edges and places bets


TICK, READING = "a tick", "asking and reading alone"
PARTS = (
    (PrometheusProvider, "_try", "asking and reading: HTTP, JSON, numbers"),
    (Measurer, "_sort", "sorting to rollouts"),
    (columns, "advance_all", "counting"),
    (session, "step_all", "judging"),
    (ledger, "judge", "of that the bets"),
    (session, "standing", "verdicts"),
    (Monitor, "_moved", "sentences and preflight of at most 50"),
)
"""Where the CPU of a tick goes: functions, by what they are called in the table."""


def timed(spent: dict[str, float]) -> None:
    """Have each part add its seconds of CPU, those of its own thread."""
    for owner, name, part in PARTS:
        setattr(owner, name, clocked(getattr(owner, name), part, spent))


def clocked(call: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    """The same call, which adds its time."""

    def clocked_call(*args: Any, **more: Any) -> Any:
        before = time.thread_time()
        try:
            return call(*args, **more)
        finally:
            spent[part] = spent.get(part, 0.0) + time.thread_time() - before

    return clocked_call


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--ticks", type=int, default=9)
    parser.add_argument("--parts", action="store_true", help="where it goes, too, which itself costs some")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "tick.json")
    asked = parser.parse_args()
    for name in ("rollouts", "ticks"):
        if getattr(asked, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(asked, name)}")
    collect_seldom()
    spent: dict[str, float] = {}
    if asked.parts:
        timed(spent)
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        found = asyncio.run(measure(f"http://127.0.0.1:{mine.recv()}", asked.rollouts, asked.ticks, spent))
    finally:
        server.terminate()
        server.join()
    seconds = {part: statistics.median([tick[part] for tick in found]) for part in found[0]}
    for part, each in seconds.items():
        print(f"{part:<42} {1000 * each:>7.1f} ms of CPU")
    held, limit = memory(os.getpid()), GOAL * asked.rollouts / 1000
    print(
        f"{asked.rollouts:,} running rollouts: {seconds[TICK] / limit:.2f} of the goal of {1000 * limit:.0f} ms, "
        f"{seconds[TICK] / seconds[READING]:.2f} of what asking and reading alone costs; {held:.1f} MiB"
    )
    told = {
        "rollouts": asked.rollouts,
        "goalSeconds": limit,
        "residentMiB": held,
        "medianSeconds": seconds,
        "ticks": found,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
