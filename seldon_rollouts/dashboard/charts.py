"""Charts: requests, errors and latency by revision over time, and how latency is spread, as Prometheus has them."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, isfinite

from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import ProviderError
from analysis.providers.provider import Series as Answered
from seldon_rollouts.view.base import View

SPAN, STEPS = timedelta(minutes=15), 180
LONGEST = timedelta(days=7)
_SERVED = "seldon_api_executor_server_requests_seconds"


class Series(View):
    """One line of a chart: (seconds since the epoch, value)."""

    deployment: str
    points: tuple[tuple[float, float], ...]


class Bar(View):
    """Requests between two edges of the histogram."""

    upto: float
    """Seconds; infinity is -1, since JSON has no word for it."""
    share: float
    """Of the revision's requests."""


class Spread(View):
    """How one revision's latency is spread."""

    deployment: str
    bars: tuple[Bar, ...]


class Window(View):
    """A span of time."""

    begin: datetime
    end: datetime

    @classmethod
    def last(cls, now: datetime, began: datetime | None = None, ended: datetime | None = None) -> "Window":
        """Return the last 15 minutes, or the time of a past rollout with a minute around it, at most seven days."""
        end = min(now, ended + timedelta(minutes=1)) if ended is not None else now
        begin = began - timedelta(minutes=1) if began is not None else end - SPAN
        return cls(begin=max(begin, end - LONGEST), end=end)

    @property
    def step(self) -> float:
        """Seconds between two points."""
        return max(5.0, (self.end - self.begin).total_seconds() / STEPS)


class Charts(View):
    """The charts of one rollout; `problem` says why there are none."""

    requests: tuple[Series, ...] = ()
    """Requests a second."""
    errors: tuple[Series, ...] = ()
    """Share of requests that failed."""
    p50: tuple[Series, ...] = ()
    """Seconds."""
    p99: tuple[Series, ...] = ()
    spread: tuple[Spread, ...] = ()
    """Of the last five minutes of the window."""
    problem: str = ""


def queries(namespace: str, rollout: str, window: str = "15s") -> Mapping[str, str]:
    """Return the PromQL of each chart over time."""
    which = _which(namespace, rollout)
    rate = f"sum by (deployment_name) (rate({_SERVED}_count{{{which}}}[{window}]))"
    bad = f'sum by (deployment_name) (rate({_SERVED}_count{{{which},code=~"5.."}}[{window}]))'
    buckets = f"sum by (deployment_name, le) (rate({_SERVED}_bucket{{{which}}}[{window}]))"
    return {
        "requests": rate,
        "errors": f"({bad} or 0 * {rate}) / {rate}",
        "p50": f"histogram_quantile(0.5, {buckets})",
        "p99": f"histogram_quantile(0.99, {buckets})",
    }


def spread_query(namespace: str, rollout: str) -> str:
    """Return the PromQL of how latency is spread."""
    return f"sum by (deployment_name, le) (increase({_SERVED}_bucket{{{_which(namespace, rollout)}}}[5m]))"


def _which(namespace: str, rollout: str) -> str:
    return f'namespace="{_quoted(namespace)}",deployment_name=~"{_quoted(rollout)}-[a-z0-9]+",service="predictions"'


def _quoted(text: str) -> str:
    """Kubernetes names have no quotes; what is no such name must not become PromQL."""
    if not text.replace("-", "").replace(".", "").isalnum():
        raise ValueError(f"{text!r} is not a Kubernetes name")
    return text


def series(answer: Iterable[Answered]) -> tuple[Series, ...]:
    """Return a range query's answer as lines; gaps (NaN) are left out."""
    found = []
    for each in answer:
        points = tuple((float(at), value) for at, value in each.samples if isfinite(value))
        if points:
            found.append(Series(deployment=json.loads(each.written).get("deployment_name", ""), points=points))
    return tuple(sorted(found, key=lambda line: line.deployment))


def spread(labels: Sequence[bytes], values: Sequence[float]) -> tuple[Spread, ...]:
    """Return cumulative buckets as shares between their edges; revisions without requests are left out."""
    found: dict[str, dict[float, float]] = {}
    for each, value in zip(map(json.loads, labels), values, strict=True):
        found.setdefault(each.get("deployment_name", ""), {})[float(each["le"])] = value
    return tuple(
        Spread(deployment=deployment, bars=tuple(_bars(buckets)))
        for deployment, buckets in sorted(found.items())
        if max(buckets.values()) > 0
    )


def _bars(buckets: Mapping[float, float]) -> Iterator[Bar]:
    total, below = max(buckets.values()), 0.0
    for edge, count in sorted(buckets.items()):
        yield Bar(upto=edge if isfinite(edge) else -1.0, share=max(0.0, count - below) / total)
        below = max(below, count)


class Prometheus:
    """Asks for charts."""

    def __init__(self, provider: PrometheusProvider | None) -> None:
        self._provider = provider

    async def charts(self, namespace: str, rollout: str, window: Window) -> Charts:
        """Return the charts of a window; a problem is said, never raised."""
        if self._provider is None:
            return Charts(problem="no Prometheus: start the dashboard with --prometheus-url")
        try:
            return await self._charts(self._provider, namespace, rollout, window)
        except (ProviderError, ValueError) as error:
            return Charts(problem=f"Prometheus: {error}")

    @staticmethod
    async def _charts(provider: PrometheusProvider, namespace: str, rollout: str, window: Window) -> Charts:
        step = ceil(window.step)
        asked = queries(namespace, rollout, f"{max(15, 3 * step)}s")
        lines, spread_out = await asyncio.gather(
            asyncio.gather(*(provider.between(query, window.begin, window.end, step) for query in asked.values())),
            provider.instant(spread_query(namespace, rollout), window.end),
        )
        return Charts(**dict(zip(asked, map(series, lines), strict=True)), spread=spread(*spread_out))
