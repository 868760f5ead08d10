"""decide: a run as it stands and an instant in; its status, what to measure, and when to look again out."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.runs.model import Measurement, Phase, Plan
from analysis.runs.run import due, due_at, end, step
from controller.analysisruns import state
from controller.api.analysis import AnalysisRunSpec, AnalysisRunStatus, TtlStrategy

Taken = tuple[str, Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One AnalysisRun, and what was measured since its status was written."""

    generation: int
    spec: AnalysisRunSpec | None
    invalid: str = ""
    """Why it cannot be measured."""
    plans: tuple[Plan, ...] = ()
    status: AnalysisRunStatus = field(default_factory=AnalysisRunStatus)
    taken: tuple[Taken, ...] = ()
    measuring: frozenset[str] = frozenset()
    """Metrics that are measured at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with a run."""

    status: AnalysisRunStatus
    measure: tuple[str, ...] = ()
    """Metrics to be measured now."""
    stop: bool = False
    """What is under way for it can end: Jobs are deleted."""
    delete: bool = False
    """Its time to live is over."""
    requeue_after: timedelta | None = None


def decide(obs: Observed, *, now: datetime) -> Decision:
    """Say what to do for a run. Total; a run that has ended changes no more."""
    if Phase(obs.status.phase).ended:
        return _kept(obs, now)
    if obs.invalid or obs.spec is None:
        return Decision(status=_invalid(obs, now), stop=True, requeue_after=timedelta())
    run = step(state.read(obs.status, obs.plans, now), obs.plans, obs.taken, now)
    if obs.spec.terminate:
        run = end(run, obs.plans, now, "the run was ended")
    status = state.written(run, obs.generation, obs.status)
    if run.phase.ended:
        return Decision(status=status, stop=True, requeue_after=timedelta())
    ready = tuple(plan.name for plan in due(run, obs.plans, now) if plan.name not in obs.measuring)
    busy = obs.measuring | set(ready)
    times = [due_at(run, plan, one) for plan, one in zip(obs.plans, run.metrics, strict=True) if plan.name not in busy]
    again = min((at for at in times if at is not None), default=None)
    return Decision(
        status=status, measure=ready, requeue_after=None if again is None else max(again - now, timedelta())
    )


def _invalid(obs: Observed, now: datetime) -> AnalysisRunStatus:
    started = obs.status.started_at or now
    ended = obs.status.model_copy(
        update={
            "observed_generation": obs.generation,
            "phase": "Error",
            "message": obs.invalid or "the spec is not valid",
            "started_at": started,
            "completed_at": now,
        }
    )
    condition = state.completed(Phase.ERROR, ended.message, obs.generation, now, obs.status)
    return ended.model_copy(update={"conditions": (condition,)})


def _kept(obs: Observed, now: datetime) -> Decision:
    """A run that has ended stays as it is, until its time to live is over.

    It is stopped in every pass: a Job that was being made while the run ended is seen only afterwards, and a crash may
    have come between the status and the deletions.
    """
    lives = lifetime(obs.spec.ttl_strategy if obs.spec is not None else None, Phase(obs.status.phase))
    if lives is None or obs.status.completed_at is None:
        return Decision(status=obs.status, stop=True)
    left = obs.status.completed_at + lives - now
    if left <= timedelta():
        return Decision(status=obs.status, delete=True)
    return Decision(status=obs.status, stop=True, requeue_after=left)


def lifetime(strategy: TtlStrategy | None, phase: Phase) -> timedelta | None:
    """Return how long a run that ended in a phase is kept; None for ever. The more special entry wins."""
    if strategy is None:
        return None
    special = {
        Phase.SUCCESSFUL: strategy.seconds_after_success,
        Phase.FAILED: strategy.seconds_after_failure,
    }.get(phase)
    seconds = special if special is not None else strategy.seconds_after_completion
    return None if seconds is None else timedelta(seconds=seconds)
