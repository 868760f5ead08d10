"""Prometheus' protobuf form of what was counted, which alone carries native histograms."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator import protos
from orchestrator.protocols.wire import varint
from orchestrator.telemetry.counting import NOTHING, SCHEMA
from orchestrator.telemetry.families import Distribution, Shown

CONTENT_TYPE = b"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def asked_for(accept: bytes) -> bool:
    """Whether a scraper's `Accept` names this form."""
    said = accept.lower().replace(b" ", b"")
    wanted = (b"application/vnd.google.protobuf", b"proto=io.prometheus.client.metricfamily", b"encoding=delimited")
    return any(all(word in one.split(b";") for word in wanted) for one in said.split(b","))


def messages(families: Iterable[Shown]) -> bytes:
    """One message for each metric, each behind its length."""
    found, kind = [], protos.message("io.prometheus.client.MetricFamily")
    for shown in families:
        family = kind(name=shown.name, help=shown.text, type=shown.kind.upper())
        for labels, value in shown.series.items():
            metric = family.metric.add(label=[{"name": name, "value": said} for name, said in labels])
            if not isinstance(value, Distribution):
                getattr(metric, shown.kind).value = value
                continue
            part = getattr(metric, shown.kind)
            part.sample_count, part.sample_sum = value.count, value.sum
            if shown.kind == "histogram":
                _fill(part, value)
        body = family.SerializeToString()
        found += [varint(len(body)), body]
    return b"".join(found)


def _fill(part: Any, value: Distribution) -> None:
    total = 0
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        total += count
        part.bucket.add(cumulative_count=total, upper_bound=bound)
    if value.fine is None:
        return
    part.schema, part.zero_threshold, part.zero_count = SCHEMA, NOTHING, value.nothing
    offsets, deltas = spans(value.fine)
    for offset, length in offsets:
        part.positive_span.add(offset=offset, length=length)
    part.positive_delta.extend(deltas)


def spans(fine: Mapping[int, int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Native buckets as they are written: runs of neighbours, each by its distance from the one before (the first by
    its index) and its length; and each count by what it differs from the one before.
    """
    runs: list[tuple[int, int]] = []
    deltas: list[int] = []
    behind, before = 0, 0
    for index in sorted(fine):
        if runs and index == behind:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index - behind, 1))
        deltas.append(fine[index] - before)
        behind, before = index + 1, fine[index]
    return runs, deltas
