"""Findings that roll nothing back: those that ask a person, those that are only said, and what the split was."""

from collections.abc import Mapping
from datetime import datetime

from controller.api.rollout import AnalysisStatus, MetricStatus, RolloutStatus, WeightChange
from controller.rollout.stages import changed, record
from controller.rollout.traffic import Split

CHANGES_LIMIT = 40
ROUTE, RULE = "spec.routing", "destinationRule"
"""In place of a metric's name, in what was told: no metric is called so."""


def question(status: RolloutStatus) -> str:
    """Return why a person is asked now: the bad findings of metrics that pause, each asked about once."""
    return "; ".join(metric.message or metric.name for metric in _untold(status, "pause"))


def asked(status: RolloutStatus, reason: str) -> RolloutStatus:
    """Note that a person was asked, where the reason is such a finding: whoever goes on is not asked again."""
    metrics = _untold(status, "pause")
    return _told(status, metrics) if metrics and reason == question(status) else status


def warned(status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Say what metrics that only warn have found, each once."""
    if status.canary_revision is None:
        return status
    metrics = _untold(status, "warn")
    for metric in metrics:
        status = record(status, now, "MetricWarning", metric.message or metric.name)
    return _told(status, metrics) if metrics else status


def hidden(status: RolloutStatus, said: Mapping[str, str], now: datetime) -> RolloutStatus:
    """Say once for each comparison what hides faults: the route, a DestinationRule."""
    if status.canary_revision is None or status.stable_revision is None:
        return status
    for what, text in said.items():
        if text and what not in status.analysis.told:
            told = (*status.analysis.told, what)
            status = record(status, now, "RouteHidesFaults", text)
            status = changed(status, analysis=status.analysis.model_copy(update={"told": told}))
    return status


def warning(status: RolloutStatus) -> str:
    """Return what metrics that only warn say against the revision; nothing while all is well."""
    metrics = status.analysis.metrics
    return "; ".join(m.message or m.name for m in metrics if m.action == "warn" and m.verdict == "Bad")


def shifted(analysis: AnalysisStatus, split: Split | None, now: datetime) -> AnalysisStatus:
    """Note what the canary's share of live requests is from now on, for the check of the split."""
    percent = share(split)
    before = analysis.weights[-1].percent if analysis.weights else None
    if analysis.weights and before == percent:
        return analysis
    change = WeightChange(at=now, percent=percent)
    return analysis.model_copy(update={"weights": (*analysis.weights, change)[-CHANGES_LIMIT:]})


def share(split: Split | None) -> float | None:
    """Return the percent of live requests that reach the canary, where the gateway's counts can be held against it."""
    if split is None or split.mirror or split.control or split.routes or not 0 < split.weight < 100:
        return None
    return float(split.weight)


def _untold(status: RolloutStatus, action: str) -> list[MetricStatus]:
    analysis = status.analysis
    return [
        metric
        for metric in analysis.metrics
        if metric.action == action and metric.verdict == "Bad" and metric.name not in analysis.told
    ]


def _told(status: RolloutStatus, metrics: list[MetricStatus]) -> RolloutStatus:
    told = (*status.analysis.told, *(metric.name for metric in metrics))
    return changed(status, analysis=status.analysis.model_copy(update={"told": told}))
