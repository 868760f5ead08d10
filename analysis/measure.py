"""Reads what all comparisons need in a few grouped queries, each at explicit instants."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import orjson

from analysis.preflight import SERVED, Found
from analysis.providers.provider import Instant, Provider, Series
from analysis.samples import ArmReading, PodReading, Reading, Signal
from analysis.signals.families import FAMILIES, NEEDED
from analysis.spec import Arm, Comparison, Key

_GATEWAY = "istio_requests_total"
_NO_PREDICTION = ".*(?i:feedback|metadata|status|ready|live|comparison).*"
_COPIES = "job,container,endpoint,service,prometheus,prometheus_replica,replica"
"""What tells two scrapes of the same target apart."""
_LONGEST = 64
"""Characters of a name, and what parts it from the next."""
_SPARE = 1000
"""Series that may be known and not answered, beyond half of all."""
_SUCCESS = "2..|OK|ok|Ok"


@dataclass(frozen=True, slots=True)
class Labels:
    """The names that this Prometheus gives to what its scrape configuration adds."""

    namespace: str = "namespace"
    pod: str = "pod"


class Measurer:
    """Turns what a provider answers into readings, for all comparisons at once.

    `chunk` is the most names in one query (up to 256 Prometheus looks up, more it matches one by one), `letters` the
    most characters of them: some take queries in the URL alone, and VictoriaMetrics none beyond 16 KiB.
    """

    def __init__(
        self, provider: Provider, *, labels: Labels | None = None, chunk: int = 250, letters: int = 7000
    ) -> None:
        self._provider = provider
        self._labels = labels or Labels()
        self._chunk, self._letters = chunk, letters
        self._directory = _Directory(self._labels)

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading]:
        """The raw counters of all comparisons at one instant. Raises ProviderError when any part is missing."""
        queries = self._all_queries(comparisons)
        answers = await asyncio.gather(*[self._provider.instant(query, at) for query in queries])
        return await asyncio.to_thread(self._sort, answers, comparisons, int(at.timestamp()))

    async def counted(self, comparisons: Sequence[Comparison], at: datetime) -> tuple[float | None, dict[Key, Reading]]:
        """What gateways count of all comparisons, and when the oldest of it was scraped, in seconds since 1970.

        Raises ProviderError when any part is missing. When it was scraped is asked first: a scrape between the two
        questions makes the counters newer than is said, and never older. It may be called while `read` is under way.
        """
        parts = [_at_gateways(part) for part in self._chunks(comparisons)]
        oldest = [await self._provider.instant(f"min(timestamp({_GATEWAY}{{{part}}}))", at) for part in parts]
        answers = [await self._provider.instant(self._gateway(part), at) for part in parts]
        scraped = min((value for answer in oldest for value in answer.values), default=None)
        table, moment = _Table(_Directory(self._labels)), int(at.timestamp())  # `read` has its own, in another thread
        for written, values in answers:
            table.add(written, values)
        return scraped, {one.key: table.reading(one, moment) for one in comparisons}

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        """The raw counters at start, start + step, ..., end: the same as `read` would have given at each of them."""
        queries = self._all_queries(comparisons)
        answers = [await self._provider.between(query, start, end, step) for query in queries]
        moments = range(int(start.timestamp()), int(end.timestamp()) + 1, step)
        return await asyncio.to_thread(self._sort_all, answers, comparisons, moments)

    async def whereabouts(self, arms: Iterable[Arm], at: datetime) -> Found:
        """Where orchestrators' series of some arms are, whatever their namespace says. Raises ProviderError."""
        wanted = sorted({arm.deployment for arm in arms})
        by, name = f"{self._labels.namespace},deployment_name", f"{SERVED}_count"
        spaces: dict[str, set[str]] = {}
        size = max(1, min(self._chunk, self._letters // _LONGEST))
        for first in range(0, len(wanted), size):
            names = _any(wanted[first : first + size])
            each = [f"group by ({by}) ({name}{{deployment_name{how}}})" for how in (f'=~"{names}"', '=""')]
            for written in (await self._provider.instant(" or ".join(each), at)).written:
                labels = orjson.loads(written)
                space = labels.get(self._labels.namespace, "")
                spaces.setdefault(labels.get("deployment_name", ""), set()).add(space)
        nameless = bool(spaces.pop("", None))
        return Found({name: frozenset(found) for name, found in spaces.items()}, nameless)

    def _sort(self, answers: Iterable[Instant], comparisons: Sequence[Comparison], at: int) -> dict[Key, Reading]:
        table, series = _Table(self._directory), 0
        for written, values in answers:
            series += len(values)
            table.add(written, values)
        if len(self._directory) > 2 * series + _SPARE:
            self._directory = _Directory(self._labels)  # pods come and go: do not keep for ever what is gone
        return {one.key: table.reading(one, at) for one in comparisons}

    def _sort_all(
        self, answers: Iterable[Iterable[Series]], comparisons: Sequence[Comparison], moments: Sequence[int]
    ) -> dict[Key, tuple[Reading, ...]]:
        directory = _Directory(self._labels)
        tables = {moment: _Table(directory) for moment in moments}
        for answer in answers:
            for written, samples in answer:
                for moment, value in samples:
                    if moment in tables:
                        tables[moment].add((written,), (value,))
        return {one.key: tuple([tables[moment].reading(one, moment) for moment in moments]) for one in comparisons}

    def _all_queries(self, comparisons: Sequence[Comparison]) -> list[str]:
        return [query for part in self._chunks(comparisons) for query in self._queries(part)]

    def _chunks(self, comparisons: Sequence[Comparison]) -> Iterator[Sequence[Comparison]]:
        """Split what is asked: each part names at most so many deployments or services, with so many characters."""
        part: list[Comparison] = []
        names = letters = 0
        for one in comparisons:
            arms = (one.stable, one.canary)
            kinds = ([arm.deployment for arm in arms], [service for arm in arms for service in arm.services])
            more, longer = max(map(len, kinds)), max(sum([len(_any([name])) + 1 for name in kind]) for kind in kinds)
            if part and (names + more > self._chunk or letters + longer > self._letters):
                yield part
                part, names, letters = [], 0, 0
            part.append(one)
            names, letters = names + more, letters + longer
        if part:
            yield part

    def _queries(self, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
        """Requests by code, successful requests by latency, and outcomes at the gateway."""
        arms = [arm for one in comparisons for arm in (one.stable, one.canary)]
        names = self._labels
        deployments = _any(arm.deployment for arm in arms)
        spaces = _any(arm.namespace for arm in arms)
        where = f'deployment_name=~"{deployments}",{names.namespace}=~"{spaces}",service!~"{_NO_PREDICTION}"'
        source = f"{names.namespace},{names.pod},instance,deployment_name"
        # The inner max takes one of several scrapes of the same target (two jobs, two Prometheus replicas).
        each = f"{source},predictor_name,predictor_version,service,method,code"
        codes = f"sum by ({source},code) (max by ({each}) ({SERVED}_count{{{where}}}))"
        success = f'{where},code=~"{_SUCCESS}"'
        buckets = f"sum by ({source},le) (max by ({each},le) ({SERVED}_bucket{{{success}}}))"
        queries = [codes, buckets]
        if any(arm.services for arm in arms):
            queries.append(self._gateway(_at_gateways(comparisons)))
        if signals := self._signals(comparisons, source):
            queries.append(signals)
        return tuple(queries)

    def _gateway(self, at_gateways: str) -> str:
        hosts = "destination_service_namespace,destination_service_name"
        outcome = "response_code,response_flags,grpc_response_status"
        counted = f"max without ({_COPIES}) ({_GATEWAY}{{{at_gateways}}})"
        return f"sum by ({self._labels.pod},instance,{hosts},{outcome}) ({counted})"

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


class _Directory:
    """Where each series belongs, by its labels as they are written: only new ones are parsed.

    A group is what one source counts of one kind: a number, and by it the values of an instant.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._places: dict[bytes, tuple[int, Any]] = {}
        self._groups: dict[tuple[str, str, str, str], int] = {}
        self.sources: dict[tuple[str, str, str], dict[str, int]] = {}
        """By kind and arm: the group of each source."""

    def __len__(self) -> int:
        return len(self._places)

    def place(self, written: bytes) -> tuple[int, Any]:
        """The group of a series, and which value of it this is."""
        known = self._places.get(written)
        if known is None:
            known = self._places[written] = self._placed(orjson.loads(written))
        return known

    def _placed(self, labels: Mapping[str, str]) -> tuple[int, Any]:
        source = labels.get(self._labels.pod, "") + "/" + labels.get("instance", "")
        if "deployment_name" not in labels:
            arm = (labels.get("destination_service_namespace", ""), labels.get("destination_service_name", ""))
            outcome = ("response_code", "response_flags", "grpc_response_status")
            return self._group("gateway", arm, source), tuple([labels.get(name, "") for name in outcome])
        arm = (labels.get(self._labels.namespace, ""), labels["deployment_name"])
        if family := labels.get("__name__"):
            return self._group("signal", arm, source), _signal(family, labels)
        if "le" in labels:
            return self._group("buckets", arm, source), float(labels["le"])
        return self._group("codes", arm, source), labels.get("code", "")

    def _group(self, kind: str, arm: tuple[str, str], source: str) -> int:
        number = self._groups.setdefault((kind, *arm, source), len(self._groups))
        self.sources.setdefault((kind, *arm), {})[source] = number
        return number


class _Table:
    """The answers of one instant, by group."""

    def __init__(self, directory: _Directory) -> None:
        self._directory = directory
        self._groups: dict[int, dict[Any, float]] = {}

    def add(self, written: Iterable[bytes], values: Iterable[float]) -> None:
        place, groups = self._directory.place, self._groups
        for (number, key), value in zip(map(place, written), values, strict=True):
            if isfinite(value):
                if number in groups:
                    groups[number][key] = value
                else:
                    groups[number] = {key: value}

    def reading(self, comparison: Comparison, at: int) -> Reading:
        return Reading(at, self._arm(comparison.stable), self._arm(comparison.canary))

    def _arm(self, arm: Arm) -> ArmReading:
        codes, buckets = self._by_source("codes", arm), self._by_source("buckets", arm)
        pods = {pod: PodReading(codes.get(pod, {}), buckets.get(pod, {})) for pod in codes.keys() | buckets.keys()}
        gateways: dict[str, Mapping[tuple[str, str, str], float]] = {}
        for service in arm.services:
            for source, outcomes in self._by_source("gateway", Arm(arm.namespace, service)).items():
                gateways[f"{source}/{service}"] = outcomes
        return ArmReading(pods, gateways, self._by_source("signal", arm))

    def _by_source(self, kind: str, arm: Arm) -> dict[str, dict[Any, float]]:
        groups, sources = self._groups, self._directory.sources.get((kind, arm.namespace, arm.deployment), {})
        return {source: groups[number] for source, number in sources.items() if number in groups}


def _at_gateways(comparisons: Iterable[Comparison]) -> str:
    """What tells the gateways' series of some comparisons from all others."""
    arms = [arm for one in comparisons for arm in (one.stable, one.canary)]
    services = _any(service for arm in arms for service in arm.services)
    spaces = _any(arm.namespace for arm in arms)
    return f'reporter="source",destination_service_name=~"{services}",destination_service_namespace=~"{spaces}"'


def _signal_names(comparison: Comparison) -> tuple[str, ...]:
    return tuple([name for metric in comparison.plan.metrics for name in NEEDED.get(type(metric), ())])


def _signal(family: str, labels: Mapping[str, str]) -> Signal:
    what, by = FAMILIES[family]
    kind = labels.get(by, "") if by else ""
    return what, f"{kind}/{labels.get('result', '')}" if what == "compare" else kind


def _any(names: Iterable[str]) -> str:
    """A regular expression for any of the names, ready to stand in a double-quoted PromQL string."""
    return "|".join(sorted({re.escape(name).replace("\\", "\\\\").replace('"', '\\"') for name in names}))
