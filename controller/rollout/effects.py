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
    ShadowReport,
    Weights,
)
from controller.api.strategy import HeaderRoute, Step
from controller.rollout.course import EMPTY, Course, Report, Stage, Switch, course, kind
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
            return _set(status, phase=phase.value, interrupted=status.phase)
        case Event.SPEC_VALID:
            return _set(status, phase=status.interrupted or _phase_again(status), interrupted=None)
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
            return _reject(obs, status, phase, now, by="judge", reason=_worst(status, now))
        case Event.DEADLINE:
            deadline = Reason(metric="progressDeadline", message=f"no progress within the deadline: {reason}")
            return _reject(obs, status, phase, now, by="deadline", reason=deadline)
        case Event.ABORT:
            return _reject(
                obs, status, phase, now, by=by, reason=Reason(metric="abort", message=f"aborted by {by}{_said(intent)}")
            )
        case Event.STABLE_AGAIN | Event.REJECTED_AGAIN:
            return _leave(obs, status, phase, now, event)
        case Event.STABLE_SERVES_ALL:
            return _stand_down(status, phase, now)
        case Event.SHADOW_DONE:
            return _stand_down(_unrouted(status), phase, now)
        case Event.STRATEGY_CHANGED:
            return _change_strategy(obs, status, phase, now)


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
    """The phase that an invalid spec interrupted, from what else is known. It never promotes."""
    if status.stable_revision is None:
        return Phase.PENDING
    if status.canary_revision is None:
        return Phase.HEALTHY
    return Phase.PAUSED if status.paused_at is not None else Phase.PROGRESSING


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
    name = names.revision_name(obs.name, target.hash)
    path = names.prediction_prefix(obs.namespace, name)
    fresh = RevisionStatus(hash=target.hash, number=target.number, name=name, role="canary", path=path)
    skips = _skips(obs, status, target.hash)
    status = _set(
        _running(status),
        phase=phase.value,
        canary_revision=fresh,
        retired_revisions=tuple(r for r in status.retired_revisions if r.hash != target.hash),
        rejected=tuple(r for r in status.rejected if r.hash != target.hash),
        weights=_none(status.weights),
        header_routes=(),
        scale=None,
        analysis=AnalysisStatus(),
        skip_reason=skips,
        strategy=obs.spec.strategy.kind if obs.spec else None,
    )
    message = f"revision {target.number} is retried by {by}" if by else f"revision {target.number} begins"
    status = record(status, now, kind, message, target.number)
    if status.stable_revision is None:
        return status
    return _enter(obs, status, len(_course(obs).stages) if skips else 0, now)


def _skips(obs: Observed, status: RolloutStatus, digest: str) -> str:
    """Say why a revision needs neither stages nor judge: it was stable a moment ago, and still stands."""
    child = obs.children.get(digest)
    left = any(retired.hash == digest for retired in status.retired_revisions)
    failed = any(rejected.hash == digest for rejected in status.rejected)
    served = any(entry.type == "Promoted" and entry.revision == child_number(obs, digest) for entry in status.history)
    if _course(obs).fast_return and left and served and not failed and child is not None and child.available:
        return "it was stable before, and still stands"
    return ""


def child_number(obs: Observed, digest: str) -> int:
    """Return the number of a revision; 0 when it is not known."""
    return obs.revisions[digest].number if digest in obs.revisions else 0


def _course(obs: Observed) -> Course:
    return course(obs.spec.strategy) if obs.spec else EMPTY


def _change_strategy(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    """Start the running revision again, by the first stage of the other strategy."""
    chosen = obs.spec.strategy.kind if obs.spec else None
    text = f"the strategy is {chosen} now, no longer {status.strategy}: it starts again"
    status = record(_unrouted(_running(status)), now, "StrategyChanged", text)
    status = _set(status, phase=phase.value, strategy=chosen, scale=None, analysis=AnalysisStatus())
    return _enter(obs, status, 0, now)


def _running(status: RolloutStatus) -> RolloutStatus:
    status = _set(status, paused_at=None, paused_by="", pause_reason="")
    return _set(status, forced_by="", skip_reason="", canary_ready_at=None)


def _enter(obs: Observed, status: RolloutStatus, index: int, now: datetime) -> RolloutStatus:
    """Go to a stage. A weight ends a mirror; a mirror leaves the weight."""
    stages = _course(obs).stages
    copying = status.weights.mirror > 0
    if index < len(stages):
        status = _arrive(stages[index], status, now)
    if (status.weights.mirror > 0) != copying:
        # Copies are counted by the orchestrators alone, live requests by the gateway too: a comparison of its own.
        status = _set(status, analysis=AnalysisStatus())
    return _set(
        status,
        current_step_index=min(index, len(stages)),
        step_count=len(stages),
        step_started_at=now,
        step_progress_at=now,
    )


def _arrive(stage: Stage, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Do what a stage does at its beginning; what it waits for is the outlook's."""
    weights = status.weights
    match stage:
        case Switch(control=control):
            weights = weights.model_copy(update={"stable": 0, "canary": 100, "mirror": 0, "control": control})
            fresh = AnalysisStatus() if control else status.analysis
            return _set(status, weights=weights, header_routes=(), scale=None, analysis=fresh)
        case Report():
            weights = weights.model_copy(update={"mirror": 0})
            return _report(_set(status, weights=weights, shadow=_shadow(status, now)), now)
        case Step(set_weight=int(weight)):
            return _set(status, weights=_none(weights).model_copy(update={"stable": 100 - weight, "canary": weight}))
        case Step(set_mirror=mirror) if mirror is not None:
            return _set(status, weights=weights.model_copy(update={"mirror": mirror.percentage}))
        case Step(set_header_route=route) if route is not None:
            return _set(status, header_routes=_routed(status.header_routes, route))
        case Step(set_scale=scale) if scale is not None:
            return _set(status, scale=None if scale.auto else scale)
        case _:
            return status


def _routed(routes: tuple[HeaderRoute, ...], route: HeaderRoute) -> tuple[HeaderRoute, ...]:
    """Set, change in its place, or remove a route."""
    if not route.match:
        return tuple(known for known in routes if known.name != route.name)
    if any(known.name == route.name for known in routes):
        return tuple(route if known.name == route.name else known for known in routes)
    return (*routes, route)


def _shadow(status: RolloutStatus, now: datetime) -> ShadowReport | None:
    canary = status.canary_revision
    if canary is None:
        return status.shadow
    return ShadowReport(
        hash=canary.hash,
        number=canary.number,
        percentage=status.weights.mirror,
        started_at=status.analysis.started_at,
        ended_at=now,
        verdict=status.analysis.verdict,
        message=status.analysis.message or "no request was copied",
        metrics=status.analysis.metrics,
    )


def _report(status: RolloutStatus, now: datetime) -> RolloutStatus:
    found = status.shadow
    return record(status, now, "ShadowEnded", f"{found.verdict}: {found.message}") if found else status


def _next_step(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str = "") -> RolloutStatus:
    index = status.current_step_index
    stages = _course(obs).stages
    name = kind(stages[index]) if index < len(stages) else "the end"
    verb = f"skipped by {by}" if by else "done"
    status = record(
        _set(_running(status), phase=phase.value), now, "StepCompleted", f"step {index + 1} ({name}) {verb}"
    )
    return _enter(obs, status, index + 1, now)


def _promote(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    """Go on: past the present step, and at the end without the judge's consent."""
    if status.current_step_index >= status.step_count:
        return _set(_running(status), phase=phase.value, forced_by=by)
    return _next_step(obs, status, phase, now, by=by)


def _switch(status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    weights = _none(status.weights).model_copy(update={"stable": 0, "canary": 100})
    forced, skips = by or status.forced_by, status.skip_reason
    status = _set(
        _running(status),
        phase=phase.value,
        forced_by=forced,
        skip_reason=skips,
        weights=weights,
        header_routes=(),
        scale=None,
        step_started_at=now,
        step_progress_at=now,
    )
    return record(status, now, "Promoting", f"all traffic goes to the new revision: {_because(status)}")


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
    stages = _course(obs).stages
    if status.current_step_index >= len(stages):
        return False
    stage = stages[status.current_step_index]
    return isinstance(stage, Step) and stage.pause is not None and stage.pause.duration is None


def _crown(status: RolloutStatus, phase: Phase, now: datetime, message: str) -> RolloutStatus:
    """Make the canary stable, and retire what was stable."""
    canary, previous = status.canary_revision, status.stable_revision
    if canary is None:
        raise ValueError("there is no canary to make stable")
    said = message or f"revision {canary.number} serves all traffic: {_because(status)}"
    status = retire(record(status, now, "Promoted", said, canary.number), previous, now)
    weights = _none(status.weights).model_copy(update={"verified": True})
    stable = canary.model_copy(update={"role": "stable", "path": ""})
    return _set(
        _unrouted(_running(status)), phase=phase.value, stable_revision=stable, canary_revision=None, weights=weights
    )


def _because(status: RolloutStatus) -> str:
    if status.forced_by:
        return f"promoted by {status.forced_by}"
    return status.skip_reason or status.analysis.message or "no fault was found"


def _reject(
    obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, *, by: str, reason: Reason
) -> RolloutStatus:
    canary = status.canary_revision
    if canary is None:
        return _to(status, Phase.HEALTHY)
    entry = Rejected(hash=canary.hash, number=canary.number, at=now, by=by, message=reason.message, reason=reason)
    rejected = (*(r for r in status.rejected if r.hash != canary.hash), entry)[-REJECTED_LIMIT:]
    status = _set(_shadow_failed(obs, status, now), rejected=rejected)
    status = _set(_unrouted(_running(status)), phase=phase.value)
    return record(status, now, "RolledBack", f"revision {canary.number}: {reason.message}", canary.number)


def _shadow_failed(obs: Observed, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """A shadow that is rolled back has its report, too."""
    stages = _course(obs).stages
    ahead = any(isinstance(stage, Report) for stage in stages[status.current_step_index :])
    return _set(status, shadow=_shadow(status, now)) if ahead else status


def _none(weights: Weights) -> Weights:
    return weights.model_copy(update={"stable": 100, "canary": 0, "mirror": 0, "control": 0})


def _unrouted(status: RolloutStatus) -> RolloutStatus:
    """No request for the canary, of whatever kind."""
    return _set(status, weights=_none(status.weights), header_routes=())


def _leave(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, event: Event) -> RolloutStatus:
    """The template went elsewhere: no fault of the canary's."""
    canary = status.canary_revision
    if canary is None or phase is not Phase.ROLLING_BACK:
        return _to(status, phase)
    status = _set(_unrouted(_running(status)), phase=phase.value)
    if event is Event.STABLE_AGAIN:
        why = "the template is stable's again"
    else:
        why = f"revision {obs.target.number if obs.target else 0} was rejected before"
    return record(status, now, "Superseded", f"revision {canary.number} is left: {why}", canary.number)


def _stand_down(status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    status = retire(status, status.canary_revision, now)
    return _set(status, phase=phase.value, canary_revision=None, scale=None)


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
