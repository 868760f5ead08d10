"""What the orchestrator costs: CPU for each request, requests a second and added latency, beside Envoy in the same run.

`make bench-orchestrator` prints a table and writes `bench/orchestrator.json`. What is measured runs on core 0; the
load (wrk) and the node behind it (an Envoy that answers by itself) on core 1. `--peer NAME=URL` measures another
orchestrator that is already running and has its own graph of one model.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.bodies import Passed, big_bodies
from bench.loads import paced, wrk
from bench.programs import (
    CALLS,
    PATH,
    cpu_seconds,
    envoy_command,
    free_port,
    graphs,
    memory,
    node_config,
    orchestrator,
    proxy_config,
    started,
    wait_open,
)
from bench.scaled import ENVOY_REST, Goal, table


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
    ready: float | None = None  # seconds from the start
    throughput: float | None = None  # MiB/s
    cpu_of_a_mib: float | None = None  # of each time that it is handed on


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


def big(passed: Passed) -> Result:
    """A row of the table: there the CPU is of a request, in the note of a MiB."""
    note = f"{passed.throughput:.0f} MiB/s"
    if passed.cpu is not None and passed.peak is not None:
        note += f", {passed.cpu:.0f} us of CPU for a MiB, peak {passed.peak:.0f} MiB"
    return Result(
        case=passed.case,
        target=passed.target,
        connections=1,
        rate=passed.rate,
        cpu=None,
        errors=passed.errors,
        note=note,
        throughput=passed.throughput,
        cpu_of_a_mib=passed.cpu,
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
                note += f", {memory(process.pid):.0f} MiB after"
                add(Result(**{**asdict(result), "note": note, "ready": ready}))
        for peer in options.peer:
            name, _, url = peer.partition("=")
            port = int(url.rstrip("/").rpartition(":")[2])
            add(paced_result(name, port, None, PATH, options.paced))
            add(measured("model", name, port, None, options, folder))
    if not options.quick:
        for passed in big_bodies(folder, (1, 10, 100)):
            add(big(passed))
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


def conclusions(results: Sequence[Result]) -> Iterator[str]:
    """What the goals are about: ratios within this run, which mean the same on a faster machine."""
    found = {(one.case, one.target): one for one in results}
    ours, envoy = found["model", "ours"], found["model", "envoy"]
    if ours.cpu and envoy.cpu:
        cpu, rate = ours.cpu / envoy.cpu, ours.rate / envoy.rate
        yield f"of Envoy's: {cpu:.2f} of the CPU for a request, {rate:.2f} of the requests/s"
    for name in ("p50", "p99"):
        direct, through, other = (
            getattr(found["paced 400/s", target], name) or 0.0 for target in ("direct", "ours", "envoy")
        )
        yield f"added at {name}: {through - direct:,.0f} us, Envoy {other - direct:,.0f} us"
    for case, calls in CALLS.items():
        one = found[case, "ours"]
        if one.cpu and ours.cpu and calls > 1:
            yield f"{case}: {one.cpu / ours.cpu:.2f} of a single model, for {calls} calls"
    for (case, target), one in found.items():
        if target == "ours" and one.cpu_of_a_mib:
            other = found[f"{case.split(' MiB')[0]} MiB body", "envoy"]
            share = one.cpu_of_a_mib / (other.cpu_of_a_mib or 1)
            yield f"{case}: {share:.2f} of Envoy's CPU for a MiB; {1e6 / one.cpu_of_a_mib:,.0f} MiB in a second of CPU"
    if envoy.cpu:
        yield from table(goals(found), envoy.cpu, ENVOY_REST)


def goals(found: Mapping[tuple[str, str], Result]) -> Iterator[Goal]:
    """The goals that are absolute numbers, with what was measured."""
    ours = found["model", "ours"]
    yield Goal("single model", "requests/s", 25_000, ours.rate, rate=True)
    yield Goal("single model", "us of CPU for each request", 35, ours.cpu or 0.0)
    for name, wanted in (("p50", 60), ("p99", 300)):
        through, direct = (getattr(found["paced 400/s", target], name) or 0.0 for target in ("ours", "direct"))
        yield Goal(f"paced, added at {name}", "us", wanted, through - direct)
    for (case, target), one in found.items():
        if target == "ours" and one.throughput is not None:
            yield Goal(case, "MiB/s", 500, one.throughput, rate=True)
    readies = [one.ready for one in found.values() if one.ready is not None]
    yield Goal("start to ready, the median", "s", 0.3, statistics.median(readies))


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
    print("\n".join(conclusions(results)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
