"""What the embedded API server costs: requests a second on one core, CPU for each, and watch events delivered.

`make bench-apiserver` prints a table and writes `bench/apiserver.json`. The server runs on core 0, over TLS and with a
journal as in the local cluster; the clients (bare connections, so that they cost little) on core 1. Goals: 2,000
creates a second and 10,000 watch events a second.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop

from localcluster.apiserver.process import RunningApiServer, running_api_server

NAMESPACE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WIDGETS = "/apis/bench.example.com/v1/namespaces/default/widgets"
CREATE_GOAL, EVENT_GOAL = 2_000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row: `rate` a second, `cpu` microseconds of the server for each, times in milliseconds."""

    case: str
    count: int
    rate: float
    cpu: float
    p50: float | None = None
    p99: float | None = None
    goal: int | None = None


class Client(asyncio.Protocol):
    """One connection that sends a request and waits for its answer; or that listens to a watch."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None
        self.body: list[bytes] = []
        self.lines = 0
        self.wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's TLS transport is one in all but name

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.lines += body.count(b"\n")
        if not self.wanted:
            self.body.append(body)
        elif self.lines >= self.wanted and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(200)

    def on_message_complete(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._parser.get_status_code())

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """The status of the answer, when it has come."""
        assert self.transport is not None
        self.body = []
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiter

    def listen(self, request: bytes, events: int) -> asyncio.Future[int]:
        """Done when so many events have come."""
        self.wanted = events
        return self.ask(request)


class Bench:
    def __init__(self, server: RunningApiServer) -> None:
        self.server = server
        self.results: list[Result] = []

    async def client(self) -> Client:
        where = urlsplit(self.server.url)
        loop = asyncio.get_running_loop()
        context: ssl.SSLContext | None = self.server.ssl_context()
        _, protocol = await loop.create_connection(Client, where.hostname, where.port, ssl=context)
        return protocol

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.server.admin_token}\r\n"
            f"User-Agent: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def run(
        self, case: str, requests: Iterator[bytes], count: int, *, clients: int, goal: int | None = None
    ) -> None:
        """Sends all requests over some connections and records how it went."""
        times: list[float] = []

        async def work(client: Client) -> None:
            for request in requests:
                begun = time.perf_counter()
                status = await client.ask(request)
                times.append(time.perf_counter() - begun)
                if status not in (200, 201):
                    raise SystemExit(f"{case}: {status} {b''.join(client.body)[:300]!r}")

        workers = [await self.client() for _ in range(clients)]
        cpu, begun = self.cpu(), time.perf_counter()
        await asyncio.gather(*(work(client) for client in workers))
        self.record(case, count, time.perf_counter() - begun, self.cpu() - cpu, times=times, goal=goal)
        for client in workers:
            assert client.transport is not None
            client.transport.close()

    def record(
        self,
        case: str,
        count: int,
        took: float,
        cpu: float,
        *,
        times: list[float] | None = None,
        goal: int | None = None,
    ) -> None:
        ordered = sorted(times or ())
        p50, p99 = (ordered[int(len(ordered) * q)] * 1000 if ordered else None for q in (0.5, 0.99))
        self.results.append(
            Result(case=case, count=count, rate=count / took, cpu=cpu / count * 1e6, p50=p50, p99=p99, goal=goal)
        )

    async def watch(self, count: int, watchers: int) -> None:
        """`count` updates of one object, heard by everybody; the events are what is counted."""
        listener = await self.client()
        await listener.ask(self.request("GET", f"{NAMESPACE}/configmaps?limit=1"))
        revision = json.loads(b"".join(listener.body))["metadata"]["resourceVersion"]
        path = f"{NAMESPACE}/configmaps?watch=1&resourceVersion={revision}"
        heard = [(await self.client()).listen(self.request("GET", path), count) for _ in range(watchers)]
        writers = [await self.client() for _ in range(8)]
        bodies = iter(range(count))

        async def work(client: Client, name: str) -> None:
            for at in bodies:
                patch = {"data": {"n": str(at)}}
                await client.ask(
                    self.request("PATCH", f"{NAMESPACE}/configmaps/{name}", patch, "application/merge-patch+json")
                )

        cpu, begun = self.cpu(), time.perf_counter()
        await asyncio.gather(*heard, *(work(client, f"c{at}") for at, client in enumerate(writers)))
        took, used = time.perf_counter() - begun, self.cpu() - cpu
        self.record(
            f"watch events, {watchers} watchers",
            count * watchers,
            took,
            used,
            goal=EVENT_GOAL if watchers > 1 else None,
        )

    async def replay(self, count: int) -> None:
        """A watch that begins in the past: only delivery, no writes beside it."""
        client = await self.client()
        cpu, begun = self.cpu(), time.perf_counter()
        await client.listen(self.request("GET", f"{NAMESPACE}/configmaps?watch=1"), count)
        self.record(
            "watch events, from the beginning", count, time.perf_counter() - begun, self.cpu() - cpu, goal=EVENT_GOAL
        )


def config(at: int) -> dict[str, Any]:
    return {"metadata": {"name": f"c{at}", "labels": {"app": "bench"}}, "data": {"key": "value"}}


def deployment(name: str, image: str = "image:1") -> dict[str, Any]:
    container = {
        "name": "main", "image": image, "ports": [{"containerPort": 9000, "name": "http"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9000}},
    }  # fmt: skip
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def definition() -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "color": {"type": "string", "default": "blue"},
                },
                "x-kubernetes-validations": [{"rule": "self.size < 1000"}],
            }
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.bench.example.com"},
        "spec": {"group": "bench.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


async def measure(count: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        async with running_api_server(data_dir=Path(folder)) as server:
            if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
                os.sched_setaffinity(server.pid, {0})
                os.sched_setaffinity(0, {1})
            bench = Bench(server)
            await scenario(bench, count)
            return bench.results


async def scenario(bench: Bench, count: int) -> None:
    ask: Callable[..., bytes] = bench.request
    numbers = range(count)
    await bench.run(
        "create ConfigMap",
        (ask("POST", f"{NAMESPACE}/configmaps", config(n)) for n in numbers),
        count,
        clients=8,
        goal=CREATE_GOAL,
    )
    await bench.run("get ConfigMap", (ask("GET", f"{NAMESPACE}/configmaps/c{n}") for n in numbers), count, clients=8)
    merge = "application/merge-patch+json"
    changed = {"data": {"key": "new"}}
    merges = (ask("PATCH", f"{NAMESPACE}/configmaps/c{n}", changed, merge) for n in numbers)
    await bench.run("merge-patch ConfigMap", merges, count, clients=8)
    await bench.run(
        "create Deployment",
        (ask("POST", DEPLOYMENTS, deployment(f"d{n}")) for n in numbers),
        count,
        clients=8,
        goal=CREATE_GOAL,
    )
    apply = "application/apply-patch+yaml"
    how = "fieldManager=b&force=true"
    applies = (ask("PATCH", f"{DEPLOYMENTS}/d{n}?{how}", deployment(f"d{n}", "image:2"), apply) for n in numbers)
    await bench.run("server-side apply Deployment", applies, count, clients=8)
    first = await bench.client()
    await first.ask(ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition()))
    widget = {"apiVersion": "bench.example.com/v1", "kind": "Widget", "spec": {"size": 3}}
    widgets = (ask("POST", WIDGETS, {**widget, "metadata": {"name": f"w{n}"}}) for n in numbers)
    await bench.run("create custom object (schema, default, CEL)", widgets, count, clients=8, goal=CREATE_GOAL)
    await bench.run(
        f"list {count} ConfigMaps", (ask("GET", f"{NAMESPACE}/configmaps") for _ in range(20)), 20, clients=1
    )
    await bench.replay(count)
    await bench.watch(count, 1)
    await bench.watch(count, 10)
    await bench.run(
        "delete ConfigMap", (ask("DELETE", f"{NAMESPACE}/configmaps/c{n}") for n in numbers), count, clients=8
    )


def table(results: list[Result]) -> str:
    lines = [f"{'case':46}{'per second':>12}{'goal':>9}{'CPU us':>9}{'p50 ms':>9}{'p99 ms':>9}"]
    for row in results:
        shown = [f"{value:9.2f}" if value is not None else f"{'':9}" for value in (row.p50, row.p99)]
        goal = f"{row.goal:9,}" if row.goal else f"{'':9}"
        lines.append(f"{row.case:46}{row.rate:12,.0f}{goal}{row.cpu:9.1f}{''.join(shown)}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="requests in each case (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    work: Awaitable[list[Result]] = measure(arguments.count)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(work)  # type: ignore[arg-type]  # it is a coroutine
    print(table(results))
    arguments.out.write_text(json.dumps([asdict(row) for row in results], indent=1) + "\n")
    missed = [row.case for row in results if row.goal and row.rate < row.goal]
    if missed:
        print("below its goal: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
