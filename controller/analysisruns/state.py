"""State: between an AnalysisRun's status and the pure run."""

from collections.abc import Sequence
from datetime import datetime

from analysis.runs.model import Measurement, MetricState, Phase, Plan, Run
from controller.api.analysis import AnalysisRunStatus, MetricResult, RunSummary
from controller.api.analysis import Measurement as ApiMeasurement
from controller.api.meta import Condition


def read(status: AnalysisRunStatus, plans: Sequence[Plan], now: datetime) -> Run:
    """Return the run as its status left it; one that has none starts now. Metrics are found by their names."""
    known = {result.name: result for result in status.metric_results}
    return Run(
        started_at=status.started_at or now,
        metrics=tuple(_metric(known.get(plan.name), plan) for plan in plans),
        phase=Phase(status.phase) if status.started_at is not None else Phase.RUNNING,
        message=status.message,
        completed_at=status.completed_at,
    )


def _metric(result: MetricResult | None, plan: Plan) -> MetricState:
    if result is None:
        return MetricState(name=plan.name, dry_run=plan.dry_run)
    return MetricState(
        name=plan.name,
        phase=Phase(result.phase),
        message=result.message,
        measurements=tuple(_measurement(one) for one in result.measurements),
        count=result.count,
        successful=result.successful,
        failed=result.failed,
        inconclusive=result.inconclusive,
        error=result.error,
        consecutive_error=result.consecutive_error,
        consecutive_success=result.consecutive_success,
        dry_run=plan.dry_run,
    )


def _measurement(one: ApiMeasurement) -> Measurement:
    started = one.started_at or one.finished_at
    if started is None:
        raise ValueError("a measurement in the status has no startedAt")
    return Measurement(
        phase=Phase(one.phase),
        value=one.value,
        message=one.message,
        started_at=started,
        finished_at=one.finished_at,
        resume_at=one.resume_at,
        metadata=one.metadata,
    )


def written(run: Run, generation: int, old: AnalysisRunStatus) -> AnalysisRunStatus:
    """Return the status that tells of a run."""
    return AnalysisRunStatus(
        observed_generation=generation,
        phase=run.phase.value,
        message=run.message,
        started_at=run.started_at,
        completed_at=run.completed_at,
        metric_results=tuple(_result(state) for state in run.metrics),
        run_summary=_summary([state for state in run.metrics if not state.dry_run]),
        dry_run_summary=_summary(dry) if (dry := [state for state in run.metrics if state.dry_run]) else None,
        conditions=(completed(run.phase, run.message, generation, run.completed_at, old),),
    )


def completed(phase: Phase, message: str, generation: int, at: datetime | None, old: AnalysisRunStatus) -> Condition:
    """Return the condition Completed."""
    before = next((one for one in old.conditions if one.type == "Completed"), None)
    truth: str = "True" if phase.ended else "False"
    since = before.last_transition_time if before is not None and before.status == truth else at or old.started_at
    return Condition(
        type="Completed",
        status="True" if phase.ended else "False",
        reason=phase.value,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )


def _result(state: MetricState) -> MetricResult:
    return MetricResult(
        name=state.name,
        phase=state.phase.value,
        message=state.message,
        measurements=tuple(
            ApiMeasurement(
                phase=one.phase.value,
                value=one.value,
                message=one.message,
                started_at=one.started_at,
                finished_at=one.finished_at,
                resume_at=one.resume_at,
                metadata=dict(one.metadata),
            )
            for one in state.measurements
        ),
        count=state.count,
        successful=state.successful,
        failed=state.failed,
        inconclusive=state.inconclusive,
        error=state.error,
        consecutive_error=state.consecutive_error,
        consecutive_success=state.consecutive_success,
        dry_run=state.dry_run,
    )


def _summary(states: Sequence[MetricState]) -> RunSummary:
    phases = [state.phase for state in states]
    return RunSummary(
        count=len(phases),
        successful=phases.count(Phase.SUCCESSFUL),
        failed=phases.count(Phase.FAILED),
        inconclusive=phases.count(Phase.INCONCLUSIVE),
        error=phases.count(Phase.ERROR),
    )
