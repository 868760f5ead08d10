"""What the operator costs: from apply to all objects written, requests to the API server, memory, and rest.

    make bench-operator COUNTS="1 100 1000" REST=60

The controller is the program itself (`python -m controller --controllers=operator`), on one core, against the embedded
API server in a process of its own. A third process makes every Deployment's pod ready as soon as there is one: with a
workload controller and kubelets the time would be theirs. Requests are those of the controller's own metrics, events
and status included; CPU and memory are those of its process. Each count begins anew, on an empty server.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.kubelets import world
from localcluster.apiserver.process import running_api_server
from localcluster.client import ApiClient
from localcluster.ports import free_ports
from localcluster.reflector import Reflector

ROOT = Path(__file__).parents[1]
CRDS = [ROOT / "crds", ROOT / "localcluster" / "istio_crds"]
NAMESPACE = "ml"
SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
ROUTES = ("networking.istio.io/v1", "virtualservices")
WRITES = frozenset({"create", "apply", "patch", "update", "delete"})
WRITES_GOAL, SECONDS_GOAL, MEMORY_GOAL = 12, 60, 150
OBJECTS = ("services", "deployments", "destinationrules", "virtualservices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row.

    Args:
        count: SeldonDeployments that were applied at once.
        written: seconds from the first apply until all objects are written: the route is the last, behind ready pods.
        seconds: the same until all are Available.
        cpu: seconds of the controller's CPU in that time.
        writes: requests of the controller that write, for each SeldonDeployment.
        requests: all its requests, watches and leases apart, for each SeldonDeployment.
        memory: its resident memory then, in MiB.
        rest_seconds: how long it was watched at rest.
        rest_writes: what it wrote meanwhile.
        rest_cpu: seconds of CPU meanwhile.
    """

    count: int
    written: float
    seconds: float
    cpu: float
    writes: float
    requests: float
    memory: float
    rest_seconds: float
    rest_writes: int
    rest_cpu: float


# the controller


@contextlib.contextmanager
def controller(kubeconfig: Path, log: Path) -> Iterator[str]:
    """Run the program on the last core; give the address of its metrics."""
    port = free_ports(("metrics",))["metrics"]
    command = [sys.executable, "-m", "controller", "--controllers=operator", f"--kubeconfig={kubeconfig}"]
    command += [f"--listen=127.0.0.1:{port}", "--log-level=warning"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _metrics(address: str) -> dict[str, float]:
    """Return CPU seconds, resident bytes, and requests by verb."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = {"cpu": 0.0, "memory": 0.0}
    for line in text.splitlines():
        if match := re.match(r'seldon_rollouts_api_requests_total\{code="(\d+)",verb="([^"]+)"\} (\S+)', line):
            found[match[2]] = found.get(match[2], 0) + float(match[3])
        elif line.startswith("process_cpu_seconds_total "):
            found["cpu"] = float(line.split()[1])
        elif line.startswith("process_resident_memory_bytes "):
            found["memory"] = float(line.split()[1])
    return found


def _written(metrics: dict[str, float]) -> float:
    return sum(value for name, value in metrics.items() if name in WRITES)


def _asked(metrics: dict[str, float]) -> float:
    return sum(value for name, value in metrics.items() if name not in {"cpu", "memory", "watch"})


async def _ready(address: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(urllib.request.urlopen, f"{address}/readyz", timeout=5)
                return
            await asyncio.sleep(0.1)


# the measurement


def sdep(number: int) -> dict[str, Any]:
    """A SeldonDeployment of one prepackaged model."""
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": "gs://models/iris"}
    return {
        "apiVersion": SDEP[0],
        "kind": "SeldonDeployment",
        "metadata": {"name": f"iris-{number}", "namespace": NAMESPACE},
        "spec": {"predictors": [{"name": "default", "graph": graph}]},
    }


@contextlib.asynccontextmanager
async def _watched(client: ApiClient, kind: tuple[str, str]) -> AsyncIterator[Reflector]:
    """Follow a kind, which costs the server less than to ask for all of it again and again."""
    reflector = Reflector(client, *kind, NAMESPACE)
    await reflector.synced()
    try:
        yield reflector
    finally:
        await reflector.stop()


async def _until(reflector: Reflector, count: int, there: Callable[[dict[str, Any]], bool]) -> float:
    """Wait until so many objects are as they are to be; return the time."""
    while sum(map(there, reflector.objects.values())) < count:
        reflector.changed.clear()
        await reflector.changed.wait()
    return time.monotonic()


def _is_available(sdep: dict[str, Any]) -> bool:
    return (sdep.get("status") or {}).get("state") == "Available"


@contextlib.asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[tuple[ApiClient, str]]:
    """An empty server, the world, and the controller."""
    async with running_api_server(crds=CRDS) as server, ApiClient.from_kubeconfig(server.kubeconfig_path) as client:
        await client.create(
            "v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        with (
            world(server.kubeconfig_path),
            controller(server.kubeconfig_path, folder / "controller.log") as address,
        ):
            await _ready(address)
            yield client, address


async def measure(count: int, rest: float, folder: Path) -> Result:
    """Apply so many SeldonDeployments, wait until all are Available, then watch the rest."""
    async with lab(folder) as (client, address), _watched(client, ROUTES) as routes, _watched(client, SDEP) as sdeps:
        before, began = await asyncio.to_thread(_metrics, address), time.monotonic()
        for number in range(count):
            await client.create(*SDEP, sdep(number))
        async with asyncio.timeout(280):
            written, settled = await asyncio.gather(
                _until(routes, count, lambda _: True), _until(sdeps, count, _is_available)
            )
        after = await asyncio.to_thread(_metrics, address)
        await _all_written(client, count)
        await asyncio.sleep(3)  # the last events
        quiet = await asyncio.to_thread(_metrics, address)
        await asyncio.sleep(rest)
        end = await asyncio.to_thread(_metrics, address)
    return Result(
        count=count,
        written=round(written - began, 2),
        seconds=round(settled - began, 2),
        cpu=round(after["cpu"] - before["cpu"], 2),
        writes=round((_written(quiet) - _written(before)) / count, 2),
        requests=round((_asked(quiet) - _asked(before)) / count, 2),
        memory=round(end["memory"] / 2**20, 1),
        rest_seconds=rest,
        rest_writes=int(_written(end) - _written(quiet)),
        rest_cpu=round(end["cpu"] - quiet["cpu"], 2),
    )


async def _all_written(client: ApiClient, count: int) -> None:
    """Check that Available means what it says: every object of every SeldonDeployment stands."""
    versions = {"services": "v1", "deployments": "apps/v1"}
    wanted = {"services": 2 * count, **dict.fromkeys(OBJECTS[1:], count)}
    for plural in OBJECTS:
        items, _ = await client.list(versions.get(plural, "networking.istio.io/v1"), plural, namespace=NAMESPACE)
        if len(items) != wanted[plural]:
            raise RuntimeError(f"{len(items)} {plural}; expected {wanted[plural]}")


def _table(results: list[Result]) -> str:
    head = "| count | s to all written | s to Available | CPU s | writes each | requests each | MiB |"
    head += " at rest: s | writes | CPU s |"
    rows = [
        f"| {one.count} | {one.written} | {one.seconds} | {one.cpu} | {one.writes} | {one.requests} | {one.memory} "
        f"| {one.rest_seconds:g} | {one.rest_writes} | {one.rest_cpu} |"
        for one in results
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|---|", *rows])


def goals(results: list[Result]) -> list[str]:
    """Return the goals that are missed, in words."""
    missed = [
        f"{one.writes} writes for each of {one.count}; at most {WRITES_GOAL}"
        for one in results
        if one.writes > WRITES_GOAL
    ]
    missed += [f"{one.rest_writes} writes at rest with {one.count}; none" for one in results if one.rest_writes]
    missed += [
        f"{one.memory} MiB with {one.count}; at most {MEMORY_GOAL}" for one in results if one.memory > MEMORY_GOAL
    ]
    thousand = [one for one in results if one.count >= 1000]
    return missed + [
        f"{one.written} s until all of {one.count} are written; at most {SECONDS_GOAL}"
        for one in thousand
        if one.written > SECONDS_GOAL
    ]


def main() -> int:
    """Measure, print the table, write JSON; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--rest", type=float, default=60.0, help="seconds of rest that are watched")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "operator.json")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as folder:
        for count in options.counts:
            results.append(asyncio.run(measure(count, options.rest, Path(folder))))
            print(json.dumps(asdict(results[-1])), file=sys.stderr)
    print(_table(results))
    missed = goals(results)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"results": [asdict(one) for one in results], "missed": missed}, indent=2) + "\n")
    for text in missed:
        print(f"missed: {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
