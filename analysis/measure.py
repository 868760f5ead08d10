"""Reads what all comparisons need in a few grouped queries, each at explicit instants."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from analysis.columns import Row
from analysis.layout import Layout
from analysis.preflight import SERVED, Found
from analysis.providers.provider import Instant, Provider, Series
from analysis.samples import Reading
from analysis.series import Directory, Part, Table
from analysis.signals.families import NEEDED
from analysis.spec import Arm, Comparison, Key

_GATEWAY = "istio_requests_total"
_NO_PREDICTION = ".*(?i:feedback|metadata|status|ready|live|comparison).*"
_COPIES = "job,container,endpoint,service,prometheus,prometheus_replica,replica"
"""What tells two scrapes of the same target apart."""
_LONGEST = 64
"""Characters of a name, and what parts it from the next."""
_SPARE = 1000
"""Series that may be known and not answered, beyond half of all."""
_TIMED = "2..|499|(?i:ok|canceled|cancelled)"
"""Codes of requests that were answered well, and of those that their clients gave up: these took at least as long."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The names that this Prometheus gives to what its scrape configuration adds."""

    namespace: str = "namespace"
    pod: str = "pod"


class Measurer:
    """Turns what a provider answers into readings, for all comparisons at once.

    `chunk` is the most names in one query (Prometheus looks up to 256 of them up, and matches more one by one: 125 to
    500 cost it the same, 2,000 a sixth more), `letters` the most characters of them: some take queries in the URL
    alone, and VictoriaMetrics none beyond 16 KiB.
    """

    def __init__(
        self, provider: Provider, *, labels: Labels | None = None, chunk: int = 500, letters: int = 7000
    ) -> None:
        self._provider = provider
        self._labels = labels or Labels()
        self._chunk, self._letters = chunk, letters
        self._directory = self._fresh()
        self._asked: list[Comparison] = []
        """What was read last."""
        self._parts: list[Part] = []
        self._layouts: dict[Key, Layout] = {}
        """Of each comparison, the one of its last row: it is the same while it is equal."""

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading | Row]:
        """The raw counters of all comparisons at one instant. Raises ProviderError when any part is missing."""
        if comparisons != self._asked:
            self._asked = list(comparisons)
            self._parts = [Part(part, self._queries(part)) for part in self._chunks(comparisons)]
        parts = self._parts
        queries = [query for part in parts for query in part.queries]
        answers = await asyncio.gather(*[self._provider.instant(query, at) for query in queries])
        return await asyncio.to_thread(self._sort, parts, answers, int(at.timestamp()))

    async def counted(self, comparisons: Sequence[Comparison], at: datetime) -> tuple[float | None, dict[Key, Reading]]:
        """What gateways count of all comparisons, and when the oldest of it was scraped, in seconds since 1970.

        Raises ProviderError when any part is missing. When it was scraped is asked first: a scrape between the two
        questions makes the counters newer than is said, and never older. It may be called while `read` is under way.
        """
        parts = [_at_gateways(part) for part in self._chunks(comparisons)]
        oldest = [await self._provider.instant(f"min(timestamp({_GATEWAY}{{{part}}}))", at) for part in parts]
        answers = [await self._provider.instant(self._gateway(part), at) for part in parts]
        scraped = min((value for answer in oldest for value in answer.values), default=None)
        table, moment = Table(self._fresh()), int(at.timestamp())  # `read` has its own, in another thread
        for written, values in answers:
            table.add(written, values)
        return scraped, {one.key: table.reading(one, moment) for one in comparisons}

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        """The raw counters at start, start + step, ..., end: the same as `read` would have given at each of them."""
        start, end = start.replace(microsecond=0), end.replace(microsecond=0)  # answers are told apart by whole seconds
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

    def _sort(self, parts: Sequence[Part], answers: Sequence[Instant], at: int) -> dict[Key, Reading | Row]:
        found: dict[Key, Reading | Row] = {}
        start = 0
        for part in parts:
            end = start + len(part.queries)
            found.update(part.readings(self._directory, answers[start:end], at, self._layouts))
            start = end
        self._layouts = {key: row.layout for key, row in found.items() if isinstance(row, Row)}
        if len(self._directory) > 2 * sum([len(answer.values) for answer in answers]) + _SPARE:
            self._directory = self._fresh()  # pods come and go: do not keep for ever what is gone
        return found

    def _sort_all(
        self, answers: Iterable[Iterable[Series]], comparisons: Sequence[Comparison], moments: Sequence[int]
    ) -> dict[Key, tuple[Reading, ...]]:
        directory = self._fresh()
        tables = {moment: Table(directory) for moment in moments}
        for answer in answers:
            for written, samples in answer:
                for moment, value in samples:
                    if moment in tables:
                        tables[moment].add((written,), (value,))
        return {one.key: tuple([tables[moment].reading(one, moment) for moment in moments]) for one in comparisons}

    def _fresh(self) -> Directory:
        return Directory(self._labels.namespace, self._labels.pod)

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
        """Requests by code, by latency those that were answered well or given up, and outcomes at the gateway."""
        arms = [arm for one in comparisons for arm in (one.stable, one.canary)]
        names = self._labels
        deployments = _any(arm.deployment for arm in arms)
        spaces = _any(arm.namespace for arm in arms)
        where = f'deployment_name=~"{deployments}",{names.namespace}=~"{spaces}",service!~"{_NO_PREDICTION}"'
        source = f"{names.namespace},{names.pod},instance,deployment_name"
        # The inner max takes one of several scrapes of the same target (two jobs, two Prometheus replicas).
        each = f"{source},predictor_name,predictor_version,service,method,code"
        codes = f"sum by ({source},code) (max by ({each}) ({SERVED}_count{{{where}}}))"
        timed = f'{where},code=~"{_TIMED}"'
        buckets = f"sum by ({source},le) (max by ({each},le) ({SERVED}_bucket{{{timed}}}))"
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


def _at_gateways(comparisons: Iterable[Comparison]) -> str:
    """What tells the gateways' series of some comparisons from all others."""
    arms = [arm for one in comparisons for arm in (one.stable, one.canary)]
    services = _any(service for arm in arms for service in arm.services)
    spaces = _any(arm.namespace for arm in arms)
    return f'reporter="source",destination_service_name=~"{services}",destination_service_namespace=~"{spaces}"'


def _signal_names(comparison: Comparison) -> tuple[str, ...]:
    return tuple([name for metric in comparison.plan.metrics for name in NEEDED.get(type(metric), ())])


def _any(names: Iterable[str]) -> str:
    """A regular expression for any of the names, ready to stand in a double-quoted PromQL string."""
    return "|".join(sorted({_literal(name).replace("\\", "\\\\").replace('"', '\\"') for name in names}))


def _literal(name: str) -> str:
    """A regular expression for a name alone. A hyphen means nothing there, and is what names are full of."""
    return re.escape(name).replace("\\-", "-")
