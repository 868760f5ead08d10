"""What the controller counts of itself."""

import asyncio
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

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
