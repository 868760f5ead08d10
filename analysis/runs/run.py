"""A run, step by step: what is due when, what a measurement changes, and when metrics and the run have their end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from analysis.runs.limits import assess, ended_early
from analysis.runs.model import SEVERITY, Measurement, MetricState, Phase, Plan, Run

ERROR_RETRY = timedelta(seconds=10)
"""The wait after an error of a metric without an interval."""
ENDED_EARLY = "the run ended before this measurement did"


def begin(plans: Sequence[Plan], now: datetime) -> Run:
    """Return a run that starts now."""
    return Run(started_at=now, metrics=tuple(MetricState(name=plan.name, dry_run=plan.dry_run) for plan in plans))


def due_at(run: Run, plan: Plan, state: MetricState) -> datetime | None:
    """Return when a metric is to be measured, or looked at again, next; None when never."""
    if run.phase.ended or state.phase.ended:
        return None
    last = state.last
    if last is None:
        return run.started_at + plan.initial_delay
    if last.finished_at is None:
        return last.resume_at or last.started_at
    return last.finished_at + (plan.interval or ERROR_RETRY)


def due(run: Run, plans: Sequence[Plan], now: datetime) -> tuple[Plan, ...]:
    """Return the metrics to be measured now."""
    pairs = zip(plans, run.metrics, strict=True)
    return tuple(plan for plan, state in pairs if (at := due_at(run, plan, state)) is not None and at <= now)


def next_due(run: Run, plans: Sequence[Plan]) -> datetime | None:
    """Return when something is to be measured next."""
    times = (due_at(run, plan, state) for plan, state in zip(plans, run.metrics, strict=True))
    return min((at for at in times if at is not None), default=None)


def step(run: Run, plans: Sequence[Plan], taken: Sequence[tuple[str, Measurement]], now: datetime) -> Run:
    """Return the run after some measurements, each with its metric's name.

    A measurement of a metric that has ended is dropped; a run that has ended stays as it is.
    """
    if run.phase.ended:
        return run
    states = []
    for plan, state in zip(plans, run.metrics, strict=True):
        for name, measurement in taken:
            if name == plan.name and not state.phase.ended:
                state = assess(_added(state, plan, measurement), plan)
        states.append(state)
    return _settled(replace(run, metrics=tuple(states)), plans, now)


def end(run: Run, plans: Sequence[Plan], now: datetime, why: str) -> Run:
    """End a run now: what was measured so far decides."""
    if run.phase.ended:
        return run
    metrics = tuple(_cut(state, plan, why, now) for plan, state in zip(plans, run.metrics, strict=True))
    return _concluded(replace(run, metrics=metrics), now, why)


def _added(state: MetricState, plan: Plan, measurement: Measurement) -> MetricState:
    """Add a measurement; it takes the place of the unfinished one that it is the end of."""
    if any(one.started_at == measurement.started_at and one.finished_at is not None for one in state.measurements):
        return state  # it stands there already: its write was not answered
    before = state.measurements[:-1] if state.unfinished is not None else state.measurements
    state = replace(state, measurements=(*before, measurement)[-plan.retention :])
    if measurement.finished_at is None:
        return state
    phase = measurement.phase
    return replace(
        state,
        count=state.count + (phase is not Phase.ERROR),
        successful=state.successful + (phase is Phase.SUCCESSFUL),
        failed=state.failed + (phase is Phase.FAILED),
        inconclusive=state.inconclusive + (phase is Phase.INCONCLUSIVE),
        error=state.error + (phase is Phase.ERROR),
        consecutive_error=state.consecutive_error + 1 if phase is Phase.ERROR else 0,
        consecutive_success=state.consecutive_success + 1 if phase is Phase.SUCCESSFUL else 0,
    )


def _settled(run: Run, plans: Sequence[Plan], now: datetime) -> Run:
    """End the run once its metrics allow no other end, or all are done."""
    deciding = [state for state in run.metrics if not state.dry_run]
    against = [state for state in deciding if state.phase.ended and state.phase is not Phase.SUCCESSFUL]
    if against:
        worst = max(against, key=lambda state: SEVERITY.index(state.phase))
        cut = f"metric {worst.name!r} ended the run"
        metrics = tuple(_cut(state, plan, cut, now) for plan, state in zip(plans, run.metrics, strict=True))
        return _concluded(replace(run, metrics=metrics), now, "")
    waits = any(
        not state.phase.ended and (not state.dry_run or plan.count is not None or not deciding)
        for plan, state in zip(plans, run.metrics, strict=True)
    )
    if waits:
        return run
    metrics = tuple(_cut(state, plan, "the run is over", now) for plan, state in zip(plans, run.metrics, strict=True))
    return _concluded(replace(run, metrics=metrics), now, "")


def _cut(state: MetricState, plan: Plan, why: str, now: datetime) -> MetricState:
    """End a metric that is still measured."""
    if state.phase.ended:
        return state
    under_way = state.unfinished
    if under_way is not None:
        closed = replace(under_way, phase=Phase.INCONCLUSIVE, message=ENDED_EARLY, finished_at=now, resume_at=None)
        state = replace(state, measurements=(*state.measurements[:-1], closed))
    return ended_early(state, plan, why)


def _concluded(run: Run, now: datetime, why: str) -> Run:
    deciding = [state for state in run.metrics if not state.dry_run]
    if not deciding:
        return replace(run, phase=Phase.SUCCESSFUL, message="all metrics are dry runs; none decides", completed_at=now)
    worst = max(deciding, key=lambda state: SEVERITY.index(state.phase))
    message = f"metric {worst.name!r}: {worst.message}" if worst.phase is not Phase.SUCCESSFUL else why
    return replace(run, phase=worst.phase, message=message, completed_at=now)
