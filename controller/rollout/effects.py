"""Effects: what each event does to a rollout's status. Pure; `now` is the instant of the decision."""

from datetime import datetime, timedelta

from controller.api import names
from controller.api.arms import RevisionStatus
from controller.api.group import GroupStatus
from controller.api.rollout import AnalysisStatus, Approved, Intent, Passed, Reason, Rejected, RolloutStatus
from controller.api.strategy import Step
from controller.rollout import adoption, findings, gate, group, pins, runs
from controller.rollout.course import Report, kind
from controller.rollout.observed import Observed
from controller.rollout.phases import TRANSITIONS, Event, Phase
from controller.rollout.stages import changed, course_of, enter, no_traffic, record, shadow_report, unrouted

REJECTED_LIMIT = 10


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
            return changed(status, phase=phase.value, interrupted=status.phase)
        case Event.SPEC_VALID:
            return changed(status, phase=status.interrupted or _phase_again(status), interrupted=None)
        case Event.NEW_REVISION:
            return _begin(obs, status, phase, now, "RevisionCreated")
        case Event.RETRY:
            return _retry(obs, status, phase, now, by)
        case Event.ROLLBACK:
            pinned = pins.pin(obs, status, intent, now=now)
            return _begin(obs, pinned, phase, now, "RollbackBegun", text=f"is gone back to by {by}{_said(intent)}")
        case Event.RESTART:
            return _restart(_to(status, phase), now, f"{by}{_said(intent)}")
        case Event.PASS:
            return _pass(_to(status, phase), now, by, intent)
        case Event.FAIL:
            return _reject(obs, status, phase, now, by=by, reason=_failed(status, now, f"{by}{_said(intent)}"))
        case Event.FIRST_SERVING:
            return _crown(status, phase, now, adoption.first_serving(obs))
        case Event.CANARY_SERVES_ALL:
            return _crown(status, phase, now, "")
        case Event.STEP_DONE | Event.SKIP:
            return _next_step(obs, status, phase, now, by=by)
        case Event.PROMOTE:
            return _promote(obs, status, phase, now, by)
        case Event.STEPS_DONE | Event.PROMOTE_FULL:
            return _switch(status, phase, now, by)
        case Event.PERSON_NEEDED:
            return _pause(_asked(obs, status, reason), phase, now, "", reason or "a person is needed")
        case Event.TIME_EXTENDED:
            return record(changed(status, step_extended=True), now, "Extended", reason)
        case Event.PAUSE:
            return _pause(status, phase, now, by, f"paused by {by}{_said(intent)}")
        case Event.RESUME:
            return _resume(obs, status, phase, now, by)
        case Event.VERDICT_BAD:
            return _reject_judged(obs, status, phase, now)
        case Event.GROUP_ROLLED_BACK:
            return _reject(obs, status, phase, now, by="group", reason=group.why_rolled_back(obs, status))
        case Event.DEADLINE:
            return _reject(obs, status, phase, now, by="deadline", reason=_no_progress(reason))
        case Event.ABORT:
            return _reject(obs, status, phase, now, by=by, reason=_aborted(f"{by}{_said(intent)}"))
        case Event.STABLE_AGAIN | Event.REJECTED_AGAIN:
            return _leave(obs, status, phase, now, event)
        case Event.STABLE_SERVES_ALL:
            return _stand_down(status, phase, now)
        case Event.SHADOW_DONE:
            return _stand_down(unrouted(status), phase, now)
        case Event.PAUSE_OVER:
            return _next_step(obs, status, phase, now, by="time", why=reason)
        case Event.PAUSE_EXPIRED:
            return _reject(obs, status, phase, now, by="time", reason=Reason(metric="pause", message=reason))
        case Event.APPROVE:
            return _approve(obs, status, now, intent)
        case Event.STRATEGY_CHANGED:
            return _change_strategy(obs, status, phase, now)


def _aborted(by: str) -> Reason:
    return Reason(metric="abort", message=f"aborted by {by}")


def _asked(obs: Observed, status: RolloutStatus, reason: str) -> RolloutStatus:
    return runs.asked(obs, findings.asked(status, reason), reason)


def _reject_judged(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    """Roll back by what the judge says, or else by the AnalysisRun that failed."""
    found = runs.failed(obs, status) if status.analysis.verdict != "Bad" else None
    by, reason = ("judge", _worst(status, now)) if found is None else ("analysis", found)
    return _reject(obs, status, phase, now, by=by, reason=reason)


def _no_progress(reason: str) -> Reason:
    return Reason(metric="progressDeadline", message=f"no progress within the deadline: {reason}")


def _pause(status: RolloutStatus, phase: Phase, now: datetime, by: str, text: str) -> RolloutStatus:
    paused = changed(status, phase=phase.value, paused_at=now, paused_by=by, pause_reason=text)
    return record(paused, now, "Paused", text)


def _to(status: RolloutStatus, phase: Phase) -> RolloutStatus:
    return changed(status, phase=phase.value)


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
    return changed(status, retired_revisions=(*others, gone))


def _retry(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    """Try the template's revision again, also where another was pinned in its place."""
    status, stable = changed(status, pinned=None), status.stable_revision
    if stable is not None and obs.target is not None and obs.target.hash == stable.hash:
        return record(status, now, "Retried", f"the template's revision {stable.number} is stable already")
    return _begin(obs, status, phase, now, "Retried", text=f"is retried by {by}")


def _restart(status: RolloutStatus, now: datetime, by: str) -> RolloutStatus:
    """Replace the pods of stable, and of the canary while there is one."""
    stable, canary = (
        each.model_copy(update={"restarted_at": now}) if each is not None else None
        for each in (status.stable_revision, status.canary_revision)
    )
    numbers = " and ".join(str(each.number) for each in (stable, canary) if each is not None)
    status = changed(status, stable_revision=stable, canary_revision=canary, step_progress_at=now)
    return record(status, now, "Restarted", f"the pods of revision {numbers} are replaced, as asked by {by}")


def _pass(status: RolloutStatus, now: datetime, by: str, intent: Intent | None) -> RolloutStatus:
    """The analysis of this stage counts as good; what the judge says later is heard as before."""
    status = changed(_running(status), passed=Passed(by=by, reason=intent.reason if intent else "", at=now))
    return record(status, now, "Passed", f"the analysis was passed by {by}{_said(intent)}")


def _begin(
    obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, kind: str, *, text: str = "begins"
) -> RolloutStatus:
    """Start a revision at the first step."""
    target = pins.goal(obs, status)
    if target is None:
        raise ValueError("a revision cannot begin without a valid template")
    if status.canary_revision is not None and status.canary_revision.hash != target.hash:
        status = retire(status, status.canary_revision, now)
    name = names.revision_name(obs.name, target.hash)
    path = names.prediction_prefix(obs.namespace, name)
    fresh = RevisionStatus(hash=target.hash, number=target.number, name=name, role="canary", path=path)
    skips = _skips(obs, status, target.hash)
    status = changed(
        _running(status),
        phase=phase.value,
        canary_revision=fresh,
        retired_revisions=tuple(r for r in status.retired_revisions if r.hash != target.hash),
        rejected=tuple(r for r in status.rejected if r.hash != target.hash),
        weights=no_traffic(status.weights),
        header_routes=(),
        scale=None,
        analysis=AnalysisStatus(),
        attempt=_next_attempt(obs, status),
        group=group.fresh(status),
        approvals=(),
        skip_reason=skips,
        strategy=obs.spec.strategy.kind if obs.spec else None,
    )
    status = record(status, now, kind, f"revision {target.number} {text}", target.number)
    if status.stable_revision is None:
        return status
    return enter(obs, status, len(course_of(obs).stages) if skips else 0, now)


def _next_attempt(obs: Observed, status: RolloutStatus) -> int:
    """Count on; where the status was lost, from the AnalysisRuns that are there."""
    return 1 + (status.attempt or max((run.attempt for run in obs.runs.values()), default=0))


def _skips(obs: Observed, status: RolloutStatus, digest: str) -> str:
    """Say why a revision needs neither stages nor judge: it was stable not long ago, and was not rejected since."""
    number = obs.revisions[digest].number if digest in obs.revisions else 0
    failed = any(rejected.hash == digest for rejected in status.rejected)
    served = any(entry.type == "Promoted" and entry.revision == number for entry in status.history)
    asked = status.pinned is not None and status.pinned.hash == digest
    if failed or not served or obs.spec is None or (course_of(obs).stands_down and not asked):
        return ""
    child = obs.children.get(digest)
    left = any(retired.hash == digest for retired in status.retired_revisions)
    if course_of(obs).fast_return and left and child is not None and child.available:
        return "it was stable before, and still stands"
    window = obs.spec.rollback_window
    if window is not None and pins.within_window(obs, status, number):
        return f"it was stable before, within the rollback window of {window.revisions}"
    return ""


def _change_strategy(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    """Start the running revision again, by the first stage of the other strategy."""
    chosen = obs.spec.strategy.kind if obs.spec else None
    text = f"the strategy is {chosen} now, no longer {status.strategy}: it starts again"
    status = record(unrouted(_running(status)), now, "StrategyChanged", text)
    status = changed(status, phase=phase.value, strategy=chosen, scale=None, analysis=AnalysisStatus())
    status = changed(status, attempt=_next_attempt(obs, status), group=group.fresh(status))
    return enter(obs, status, 0, now)


def _running(status: RolloutStatus) -> RolloutStatus:
    status = changed(status, paused_at=None, paused_by="", pause_reason="")
    return changed(status, forced_by="", skip_reason="", canary_ready_at=None)


def _approve(obs: Observed, status: RolloutStatus, now: datetime, intent: Intent | None) -> RolloutStatus:
    name = gate.to_approve(obs, status, intent.gate if intent else "")
    by = (intent.by if intent else "") or "a person"
    opened = Approved(name=name, by=by, at=now)
    status = changed(status, approvals=(*(a for a in status.approvals if a.name != name), opened))
    return record(status, now, "Approved", f"{name} approved by {by}{_said(intent)}")


def _next_step(
    obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str = "", why: str = ""
) -> RolloutStatus:
    index = status.current_step_index
    stages = course_of(obs).stages
    name = kind(stages[index]) if index < len(stages) else "the end"
    verb = f"skipped by {by}" if by else "done"
    verb += f": {why}" if why else ""
    status = record(
        changed(_running(status), phase=phase.value), now, "StepCompleted", f"step {index + 1} ({name}) {verb}"
    )
    return enter(obs, group.left(obs, status, by), index + 1, now)


def _promote(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    """Go on: past the present step, and at the end without the judge's consent."""
    if status.current_step_index >= status.step_count:
        return changed(_running(status), phase=phase.value, forced_by=by)
    return _next_step(obs, status, phase, now, by=by)


def _switch(status: RolloutStatus, phase: Phase, now: datetime, by: str) -> RolloutStatus:
    weights = no_traffic(status.weights).model_copy(update={"stable": 0, "canary": 100})
    forced, skips = by or status.forced_by, status.skip_reason
    status = changed(
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
    status = record(changed(_running(status), phase=phase.value), now, "Resumed", f"resumed by {by}")
    if person_step:
        return enter(obs, status, status.current_step_index + 1, now)
    started = status.step_started_at or now
    again = started + (now - paused_at) if status.last_intent else now
    return changed(status, step_started_at=min(max(again, started), now), step_progress_at=now)


def _indefinite(obs: Observed, status: RolloutStatus) -> bool:
    stages = course_of(obs).stages
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
    weights = no_traffic(status.weights).model_copy(update={"verified": True})
    stable = canary.model_copy(update={"role": "stable", "path": ""})
    if status.group is not None:
        status = changed(status, group=GroupStatus(promoted_at=now))
    return changed(
        unrouted(_running(status)), phase=phase.value, stable_revision=stable, canary_revision=None, weights=weights
    )


def _because(status: RolloutStatus) -> str:
    if status.forced_by:
        return f"promoted by {status.forced_by}"
    if status.group is not None and status.group.alone_by:
        return f"promoted without its group by {status.group.alone_by}"
    if status.passed is not None:
        return f"its analysis was passed by {status.passed.by}"
    return status.skip_reason or status.analysis.message or "no fault was found"


def _reject(
    obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, *, by: str, reason: Reason
) -> RolloutStatus:
    canary = status.canary_revision
    if canary is None:
        return _to(status, Phase.HEALTHY)
    wave = obs.spec.group.wave if obs.spec is not None and obs.spec.group is not None else None
    said = {"by": by, "message": reason.message, "reason": reason, "wave": wave}
    entry = Rejected(hash=canary.hash, number=canary.number, at=now, **said)
    rejected = (*(r for r in status.rejected if r.hash != canary.hash), entry)[-REJECTED_LIMIT:]
    status = changed(_shadow_failed(obs, status, now), rejected=rejected)
    if status.stable_revision is not None and obs.target is not None and obs.target.hash == status.stable_revision.hash:
        # What was gone back to is rejected, and the template is what serves: nothing is left to be held.
        status = changed(status, pinned=None)
    status = changed(unrouted(_running(status)), phase=phase.value, step_progress_at=now)
    return record(status, now, "RolledBack", f"revision {canary.number}: {reason.message}", canary.number)


def _shadow_failed(obs: Observed, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """A shadow that is rolled back has its report, too."""
    stages = course_of(obs).stages
    ahead = any(isinstance(stage, Report) for stage in stages[status.current_step_index :])
    return changed(status, shadow=shadow_report(status, now)) if ahead else status


def _leave(obs: Observed, status: RolloutStatus, phase: Phase, now: datetime, event: Event) -> RolloutStatus:
    """The template went elsewhere: no fault of the canary's."""
    canary = status.canary_revision
    if canary is None or phase is not Phase.ROLLING_BACK:
        return _to(status, phase)
    status = changed(unrouted(_running(status)), phase=phase.value, step_progress_at=now)
    if event is Event.STABLE_AGAIN:
        why = "the template is stable's again"
    else:
        target = pins.goal(obs, status)
        why = f"revision {target.number if target else 0} was rejected before"
    return record(status, now, "Superseded", f"revision {canary.number} is left: {why}", canary.number)


def _stand_down(status: RolloutStatus, phase: Phase, now: datetime) -> RolloutStatus:
    status = retire(status, status.canary_revision, now)
    return changed(status, phase=phase.value, canary_revision=None, scale=None)


def _failed(status: RolloutStatus, now: datetime, by: str) -> Reason:
    """Return the figures as they stood when a person failed the analysis."""
    return _worst(status, now).model_copy(update={"message": f"the analysis was failed by {by}"})


def _worst(status: RolloutStatus, now: datetime) -> Reason:
    """Return the figures of the metric that speaks most against the canary."""
    abort = [metric for metric in status.analysis.metrics if metric.action == "abort"]
    metrics = [metric for metric in abort if metric.verdict == "Bad"] or abort
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
