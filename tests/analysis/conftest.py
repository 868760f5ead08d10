"""A real Prometheus that scrapes a small exporter in the test's own event loop."""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

EDGES = (0.05, 0.1, 0.25, 0.5)


@dataclass
class Source:
    """A scraped process whose counters move at each scrape: so many requests, failures and slow ones."""

    labels: dict[str, str]
    requests: int = 0
    failed: int = 0
    slow: int = 0
    """Successful requests that take 0.3 s; the others take 0.06 s."""
    kind: str = "orchestrator"
    classes: dict[str, int] = field(default_factory=dict)
    """Answers at each scrape, by class."""
    down: bool = False
    """It answers no scrape."""
    scrapes: int = 0
    served: int = 0
    bad: int = 0
    late: int = 0

    def text(self) -> str:
        self.scrapes += 1
        self.served += self.requests
        self.bad += self.failed
        self.late += self.slow
        return self._gateway() if self.kind == "gateway" else self._orchestrator()

    def _line(self, name: str, value: int, **more: str) -> str:
        labels = ",".join(f'{key}="{text}"' for key, text in (self.labels | more).items())
        return f"{name}{{{labels}}} {value}\n"

    def _orchestrator(self) -> str:
        name, good = "seldon_api_executor_server_requests_seconds", self.served - self.bad
        lines = [self._line(f"{name}_count", good, service="predictions", method="post", code="200")]
        if self.bad:
            lines.append(self._line(f"{name}_count", self.bad, service="predictions", method="post", code="500"))
        lines.append(self._line(f"{name}_count", self.scrapes, service="status", method="get", code="500"))
        for edge in (*EDGES, float("inf")):
            within = 0 if edge < 0.06 else good - self.late if edge < 0.3 else good
            le = "+Inf" if edge == float("inf") else str(edge)
            lines.append(self._line(f"{name}_bucket", within, service="predictions", method="post", code="200", le=le))
        for kind, each in self.classes.items():
            lines.append(self._line("seldon_prediction_class_total", each * self.scrapes, **{"class": kind}))
        return "".join(lines)

    def _gateway(self) -> str:
        common = {"reporter": "source", "response_flags": "-", "grpc_response_status": ""}
        good = self._line("istio_requests_total", self.served - self.bad, **common, response_code="200")
        bad = self._line("istio_requests_total", self.bad, **common, response_code="503")
        left = self._line(
            "istio_requests_total", 5 * self.served, **(common | {"response_flags": "DC"}), response_code="0"
        )
        return good + bad + left


@dataclass
class Exporter:
    """The scraped processes, by path."""

    sources: dict[str, Source] = field(default_factory=dict)
    port: int = 0

    def pod(self, deployment: str, pod: str, classes: dict[str, int] | None = None, **counts: int) -> Source:
        labels = {"deployment_name": deployment, "predictor_name": "default", "predictor_version": ""}
        return self.sources.setdefault(pod, Source(labels, classes=classes or {}, **counts))

    def gateway(self, service: str, **counts: int) -> Source:
        labels = {"destination_service_name": service, "destination_service_namespace": "ml"}
        return self.sources.setdefault(f"gateway-{service}", Source(labels, kind="gateway", **counts))

    async def answer(self, request: web.Request) -> web.Response:
        source = self.sources.get(request.match_info["name"])
        return web.Response(status=503) if source is None or source.down else web.Response(text=source.text())


class Prometheus:
    """A Prometheus process on a free port of 127.0.0.1; it can be stopped and started again on the same data."""

    def __init__(self, binary: str, folder: Path, exporter: Exporter) -> None:
        self._binary, self._folder, self._exporter = binary, folder, exporter
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{free_port()}"

    def scrape(self, *pods: str, elsewhere: dict[str, str] | None = None) -> None:
        """Scrape these pods of the namespace ml, and those of other namespaces."""
        spaces = dict.fromkeys(pods, "ml") | (elsewhere or {})
        target = f"127.0.0.1:{self._exporter.port}"
        jobs = [
            {
                "job_name": pod,
                "metrics_path": f"/{pod}",
                "static_configs": [{"targets": [target], "labels": {"namespace": space, "pod": pod}}],
            }
            for pod, space in spaces.items()
        ]
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
        (self._folder / "prometheus.yml").write_text(json.dumps(config))

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._binary,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=error",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with aiohttp.ClientSession() as client:
            await until(lambda: _ready(client, self.url), seconds=20)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


async def _ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(f"{url}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def until(condition: Callable, *, seconds: float) -> None:
    """Poll an async condition until it holds; fail after so many seconds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def exporter() -> AsyncIterator[Exporter]:
    exporter = Exporter()
    app = web.Application()
    app.router.add_get("/{name}", exporter.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exporter.port = site._server.sockets[0].getsockname()[1]
    yield exporter
    await runner.cleanup()


@pytest.fixture
async def prometheus(tmp_path: Path, exporter: Exporter) -> AsyncIterator[Prometheus]:
    binary = shutil.which("prometheus") or shutil.which("prometheus", path=str(Path(sys.executable).parent))
    if binary is None:
        pytest.skip("no prometheus on PATH: `make system` installs it")
    server = Prometheus(binary, tmp_path, exporter)
    yield server
    await server.stop()


@pytest.fixture
def poll() -> Callable:
    return until
