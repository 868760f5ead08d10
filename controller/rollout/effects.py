"""Effects: what each event does to a rollout's status. Pure; `now` is the instant of the decision."""

from datetime import datetime, timedelta
from typing import Any

from controller.api import names
from controller.api.rollout import (
    AnalysisStatus,
    HistoryEntry,
    Intent,
    Reason,
    Rejected,
    RevisionStatus,
    RolloutStatus,
    Weights,
)
from controller.rollout.observed import Observed
from controller.rollout.phases import TRANSITIONS, Event, Phase

HISTORY_LIMIT, REJECTED_LIMIT = 50, 10


def apply_event(  # noqa: C901 - one arm for each event: a table in the form of a match
    event: Event, obs: Observed, status: RolloutStatus, *, now: datetime, reason: str = "", intent: Intent | None = None
) -> RolloutStatus:
    """Return the status after an event that has an effect in the status's phase.

    Raises:
        ValueError: the event has none there; the caller asks the table first.
    """
    phase = TRANSITIONS[Phase(status.phase)][event]
    if not isinstance(phase, Phase):
        raise ValueError(f"{event} has no effect while {status.phase}")
    by = (intent.by or "a person") if intent else ""
    match event:
        case Event.SPEC_INVALID:
            return _to(status, phase)
        case Event.SPEC_VALID:
            return _to(status, _phase_again(status))
        case Event.NEW_REVISION:
            return _begin(obs, status, phase, now, "RevisionCreated")
        case Event.RETRY:
            return _begin(obs, status, phase, now, "Retried", by=by)
        case Event.FIRST_SERVING:
            return _crown(status, phase, now, "the first revision serves all traffic")
        case Event.CANARY_SERVES_ALL:
            return _crown(status, phase, now, "")
        case Event.STEP_DONE | Event.SKIP:
            return _next_step(obs, status, phase, now, by=by)
        case Event.PROMOTE:
            return _promote(obs, status, phase, now, by)
        case Event.STEPS_DONE | Event.PROMOTE_FULL:
            return _switch(status, phase, now, by)
        case Event.PERSON_NEEDED:
            text = reason or "a person is needed"
            paused = _set(status, phase=phase.value, paused_at=now, paused_by="", pause_reason=text)
            return record(paused, now, "Paused", text)
        case Event.PAUSE:
            said = _said(intent)
            paused = _set(status, phase=phase.value, paused_at=now, paused_by=by, pause_reason=f"paused by {by}{said}")
            return record(paused, now, "Paused", f"paused by {by}{said}")
        case Event.RESUME:
            return _resume(obs, status, phase, now, by)
        case Event.VERDICT_BAD:
            return _reject(status, phase, now, by="judge", reason=_worst(status, now))
        case Event.DEADLINE:
            deadline = Reason(metric="progressDeadline", message=f"no progress within the deadline: {reason}")
            return _reject(status, phase, now, by="deadline", reason=deadline)
        case Event.ABORT:
            return _reject(
                status, phase, now, by=by, reason=Reason(metric="abort", message=f"aborted by {by}{_said(intent)}")
            )
        case Event.STABLE_AGAIN | Event.REJECTED_AGAIN:
            return _leave(obs, status, phase, now, event)
        case Event.STABLE_SERVES_ALL:
            return _stand_down(status, phase, now)


def record(status: RolloutStatus, now: datetime, kind: str, message: str, revision: int | None = None) -> RolloutStatus:
    """Add an entry to the history; the oldest are dropped."""
    current = status.canary_revision or status.stable_revision
    number = revision if revision is not None else (current.number if current else 0)
    entry = HistoryEntry(at=now, type=kind, message=message, revision=number)
    return _set(status, history=(*status.history, entry)[-HISTORY_LIMIT:])


def _set(status: RolloutStatus, **changes: Any) -> RolloutStatus:
    return status.model_copy(update=changes)


def _to(status: RolloutStatus, phase: Phase) -> RolloutStatus:
    return _set(status, phase=phase.value)


def _said(intent: Intent | None) -> str:
    return f": {intent.reason}" if intent and intent.reason else ""


def _phase_again(status: RolloutStatus) -> Phase:
    """The phase that an invalid spec interrupted."""
    if status.stable_revision is None:
        return Phase.PENDING
    if status.canary_revision is None:
        return Phase.HEALTHY
    if status.paused_at is not None:
        return Phase.PAUSED
    return Phase.PROMOTING if status.weights.canary == 100 else Phase.PROGRESSING


def retire(status: RolloutStatus, revision: RevisionStatus | None, now: datetime) -> RolloutStatus:
    """Put a revision among those whose pods go once they have had no traffic for the scale-down delay."""
    if revision is None:
        return status
    others = tuple(retired for retired in status.retired_revisions if retired.hash != revision.hash)
    gone = revision.model_copy(update={"role": "retired", "retired_at": now})
    return _set(status, retired_revisions=(*others, gone))


def _begin(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, kind: str, by: str = "") -> RolloutStatus:
    """Start a revision at the first step."""
    target = obs.target
    if target is None:
        raise ValueError("a revision cannot begin without a valid template")
    if status.canary_revision is not None and status.canary_revision.hash != target.hash:
        status = retire(status, status.canary_revision, now)
    fresh = RevisionStatus(
        hash=target.hash, number=target.number, name=names.revision_name(obs.name, target.hash), role="canary"
    )
    status = _set(
        _running(status),
        phase=phase.value,
        canary_revision=fresh,
        retired_revisions=tuple(r for r in status.retired_revisions if r.hash != target.hash),
        rejected=tuple(r for r in status.rejected if r.hash != target.hash),
        weights=Weights(changed_at=status.weights.changed_at),
        analysis=AnalysisStatus(),
    )
    message = f"revision {target.number} is retried by {by}" if by else f"revision {target.number} begins"
    status = record(status, now, kind, message, target.number)
    return status if status.stable_revision is None else _enter(obs, status, 0, now)


def _running(status: RolloutStatus) -> RolloutStatus:
    return _set(status, paused_at=None, paused_by="", pause_reason="", forced_by="", canary_ready_at=None)


def _enter(obs: Observed, status: RolloutStatus, index: int, now: datetime) -> RolloutStatus:
    """Go to a step. A weight ends a mirror; a mirror leaves the weight."""
    steps = obs.spec.strategy.canary.steps if obs.spec else ()
    weights = status.weights
    if index < len(steps):
        step = steps[index]
        if step.set_weight is not None:
            weight = step.set_weight
            weights = weights.model_copy(update={"stable": 100 - weight, "canary": weight, "mirror": 0})
        elif step.set_mirror is not None:
            weights = weights.model_copy(update={"mirror": step.set_mirror.percentage})
    if (weights.mirror > 0) != (status.weights.mirror > 0):
        # Copies are counted by the orchestrators alone, live requests by the gateway too: a comparison of its own.
        status = _set(status, analysis=AnalysisStatus())
    return _set(
        status,
        current_step_index=min(index, len(steps)),
        step_count=len(steps),
        step_started_at=now,
        step_progress_at=now,
        weights=weights,
    )


def _next_step(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str = "") -> RolloutStatus:
    index = status.current_step_index
    steps = obs.spec.strategy.canary.steps if obs.spec else ()
    kind = steps[index].kind if index < len(steps) else "the end"
    verb = f"skipped by {by}" if by else "done"
    status = record(
        _set(_running(status), phase=phase.value), now, "StepCompleted", f"step {index + 1} ({kind}) {verb}"
    )
    return _enter(obs, status, index + 1, now)


def _promote(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    """Go on: past the present step, and at the end without the judge's consent."""
    if status.current_step_index >= status.step_count:
        return _set(_running(status), phase=phase.value, forced_by=by)
    return _next_step(obs, status, phase, now, by=by)


def _switch(status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    weights = status.weights.model_copy(update={"stable": 0, "canary": 100, "mirror": 0})
    forced = by or status.forced_by
    status = _set(
        _running(status),
        phase=phase.value,
        forced_by=forced,
        weights=weights,
        step_started_at=now,
        step_progress_at=now,
    )
    why = f"by {forced}" if forced else status.analysis.message
    return record(status, now, "Promoting", f"all traffic goes to the new revision: {why}")


def _resume(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    """Leave a pause. Where a step itself waited for a person it is done; else its clock goes on where it stopped."""
    paused_at = status.paused_at or now
    person_step = not status.paused_by and _indefinite(obs, status)
    status = record(_set(_running(status), phase=phase.value), now, "Resumed", f"resumed by {by}")
    if person_step:
        return _enter(obs, status, status.current_step_index + 1, now)
    started = status.step_started_at or now
    again = started + (now - paused_at) if status.last_intent else now
    return _set(status, step_started_at=min(max(again, started), now), step_progress_at=now)


def _indefinite(obs: Observed, status: RolloutStatus) -> bool:
    steps = obs.spec.strategy.canary.steps if obs.spec else ()
    if status.current_step_index >= len(steps):
        return False
    pause = steps[status.current_step_index].pause
    return pause is not None and pause.duration is None


def _crown(status: RolloutStatus, phase: Phase, now: datetime, message: str) -> RolloutStatus:
    """Make the canary stable, and retire what was stable."""
    canary, previous = status.canary_revision, status.stable_revision
    if canary is None:
        raise ValueError("there is no canary to make stable")
    said = message or f"revision {canary.number} serves all traffic: {_because(status)}"
    status = retire(record(status, now, "Promoted", said, canary.number), previous, now)
    weights = status.weights.model_copy(update={"stable": 100, "canary": 0, "mirror": 0, "verified": True})
    stable = canary.model_copy(update={"role": "stable"})
    return _set(_running(status), phase=phase.value, stable_revision=stable, canary_revision=None, weights=weights)


def _because(status: RolloutStatus) -> str:
    return f"promoted by {status.forced_by}" if status.forced_by else status.analysis.message or "no fault was found"


def _reject(status: RolloutStatus, phase: Phase, now: datetime, *, by: str, reason: Reason) -> RolloutStatus:
    canary = status.canary_revision
    if canary is None:
        return _to(status, Phase.HEALTHY)
    entry = Rejected(hash=canary.hash, number=canary.number, at=now, by=by, message=reason.message, reason=reason)
    rejected = (*(r for r in status.rejected if r.hash != canary.hash), entry)[-REJECTED_LIMIT:]
    status = _set(_running(status), phase=phase.value, rejected=rejected, weights=_none(status.weights))
    return record(status, now, "RolledBack", f"revision {canary.number}: {reason.message}", canary.number)


def _none(weights: Weights) -> Weights:
    return weights.model_copy(update={"stable": 100, "canary": 0, "mirror": 0})


def _leave(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, event: Event) -> RolloutStatus:
    """The template went elsewhere: no fault of the canary's."""
    canary = status.canary_revision
    if canary is None or phase is not Phase.ROLLING_BACK:
        return _to(status, phase)
    status = _set(_running(status), phase=phase.value, weights=_none(status.weights))
    if event is Event.STABLE_AGAIN:
        why = "the template is stable's again"
    else:
        why = f"revision {obs.target.number if obs.target else 0} was rejected before"
    return record(status, now, "Superseded", f"revision {canary.number} is left: {why}", canary.number)


def _stand_down(status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    status = retire(status, status.canary_revision, now)
    return _set(status, phase=phase.value, canary_revision=None)


def _worst(status: RolloutStatus, now: datetime) -> Reason:
    """Return the figures of the metric that speaks most against the canary."""
    bad = [metric for metric in status.analysis.metrics if metric.verdict == "Bad"]
    metrics = bad or list(status.analysis.metrics)
    if not metrics:
        return Reason(metric="analysis", message=status.analysis.message)
    worst = max(metrics, key=lambda metric: metric.evidence)
    started = status.analysis.started_at or now
    return Reason(
        metric=worst.name,
        canary=worst.canary,
        stable=worst.stable,
        evidence=worst.evidence,
        needed=worst.needed,
        samples=worst.canary_requests,
        window=timedelta(seconds=max(round((now - started).total_seconds()), 0)),
        message=worst.message or status.analysis.message,
    )
