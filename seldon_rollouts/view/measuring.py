"""AnalysisRuns of a rollout, as they can be shown: where each stands, and what each of its metrics measured."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.api.analysis import AnalysisRunStatus, MetricResult
from controller.api.meta import REVISION_LABEL, RUN_LABEL
from seldon_rollouts.view.base import View


class Measured(View):
    """One metric of a run."""

    name: str
    phase: str
    value: str
    """What was measured last."""
    successful: int
    failed: int
    inconclusive: int
    error: int
    dry_run: bool
    """It never decides."""
    message: str
    """Why it stands as it does; else what the last measurement said."""


class RunDetail(View):
    """One AnalysisRun."""

    name: str
    revision: str
    """The hash of the revision that it is about."""
    role: str
    """`background`, or `step-<n>` for the step that waits for it, counted from 1."""
    phase: str
    message: str
    began: str
    ended: str
    """Empty while it goes on."""
    metrics: tuple[Measured, ...]


def analysis_runs(objects: Iterable[Mapping[str, Any]]) -> tuple[RunDetail, ...]:
    """Return AnalysisRuns, newest first; one whose status cannot be read says so."""
    newest = sorted(objects, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), reverse=True)
    return tuple(_detail(each) for each in newest)


def _detail(run: Mapping[str, Any]) -> RunDetail:
    meta = run["metadata"]
    labels = meta.get("labels") or {}
    try:
        status = AnalysisRunStatus.model_validate(run.get("status") or {})
    except ValueError:
        status = AnalysisRunStatus(message="the status cannot be read: another version of the controller wrote it")
    return RunDetail(
        name=str(meta["name"]),
        revision=str(labels.get(REVISION_LABEL, "")),
        role=str(labels.get(RUN_LABEL, "")),
        phase=status.phase,
        message=status.message,
        began=status.started_at.isoformat() if status.started_at else str(meta.get("creationTimestamp", "")),
        ended=status.completed_at.isoformat() if status.completed_at else "",
        metrics=tuple(_measured(each) for each in status.metric_results),
    )


def _measured(result: MetricResult) -> Measured:
    last = result.measurements[-1] if result.measurements else None
    return Measured(
        name=result.name,
        phase=result.phase,
        value=last.value if last is not None else "",
        successful=result.successful,
        failed=result.failed,
        inconclusive=result.inconclusive,
        error=result.error,
        dry_run=result.dry_run,
        message=result.message or (last.message if last is not None else ""),
    )
