"""What a call over gRPC costs: the orchestrator beside Envoy and the barest proxy of grpc's library, in the same run.

`python -m bench.rpc` prints a table and writes `bench/rpc.json`. What is measured runs on core 0; the load (h2load) and
the node (one that answers what it was asked, over our own HTTP/2) on core 1. CPU comes from the scheduler, for each
call. h2load knows nothing of gRPC: that answers are whole is seen by a call of grpc's own client before, and by the
bytes that came.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc

from bench.programs import cpu_seconds, envoy_command, free_port, proxy_config
from bench.scaled import ENVOY_RPC, Goal, table

METHOD = "/seldon.protos.Seldon/Predict"
# A SeldonMessage with a tensor of 1 x 4 numbers.
BODY = bytes.fromhex("1a2812260a020104122066666666666614400000000000000c40666666666666f63f9a9999999999c93f")
NODE = """
import asyncio, sys, uvloop
from orchestrator.http2.exchange import Unary
from orchestrator.http2.server import Server
from orchestrator.http2.serving import Terms
from orchestrator.room import Room
async def echo(body, call):
    return body
async def main():
    methods = {f"/seldon.protos.{name}/Predict": Unary(echo) for name in ("Seldon", "Model")}
    await Server(Terms(methods=methods, limit=2**20, room=Room(2**30))).listen("127.0.0.1", int(sys.argv[1]))
    await asyncio.Event().wait()
uvloop.run(main())
"""
PROXY = """
import sys, grpc, grpc.aio, uvloop
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        async def ask(body, context):
            return await send(body)
        return grpc.unary_unary_rpc_method_handler(ask)
async def main():
    global send
    send = grpc.aio.insecure_channel(f"127.0.0.1:{sys.argv[2]}").unary_unary("/seldon.protos.Seldon/Predict")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    await server.wait_for_termination()
uvloop.run(main())
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table: CPU in microseconds for each call."""

    case: str
    target: str
    calls_at_a_time: int
    rate: float
    cpu: float | None


@contextlib.contextmanager
def started(core: int, port: int, *words: str, **environment: str) -> Iterator[int]:
    """A process on one core that listens on a port; its id. Words that begin with a dash are Python's."""
    command = ["taskset", "-c", str(core), *([sys.executable] if words[0].startswith("-") else []), *words]
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        else:
            raise SystemExit(f"{command} does not listen on port {port}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def checked(port: int) -> None:
    """Raises SystemExit when grpc's own client does not get back what it sends."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        if (answer := channel.unary_unary(METHOD)(BODY, timeout=20)) != BODY:
            raise SystemExit(f"port {port} answers {answer!r}")


def load(port: int, calls: int, at_a_time: int, folder: Path) -> float:
    """Calls a second over up to four connections. Raises SystemExit when one fails."""
    message = folder / "message"
    message.write_bytes(len(BODY).to_bytes(5, "big") + BODY)
    connections = min(4, at_a_time)
    command = ["h2load", "-t1", f"-n{calls}", f"-c{connections}", f"-m{at_a_time // connections}", f"-d{message}",
               "-Hcontent-type: application/grpc", "-Hte: trailers", f"http://127.0.0.1:{port}{METHOD}"]  # fmt: skip
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    succeeded = int(re.findall(r"(\d+) succeeded", text)[0])
    came = int(re.findall(r"\((\d+)\) data", text)[0])
    if succeeded != calls or came != calls * message.stat().st_size:
        raise SystemExit(f"port {port}: {text}")
    return float(re.findall(r"([\d.]+) req/s", text)[0])


def measured(case: str, target: str, port: int, pid: int | None, options: Any) -> Iterator[Result]:
    """One target at 1 and at 32 calls at a time, after a warm-up."""
    checked(port)
    with tempfile.TemporaryDirectory() as folder:
        for at_a_time in (1, 32):
            load(port, 512, at_a_time, Path(folder))
            before = cpu_seconds(pid) if pid else 0.0
            rate = load(port, options.calls, at_a_time, Path(folder))
            cpu = (cpu_seconds(pid) - before) / options.calls * 1e6 if pid else None
            yield Result(case, target, at_a_time, rate, cpu)


def orchestrator(graph: dict[str, Any], port: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The words and the environment that start an orchestrator for a graph."""
    predictor = base64.b64encode(json.dumps({"name": "p", "graph": graph}).encode()).decode()
    line = f"-m orchestrator --sdep bench --namespace bench --predictor p --http_port 0 --grpc_port {port}"
    return tuple(line.split()), {"ENGINE_PREDICTOR": predictor, "SELDON_LOG_LEVEL": "ERROR"}


def run(options: Any) -> Iterator[Result]:
    """All cases."""
    node, proxy = free_port(), free_port()

    def unit(name: str, *children: dict[str, Any]) -> dict[str, Any]:
        endpoint = {"service_host": "localhost", "service_port": node, "grpcPort": node, "type": "GRPC"}
        return {"name": name, "type": "MODEL", "endpoint": endpoint, "children": list(children)}

    with started(1, node, "-c", NODE, str(node)):
        os.sched_setaffinity(0, {1})
        yield from measured("model", "direct", node, None, options)
        with started(0, proxy, "-c", PROXY, str(proxy), str(node)) as pid:
            yield from measured("model", "bare proxy", proxy, pid, options)
        with tempfile.TemporaryDirectory() as folder:
            envoy = free_port()
            command = envoy_command(proxy_config(envoy, node, http2=True), Path(folder), "envoy")
            with started(0, envoy, *command) as pid:
                yield from measured("model", "Envoy", envoy, pid, options)
        for case, graph in (("model", unit("m")), ("chain of 3", unit("a", unit("b", unit("c"))))):
            port = free_port()
            words, environment = orchestrator(graph, port)
            with started(0, port, *words, **environment) as pid:
                yield from measured(case, "ours", port, pid, options)


def conclusions(results: list[Result]) -> Iterator[str]:
    """What the goal is about: ratios within this run, and the goal where Envoy costs what it costs here."""
    found = {(one.case, one.target, one.calls_at_a_time): one for one in results}
    for at_a_time in (1, 32):
        ours, bare, envoy = (found["model", target, at_a_time] for target in ("ours", "bare proxy", "Envoy"))
        if ours.cpu and bare.cpu and envoy.cpu:
            yield (
                f"{at_a_time} at a time: {ours.cpu / bare.cpu:.2f} of the barest proxy's CPU for a call, "
                f"{ours.cpu / envoy.cpu:.2f} of Envoy's"
            )
            if at_a_time > 1:
                goal = Goal("single model over gRPC", "calls/s", 5_000, ours.rate, rate=True)
                yield from table([goal], envoy.cpu, ENVOY_RPC)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000, help="of each case")
    parser.add_argument("--json", type=Path, default=Path("bench/rpc.json"))
    options = parser.parse_args()
    if shutil.which("h2load") is None or shutil.which("taskset") is None:
        raise SystemExit("this bench needs h2load and taskset: apt-get install nghttp2-client util-linux")
    results: list[Result] = []
    print("| case | target | at a time | calls/s | CPU, us/call |\n|---|---|---|---|---|")
    for result in run(options):
        results.append(result)
        cpu = "" if result.cpu is None else f"{result.cpu:.0f}"
        print(
            f"| {result.case} | {result.target} | {result.calls_at_a_time} | {result.rate:,.0f} | {cpu} |", flush=True
        )
    print("\n".join(conclusions(results)))
    options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
