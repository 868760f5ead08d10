"""Charts: requests, errors and latency by revision over time, as Prometheus has them."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from seldon_rollouts.dashboard.view import View

SPAN, STEPS = timedelta(minutes=15), 180
_SERVED = "seldon_api_executor_server_requests_seconds"


class Series(View):
    """One line of a chart: (seconds since the epoch, value)."""

    deployment: str
    points: tuple[tuple[float, float], ...]


class Charts(View):
    """The charts of one rollout; `problem` says why there are none."""

    requests: tuple[Series, ...] = ()
    """Requests a second."""
    errors: tuple[Series, ...] = ()
    """Share of requests that failed."""
    p50: tuple[Series, ...] = ()
    """Seconds."""
    p99: tuple[Series, ...] = ()
    problem: str = ""


def queries(namespace: str, rollout: str, window: str = "15s") -> Mapping[str, str]:
    """Return the PromQL of each chart."""
    which = f'namespace="{_quoted(namespace)}",deployment_name=~"{_quoted(rollout)}-[a-z0-9]+",service="predictions"'
    rate = f"sum by (deployment_name) (rate({_SERVED}_count{{{which}}}[{window}]))"
    bad = f'sum by (deployment_name) (rate({_SERVED}_count{{{which},code=~"5.."}}[{window}]))'
    buckets = f"sum by (deployment_name, le) (rate({_SERVED}_bucket{{{which}}}[{window}]))"
    return {
        "requests": rate,
        "errors": f"({bad} or 0 * {rate}) / {rate}",
        "p50": f"histogram_quantile(0.5, {buckets})",
        "p99": f"histogram_quantile(0.99, {buckets})",
    }


def _quoted(text: str) -> str:
    """Kubernetes names have no quotes; what is no such name must not become PromQL."""
    if not text.replace("-", "").replace(".", "").isalnum():
        raise ValueError(f"{text!r} is not a Kubernetes name")
    return text


def series(answer: list[dict[str, Any]]) -> tuple[Series, ...]:
    """Return a range query's answer as lines; gaps (NaN) are left out."""
    found = []
    for each in answer:
        points = tuple(
            (float(at), float(value)) for at, value in each["values"] if value not in ("NaN", "+Inf", "-Inf")
        )
        if points:
            found.append(Series(deployment=each["metric"].get("deployment_name", ""), points=points))
    return tuple(sorted(found, key=lambda line: line.deployment))


class Prometheus:
    """Asks for charts; the client is synchronous and works in a thread."""

    def __init__(self, url: str) -> None:
        self._client = PrometheusConnect(url=url) if url else None

    async def charts(self, namespace: str, rollout: str, *, now: datetime) -> Charts:
        """Return the charts of the last 15 minutes; a problem is said, never raised."""
        if self._client is None:
            return Charts(problem="no Prometheus: start the dashboard with --prometheus-url")
        return await asyncio.to_thread(self._charts, namespace, rollout, now)

    def _charts(self, namespace: str, rollout: str, now: datetime) -> Charts:
        assert self._client is not None
        lines = {}
        try:
            for name, query in queries(namespace, rollout).items():
                answer = self._client.custom_query_range(
                    query, start_time=now - SPAN, end_time=now, step=f"{SPAN.total_seconds() / STEPS:g}s"
                )
                lines[name] = series(answer)
        except (requests.RequestException, PrometheusApiClientException, ValueError) as error:
            return Charts(problem=f"Prometheus does not answer: {type(error).__name__}")
        return Charts(**lines)
