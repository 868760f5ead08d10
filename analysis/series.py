"""The series of an answer: which comparison, source and counter each of them is.

Labels stay bytes. While the same series are answered, in the same order, where each value belongs is known already.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite
from operator import is_not
from typing import Any

import numpy as np
import orjson

from analysis.columns import Row, laid_out
from analysis.layout import Layout
from analysis.providers.provider import Instant
from analysis.samples import ArmReading, PodReading, Reading, Signal
from analysis.signals.families import FAMILIES
from analysis.spec import Arm, Comparison, Key


class Directory:
    """Where each series belongs, by its labels as they are written: only new ones are parsed.

    A group is what one source counts of one kind: a number, and by it the values of an instant.
    """

    def __init__(self, namespace: str, pod: str) -> None:
        self._namespace, self._pod = namespace, pod
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
        source = labels.get(self._pod, "") + "/" + labels.get("instance", "")
        if "deployment_name" not in labels:
            arm = (labels.get("destination_service_namespace", ""), labels.get("destination_service_name", ""))
            outcome = ("response_code", "response_flags", "grpc_response_status")
            return self._group("gateway", arm, source), tuple([labels.get(name, "") for name in outcome])
        arm = (labels.get(self._namespace, ""), labels["deployment_name"])
        if family := labels.get("__name__"):
            return self._group("signal", arm, source), _signal(family, labels)
        if "le" in labels:
            return self._group("buckets", arm, source), float(labels["le"])
        return self._group("codes", arm, source), labels.get("code", "")

    def _group(self, kind: str, arm: tuple[str, str], source: str) -> int:
        number = self._groups.setdefault((kind, *arm, source), len(self._groups))
        self.sources.setdefault((kind, *arm), {})[source] = number
        return number


class Table:
    """The answers of one instant, by group."""

    def __init__(self, directory: Directory) -> None:
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


class Part:
    """The comparisons of some queries, and where each of their values stands in the answers."""

    def __init__(self, comparisons: Sequence[Comparison], queries: Sequence[str]) -> None:
        self.queries = queries
        self._comparisons = comparisons
        self._directory: Directory | None = None
        self._written: list[Sequence[bytes]] = []
        self._rows: list[tuple[Key, Layout, int]] = []
        self._places = np.zeros(0, dtype=np.intp)
        self._others: list[Comparison] = []

    def readings(
        self, directory: Directory, answers: Sequence[Instant], at: int, layouts: Mapping[Key, Layout]
    ) -> Iterator[tuple[Key, Reading | Row]]:
        """Each comparison's reading; `layouts` are those of its last one, which are kept where they are equal."""
        written = [answer.written for answer in answers]
        values = np.array([*chain(*[answer.values for answer in answers])], dtype=np.float64)
        if not np.isfinite(values).all():
            yield from _by_name(directory, self._comparisons, answers, at)
            return
        if directory is not self._directory or any(map(is_not, written, self._written)):
            self._arrange(directory, written, layouts)
        sorted_values, start = values[self._places], 0
        for key, layout, width in self._rows:
            yield key, Row(at, layout, sorted_values[start : start + width])
            start += width
        if self._others:
            yield from _by_name(directory, self._others, answers, at)

    def _arrange(self, directory: Directory, written: list[Sequence[bytes]], layouts: Mapping[Key, Layout]) -> None:
        self._directory, self._written, self._rows, self._others = directory, written, [], []
        found: list[int] = []
        table = Table(directory)
        table.add(chain(*written), range(sum(map(len, written))))
        for one in self._comparisons:
            places = table.reading(one, 0)
            row = laid_out(places)
            if row is None:
                self._others.append(one)
                continue
            known = layouts.get(one.key)
            layout = known if known == row.layout and known is not None else row.layout
            self._rows.append((one.key, layout, len(row.values)))
            found += map(int, row.values)
        self._places = np.array(found, dtype=np.intp)


def _by_name(
    directory: Directory, comparisons: Iterable[Comparison], answers: Iterable[Instant], at: int
) -> Iterator[tuple[Key, Reading]]:
    table = Table(directory)
    for written, values in answers:
        table.add(written, values)
    for one in comparisons:
        yield one.key, table.reading(one, at)


def _signal(family: str, labels: Mapping[str, str]) -> Signal:
    what, by = FAMILIES[family]
    kind = labels.get(by, "") if by else ""
    return what, f"{kind}/{labels.get('result', '')}" if what == "compare" else kind
