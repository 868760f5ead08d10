"""What a call over gRPC costs: the orchestrator beside Envoy and the barest proxy of the same library, in the same run.

`python -m bench.rpc` prints a table and writes `bench/rpc.json`. What is measured runs on core 0; the node and the load
on core 1. CPU comes from the scheduler, for each call.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from bench.programs import cpu_seconds, envoy_command, free_port, proxy_config
from bench.scaled import ENVOY_RPC, Goal, table

METHOD = "/seldon.protos.Seldon/Predict"
# A SeldonMessage with a tensor of 1 x 4 numbers.
BODY = bytes.fromhex("1a2812260a020104122066666666666614400000000000000c40666666666666f63f9a9999999999c93f")
NODE = """
import sys, grpc, grpc.aio, uvloop
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        async def echo(body, context):
            return body
        return grpc.unary_unary_rpc_method_handler(echo)
async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    await server.wait_for_termination()
uvloop.run(main())
"""
PROXY = NODE.replace(
    "        async def echo(body, context):\n            return body\n",
    "        async def echo(body, context):\n            return await send(body)\n",
).replace(
    "    server = grpc.aio.server()\n",
    "    global send\n"
    "    send = grpc.aio.insecure_channel(f'127.0.0.1:{sys.argv[2]}').unary_unary('/x.Y/Z')\n"
    "    server = grpc.aio.server()\n",
)


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


async def load(port: int, calls: int, at_a_time: int) -> float:
    """Calls a second over four connections."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(min(4, at_a_time))]
    sends = [channel.unary_unary(METHOD) for channel in channels]

    async def work(at: int, count: int) -> None:
        send = sends[at % len(sends)]
        for _ in range(count):
            await send(BODY)

    begun = time.perf_counter()
    await asyncio.gather(*[work(at, calls // at_a_time) for at in range(at_a_time)])
    took = time.perf_counter() - begun
    for channel in channels:
        await channel.close()
    return calls / took


def measured(case: str, target: str, port: int, pid: int | None, options: Any) -> Iterator[Result]:
    """One target at 1 and at 32 calls at a time, after a warm-up."""
    for at_a_time in (1, 32):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(load(port, 300, at_a_time))
            before = cpu_seconds(pid) if pid else 0.0
            rate = runner.run(load(port, options.calls, at_a_time))
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
    parser.add_argument("--calls", type=int, default=4000, help="of each case")
    parser.add_argument("--json", type=Path, default=Path("bench/rpc.json"))
    options = parser.parse_args()
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
