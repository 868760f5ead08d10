"""Reads what all comparisons need in a few grouped queries, each at explicit instants."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TypeVar

from analysis.checks import OutlierRate, PredictionDrift, Reward, ShadowAgreement
from analysis.providers.provider import Provider, Series
from analysis.samples import ArmReading, PodReading, Reading, Signal
from analysis.spec import Arm, Comparison, Key

K = TypeVar("K")

_SERVED = "seldon_api_executor_server_requests_seconds"
_GATEWAY = "istio_requests_total"
_NO_PREDICTION = ".*(?i:feedback|metadata|status|ready|live).*"
_COPIES = "job,container,endpoint,service,prometheus,prometheus_replica,replica"
"""What tells two scrapes of the same target apart."""
_SUCCESS = "2..|OK|ok|Ok"
_SIGNALS: Mapping[str, tuple[str, str]] = {
    "seldon_prediction_class_total": ("class", "class"),
    "seldon_prediction_score_bucket": ("score", "le"),
    "seldon_prediction_outlier_total": ("outlier", ""),
    "seldon_prediction_row_total": ("row", ""),
    "seldon_api_model_feedback_total": ("feedback", ""),
    "seldon_api_model_feedback_reward_total": ("reward", ""),
    "seldon_shadow_compare_total": ("compare", "pair"),
}
"""What is called how in a signal, and which label tells its kinds apart."""
_NEEDED = {
    PredictionDrift: ("seldon_prediction_class_total", "seldon_prediction_score_bucket"),
    OutlierRate: ("seldon_prediction_outlier_total", "seldon_prediction_row_total"),
    Reward: ("seldon_api_model_feedback_total", "seldon_api_model_feedback_reward_total"),
    ShadowAgreement: ("seldon_shadow_compare_total",),
}


@dataclass(frozen=True, slots=True)
class Labels:
    """The names that this Prometheus gives to what its scrape configuration adds."""

    namespace: str = "namespace"
    pod: str = "pod"


class Measurer:
    """Turns what a provider answers into readings, for all comparisons at once.

    `chunk` is the most names in one query: a query travels in a URL, and those have limits.
    """

    def __init__(self, provider: Provider, *, labels: Labels | None = None, chunk: int = 100) -> None:
        self._provider = provider
        self._labels = labels or Labels()
        self._chunk = chunk

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading]:
        """The raw counters of all comparisons at one instant. Raises ProviderError when any part is missing."""
        queries = self._all_queries(comparisons)
        answers = await asyncio.gather(*[self._provider.instant(query, at) for query in queries])
        found = await asyncio.to_thread(self._sort, answers, comparisons, [int(at.timestamp())])
        return {key: readings[0] for key, readings in found.items()}

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        """The raw counters at start, start + step, ..., end: the same as `read` would have given at each of them."""
        queries = self._all_queries(comparisons)
        answers = [await self._provider.between(query, start, end, step) for query in queries]
        moments = range(int(start.timestamp()), int(end.timestamp()) + 1, step)
        return await asyncio.to_thread(self._sort, answers, comparisons, moments)

    def _sort(
        self, answers: Iterable[Iterable[Series]], comparisons: Sequence[Comparison], moments: Sequence[int]
    ) -> dict[Key, tuple[Reading, ...]]:
        table = _Table(self._labels)
        for answer in answers:
            table.add(answer)
        return {one.key: tuple([table.reading(one, moment) for moment in moments]) for one in comparisons}

    def _all_queries(self, comparisons: Sequence[Comparison]) -> list[str]:
        return [query for part in self._chunks(comparisons) for query in self._queries(part)]

    def _chunks(self, comparisons: Sequence[Comparison]) -> Iterator[Sequence[Comparison]]:
        size = max(1, self._chunk // 2)
        for start in range(0, len(comparisons), size):
            yield comparisons[start : start + size]

    def _queries(self, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
        """Requests by code, successful requests by latency, and outcomes at the gateway."""
        arms = [arm for one in comparisons for arm in (one.stable, one.canary)]
        names = self._labels
        deployments = _any(arm.deployment for arm in arms)
        services = _any(service for arm in arms for service in arm.services)
        spaces = _any(arm.namespace for arm in arms)
        where = f'deployment_name=~"{deployments}",{names.namespace}=~"{spaces}",service!~"{_NO_PREDICTION}"'
        source = f"{names.namespace},{names.pod},instance,deployment_name"
        # The inner max takes one of several scrapes of the same target (two jobs, two Prometheus replicas).
        each = f"{source},predictor_name,predictor_version,service,method,code"
        codes = f"sum by ({source},code) (max by ({each}) ({_SERVED}_count{{{where}}}))"
        success = f'{where},code=~"{_SUCCESS}"'
        buckets = f"sum by ({source},le) (max by ({each},le) ({_SERVED}_bucket{{{success}}}))"
        hosts = "destination_service_namespace,destination_service_name"
        outcome = "response_code,response_flags,grpc_response_status"
        at_gateway = (
            f'reporter="source",destination_service_name=~"{services}",destination_service_namespace=~"{spaces}"'
        )
        counted = f"max without ({_COPIES}) ({_GATEWAY}{{{at_gateway}}})"
        gateway = f"sum by ({names.pod},instance,{hosts},{outcome}) ({counted})"
        queries = [codes, buckets, gateway] if services else [codes, buckets]
        if signals := self._signals(comparisons, source):
            queries.append(signals)
        return tuple(queries)

    def _signals(self, comparisons: Sequence[Comparison], source: str) -> str:
        """What the typed checks of some comparisons count beside requests."""
        wanted = {one.key: _signal_names(one) for one in comparisons}
        arms = [arm for one in comparisons if wanted[one.key] for arm in (one.stable, one.canary)]
        if not arms:
            return ""
        families = _any(name for names in wanted.values() for name in names)
        where = f'__name__=~"{families}",deployment_name=~"{_any(arm.deployment for arm in arms)}"'
        where += f',{self._labels.namespace}=~"{_any(arm.namespace for arm in arms)}"'
        kinds = f"{source},__name__,class,le,pair,result"
        each = f"{kinds},predictor_name,predictor_version,model_name,method"
        return f"sum by ({kinds}) (max by ({each}) ({{{where}}}))"


class _Table:
    """Answers, sorted by arm and instant."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._codes: dict[tuple[str, str], dict[int, dict[str, dict[str, float]]]] = {}
        self._buckets: dict[tuple[str, str], dict[int, dict[str, dict[float, float]]]] = {}
        self._gateways: dict[tuple[str, str], dict[int, dict[str, dict[tuple[str, str, str], float]]]] = {}
        self._signals: dict[tuple[str, str], dict[int, dict[str, dict[Signal, float]]]] = {}

    def add(self, answer: Iterable[Series]) -> None:
        for labels, samples in answer:
            source = labels.get(self._labels.pod, "") + "/" + labels.get("instance", "")
            if "deployment_name" in labels:
                arm = (labels.get(self._labels.namespace, ""), labels["deployment_name"])
                if family := labels.get("__name__"):
                    _put(self._signals.setdefault(arm, {}), source, _signal(family, labels), samples)
                elif "le" in labels:
                    _put(self._buckets.setdefault(arm, {}), source, float(labels["le"]), samples)
                else:
                    _put(self._codes.setdefault(arm, {}), source, labels.get("code", ""), samples)
            else:
                arm = (labels.get("destination_service_namespace", ""), labels.get("destination_service_name", ""))
                outcome = (
                    labels.get("response_code", ""),
                    labels.get("response_flags", ""),
                    labels.get("grpc_response_status", ""),
                )
                _put(self._gateways.setdefault(arm, {}), source, outcome, samples)

    def reading(self, comparison: Comparison, at: int) -> Reading:
        return Reading(at, self._arm(comparison.stable, at), self._arm(comparison.canary, at))

    def _arm(self, arm: Arm, at: int) -> ArmReading:
        name = (arm.namespace, arm.deployment)
        codes, buckets = self._codes.get(name, {}).get(at, {}), self._buckets.get(name, {}).get(at, {})
        pods = {pod: PodReading(codes.get(pod, {}), buckets.get(pod, {})) for pod in codes.keys() | buckets.keys()}
        gateways: dict[str, Mapping[tuple[str, str, str], float]] = {}
        for service in arm.services:
            for source, outcomes in self._gateways.get((arm.namespace, service), {}).get(at, {}).items():
                gateways[f"{source}/{service}"] = outcomes
        return ArmReading(pods, gateways, self._signals.get(name, {}).get(at, {}))


def _signal_names(comparison: Comparison) -> tuple[str, ...]:
    return tuple([name for metric in comparison.plan.metrics for name in _NEEDED.get(type(metric), ())])


def _signal(family: str, labels: Mapping[str, str]) -> Signal:
    what, by = _SIGNALS[family]
    kind = labels.get(by, "") if by else ""
    return what, f"{kind}/{labels.get('result', '')}" if what == "compare" else kind


def _put(at: dict[int, dict[str, dict[K, float]]], source: str, key: K, samples: tuple[tuple[int, float], ...]) -> None:
    for moment, value in samples:
        if isfinite(value):
            at.setdefault(moment, {}).setdefault(source, {})[key] = value


def _any(names: Iterable[str]) -> str:
    """A regular expression for any of the names, ready to stand in a double-quoted PromQL string."""
    return "|".join(sorted({re.escape(name).replace("\\", "\\\\").replace('"', '\\"') for name in names}))
