"""Effects: what each event does to a rollout's status, as a table. Pure; `now` is the instant of the decision."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from controller.api.group import GroupStatus
from controller.api.people import Approved, Passed
from controller.api.rollout import Intent, Missing, RolloutStatus
from controller.api.strategy import Step
from controller.rollout import acceptance, adoption, beginnings, findings, gate, group, rejection, runs
from controller.rollout.course import kind
from controller.rollout.happening import Happening
from controller.rollout.observed import Observed
from controller.rollout.phases import TRANSITIONS, Event, Phase
from controller.rollout.stages import changed, course_of, enter, no_traffic, record, retire, running, unrouted

Effect = Callable[[Happening, RolloutStatus], RolloutStatus]


def apply_event(
    event: Event,
    obs: Observed,
    status: RolloutStatus,
    *,
    now: datetime,
    reason: str = "",
    lacks: Missing | None = None,
    intent: Intent | None = None,
) -> RolloutStatus:
    """Return the status after an event that has an effect in the status's phase.

    Raises:
        ValueError: the event has none there; the caller asks the table first.
    """
    phase = TRANSITIONS[Phase(status.phase)][event]
    if not isinstance(phase, Phase):
        raise ValueError(f"{event} has no effect while {status.phase}")
    at = Happening(event=event, obs=obs, phase=phase, now=now, reason=reason, lacks=lacks, intent=intent)
    return EFFECTS[event](at, status)


def _to(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return changed(status, phase=at.phase.value)


def _invalid(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return changed(status, phase=at.phase.value, interrupted=status.phase)


def _valid(_: Happening, status: RolloutStatus) -> RolloutStatus:
    return changed(status, phase=status.interrupted or _phase_again(status), interrupted=None)


def _phase_again(status: RolloutStatus) -> Phase:
    """The phase that an invalid spec interrupted, from what else is known. It never promotes."""
    if status.stable_revision is None:
        return Phase.PENDING
    if status.canary_revision is None:
        return Phase.HEALTHY
    return Phase.PAUSED if status.paused_at is not None else Phase.PROGRESSING


def _pause(at: Happening, status: RolloutStatus, text: str) -> RolloutStatus:
    why = {"paused_at": at.now, "paused_by": at.by, "pause_reason": text, "paused_for": at.lacks}
    return record(changed(status, phase=at.phase.value, **why), at.now, "Paused", text)


def _paused(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _pause(at, status, f"paused by {at.said}")


def _asked(at: Happening, status: RolloutStatus) -> RolloutStatus:
    asked = runs.asked(at.obs, findings.asked(status, at.reason), at.reason)
    return _pause(at, asked, at.reason or "a person is needed")


def _extended(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return record(changed(status, step_extended=True), at.now, "Extended", at.reason)


def _restart(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Replace the pods of stable, and of the canary while there is one."""
    status = _to(at, status)
    stable, canary = (
        each.model_copy(update={"restarted_at": at.now}) if each is not None else None
        for each in (status.stable_revision, status.canary_revision)
    )
    numbers = " and ".join(str(each.number) for each in (stable, canary) if each is not None)
    status = changed(status, stable_revision=stable, canary_revision=canary, step_progress_at=at.now)
    return record(status, at.now, "Restarted", f"the pods of revision {numbers} are replaced, as asked by {at.said}")


def _pass(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """The analysis of this stage counts as good; what the judge says later is heard as before."""
    passed = Passed(by=at.by, reason=at.intent.reason if at.intent else "", at=at.now)
    status = changed(running(_to(at, status)), passed=passed)
    return record(status, at.now, "Passed", f"the analysis was passed by {at.said}")


def _approve(at: Happening, status: RolloutStatus) -> RolloutStatus:
    name = gate.to_approve(at.obs, status, at.intent.gate if at.intent else "")
    opened = Approved(name=name, by=at.by or "a person", at=at.now)
    status = changed(status, approvals=(*(a for a in status.approvals if a.name != name), opened))
    return record(status, at.now, "Approved", f"{name} approved by {at.said or 'a person'}")


def _next_step(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _step_left(at, status, by=at.by, why=at.intent.reason if at.intent else "")


def _pause_over(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _step_left(at, status, by="time", why=at.reason)


def _step_left(at: Happening, status: RolloutStatus, *, by: str, why: str = "") -> RolloutStatus:
    index = status.current_step_index
    stages = course_of(at.obs).stages
    name = kind(stages[index]) if index < len(stages) else "the end"
    verb = f"skipped by {by}" if by else "done"
    verb += f": {why}" if why else ""
    status = running(acceptance.without_hold(status, at.now))
    status = record(_to(at, status), at.now, "StepCompleted", f"step {index + 1} ({name}) {verb}")
    return enter(at.obs, group.left(at.obs, status, by), index + 1, at.now)


def _promote(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Go on: past the present step, and at the end without the judge's consent."""
    if status.current_step_index >= status.step_count:
        return changed(running(status), phase=at.phase.value, forced_by=at.said)
    return _next_step(at, status)


def _switch(at: Happening, status: RolloutStatus) -> RolloutStatus:
    weights = no_traffic(status.weights).model_copy(update={"stable": 0, "canary": 100})
    forced, skips = at.said or status.forced_by, status.skip_reason
    status = changed(
        running(status),
        phase=at.phase.value,
        forced_by=forced,
        skip_reason=skips,
        weights=weights,
        header_routes=(),
        scale=None,
        step_started_at=at.now,
        step_ahead=None,
        step_progress_at=at.now,
    )
    return record(status, at.now, "Promoting", f"all traffic goes to the new revision: {_because(status)}")


def _resume(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Leave a pause. Where a step itself waited for a person it is done; else its clock goes on where it stopped.

    A step that had all its time for a verdict has it again.
    """
    now, paused_at, overdue = at.now, status.paused_at or at.now, status.paused_for == "verdict"
    person_step = not status.paused_by and _indefinite(at.obs, status)
    status = running(acceptance.without_hold(status, now))
    status = record(_to(at, status), now, "Resumed", f"resumed by {at.said}")
    if person_step:
        return enter(at.obs, status, status.current_step_index + 1, now)
    started = status.step_started_at or now
    if overdue:  # what the canary has stood counts
        stood = (status.step_ahead or timedelta()) + max(paused_at - started, timedelta())
        return changed(status, step_started_at=now, step_ahead=stood, step_extended=False, step_progress_at=now)
    again = started + (now - paused_at) if status.last_intent else now
    return changed(status, step_started_at=min(max(again, started), now), step_progress_at=now)


def _indefinite(obs: Observed, status: RolloutStatus) -> bool:
    stages = course_of(obs).stages
    if status.current_step_index >= len(stages):
        return False
    stage = stages[status.current_step_index]
    return isinstance(stage, Step) and stage.pause is not None and stage.pause.duration is None


def _first_serving(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _crown(at, status, adoption.first_serving(at.obs))


def _serves_all(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _crown(at, status, "")


def _crown(at: Happening, status: RolloutStatus, message: str) -> RolloutStatus:
    """Make the canary stable, and retire what was stable."""
    canary, previous = status.canary_revision, status.stable_revision
    if canary is None:
        raise ValueError("there is no canary to make stable")
    said = message or f"revision {canary.number} serves all traffic: {_because(status)}"
    status = retire(record(status, at.now, "Promoted", said, canary.number), previous, at.now)
    weights = no_traffic(status.weights).model_copy(update={"verified": True})
    stable = canary.model_copy(update={"role": "stable", "path": ""})
    if status.group is not None:
        status = changed(status, group=GroupStatus(promoted_at=at.now))
    status = _to(at, unrouted(running(status)))
    return changed(status, stable_revision=stable, canary_revision=None, weights=weights)


def _because(status: RolloutStatus) -> str:
    if status.forced_by:
        return f"promoted by {status.forced_by}"
    if status.group is not None and status.group.alone_by:
        return f"promoted without its group by {status.group.alone_by}"
    if status.passed is not None:
        return f"its analysis was passed by {status.passed.by}"
    return status.skip_reason or status.analysis.message or "no fault was found"


def _shadow_done(at: Happening, status: RolloutStatus) -> RolloutStatus:
    return _stand_down(at, unrouted(status))


def _stand_down(at: Happening, status: RolloutStatus) -> RolloutStatus:
    status = retire(status, status.canary_revision, at.now)
    return changed(status, phase=at.phase.value, canary_revision=None, scale=None)


EFFECTS: Mapping[Event, Effect] = {
    Event.SPEC_INVALID: _invalid,
    Event.SPEC_VALID: _valid,
    Event.NEW_REVISION: beginnings.new_revision,
    Event.STABLE_AGAIN: rejection.left,
    Event.REJECTED_AGAIN: rejection.left,
    Event.FIRST_SERVING: _first_serving,
    Event.STEP_DONE: _next_step,
    Event.STEPS_DONE: _switch,
    Event.SHADOW_DONE: _shadow_done,
    Event.PAUSE_OVER: _pause_over,
    Event.PAUSE_EXPIRED: rejection.because("time", "pause", lambda at: at.reason),
    Event.STRATEGY_CHANGED: beginnings.change_strategy,
    Event.PERSON_NEEDED: _asked,
    Event.TIME_EXTENDED: _extended,
    Event.VERDICT_BAD: rejection.bad,
    Event.DEADLINE: rejection.because(
        "deadline", "progressDeadline", lambda at: f"no progress within the deadline: {at.reason}"
    ),
    Event.GROUP_ROLLED_BACK: rejection.group_rolled_back,
    Event.CANARY_SERVES_ALL: _serves_all,
    Event.STABLE_SERVES_ALL: _stand_down,
    Event.PROMOTE: _promote,
    Event.PROMOTE_FULL: _switch,
    Event.SKIP: _next_step,
    Event.PAUSE: _paused,
    Event.RESUME: _resume,
    Event.ABORT: rejection.because("", "abort", lambda at: f"aborted by {at.said}"),
    Event.RETRY: beginnings.retry,
    Event.APPROVE: _approve,
    Event.ROLLBACK: beginnings.rollback,
    Event.RESTART: _restart,
    Event.PASS: _pass,
    Event.FAIL: rejection.failed,
}
"""By event, in the order of the events: a missing one fails a test."""
