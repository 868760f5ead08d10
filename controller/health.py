"""How the controller is: its metrics, and the pages `/healthz`, `/readyz` and `/metrics`."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

log = logging.getLogger("seldon_rollouts.health")

RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUEST_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROLLOUT_BUCKETS = (15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0, 604800.0)


class Metrics:
    """What the controller counts of itself; one registry for each process, or for each test.

    Args:
        registry: where the metrics are kept; a fresh one when absent.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        registry = self.registry
        self.reconcile_seconds = Histogram(
            "seldon_rollouts_reconcile_seconds",
            "Duration of a reconcile.",
            ["controller", "result"],
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "seldon_rollouts_reconcile_errors", "Failed reconciles.", ["controller", "error"], registry=registry
        )
        self.queue_depth = Gauge("seldon_rollouts_queue_depth", "Keys that are due.", ["controller"], registry=registry)
        self.queue_delayed = Gauge(
            "seldon_rollouts_queue_delayed", "Keys that wait for their time.", ["controller"], registry=registry
        )
        self.queue_seconds = Histogram(
            "seldon_rollouts_queue_seconds",
            "How long keys that were due waited for a worker.",
            ["controller"],
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self._of_the_cluster(registry)
        self._of_rollouts(registry)

    def _of_the_cluster(self, registry: CollectorRegistry) -> None:
        self.api_requests = Counter(
            "seldon_rollouts_api_requests",
            "Requests to the Kubernetes API; code 0 is no answer.",
            ["verb", "code"],
            registry=registry,
        )
        self.api_seconds = Histogram(
            "seldon_rollouts_api_request_seconds",
            "Duration of requests to the Kubernetes API, watches excepted.",
            ["verb"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.watch_restarts = Counter(
            "seldon_rollouts_watch_restarts", "Watches that ended.", ["resource", "reason"], registry=registry
        )
        self.malformed = Counter(
            "seldon_rollouts_malformed_objects",
            "Objects and lines of the API that could not be read and were passed over.",
            ["resource"],
            registry=registry,
        )
        self.cached = Gauge("seldon_rollouts_cached_objects", "Objects in a cache.", ["resource"], registry=registry)
        self.events_dropped = Counter(
            "seldon_rollouts_events_dropped", "Events that were not written.", ["why"], registry=registry
        )
        self.leader = Gauge("seldon_rollouts_leader", "1 while this process leads.", registry=registry)
        build = Gauge("seldon_rollouts_build_info", "1, with the version as a label.", ["version"], registry=registry)
        build.labels(version("seldon-rollouts")).set(1)

    def _of_rollouts(self, registry: CollectorRegistry) -> None:
        self.rollout_seconds = Histogram(
            "seldon_rollouts_rollout_duration_seconds",
            "How long rollouts of a revision took, by how they ended and why.",
            ["outcome", "reason"],
            buckets=ROLLOUT_BUCKETS,
            registry=registry,
        )
        self.prometheus_seconds = Histogram(
            "seldon_rollouts_prometheus_request_seconds",
            "Duration of the judge's questions to Prometheus, tries again included.",
            ["result"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.tick_seconds = Histogram(
            "seldon_rollouts_judge_tick_seconds",
            "Duration of the judge's ticks: reading and judging all rollouts that are compared.",
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self.measurements = Counter(
            "seldon_rollouts_measurements",
            "Measurements of AnalysisRuns, by where they were made and what they came to.",
            ["provider", "result"],
            registry=registry,
        )

    def observe_process(self) -> None:
        """Add the usual metrics of the process: memory, CPU, garbage collection."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    async def render(self) -> bytes:
        """Return Prometheus' text format: what is known at one instant, written beside the passes, in a thread."""
        snapshot = _Snapshot(list(self.registry.collect()))
        return await asyncio.to_thread(generate_latest, snapshot)


class _Snapshot(CollectorRegistry):
    """Families that were collected."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class Health:
    """What has to be true for the process to live, and to be ready.

    Each check returns an empty text when all is well, or what is wrong.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.live: dict[str, Callable[[], str]] = {}
        self.ready: dict[str, Callable[[], str]] = {}
        self.leading: bool | None = None
        """None before the first decision about the lease."""

    def watch_task(self, name: str, task: asyncio.Task[object]) -> None:
        """Count a task among those that have to run for the process to live."""
        self.live[name] = lambda: f"{name} has ended" if task.done() else ""

    @staticmethod
    def problems(checks: dict[str, Callable[[], str]]) -> list[str]:
        """Return what is wrong, in the order of the checks."""
        return [problem for check in checks.values() if (problem := check())]


class HealthServer:
    """Serves the pages.

    Args:
        health: what to tell.
        host: the address to bind.
        port: the port; 0 for any free one.
    """

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Begin to serve; return the port.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = int(self._runner.addresses[0][1])
        log.info("serving health address=%s:%d", self._host, port)
        return port

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return _page(self._health.problems(self._health.live), "ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        role = {None: "waiting for the lease", True: "leading", False: "standby"}[self._health.leading]
        return _page(self._health.problems(self._health.ready), f"ok: {role}")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=await self._health.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _page(problems: list[str], fine: str) -> web.Response:
    if problems:
        return web.Response(status=503, text="\n".join(problems) + "\n")
    return web.Response(text=fine + "\n")
