"""Answers: whether what a person asks for can be done now. The table of phases says the most, this the rest."""

from controller.api.rollout import Intent, RolloutStatus
from controller.api.strategy import Step
from controller.rollout import gate, pins, runs
from controller.rollout.course import Bake, Judge, Together, course
from controller.rollout.observed import Observed
from controller.rollout.phases import Event, Phase, legal, refusal


def refused(obs: Observed, status: RolloutStatus, intent: Intent) -> str:
    """Return the sentence that refuses an intent; empty when it is to be done."""
    if not intent.verb:
        return intent.message or "the intent has no verb"
    event, phase = Event(intent.verb), Phase(status.phase)
    if not legal(phase, event):
        return refusal(phase, event)
    match event:
        case Event.ABORT | Event.FAIL if phase is Phase.INVALID and status.stable_revision is None:
            return refusal(Phase.PENDING, event)
        case Event.ABORT | Event.FAIL if phase is Phase.INVALID and status.canary_revision is None:
            return refusal(Phase.HEALTHY, event)
        case Event.RETRY:
            return _retry(obs, status, phase)
        case Event.PROMOTE_FULL if obs.spec and course(obs.spec).stands_down:
            return "a shadow is never promoted; change the strategy to release the revision"
        case Event.APPROVE if not gate.to_approve(obs, status, intent.gate):
            known = ", ".join(gate.approvable(obs))
            which = f"gate {intent.gate!r}" if intent.gate else "gate"
            strategy = f"the strategy's gates are: {known}" if known else "the strategy has none"
            return f"no {which} asks for an approval now; {strategy}"
        case Event.ROLLBACK:
            return pins.refused(obs, status, intent)
        case Event.RESTART if status.stable_revision is None and status.canary_revision is None:
            return "there are no pods yet"
        case Event.PASS:
            return _pass(obs, status)
        case Event.FAIL if status.analysis.started_at is None and not runs.heard(obs, status):
            return "nothing is judged yet; abort takes the revision out"
        case _:
            return ""


def _retry(obs: Observed, status: RolloutStatus, phase: Phase) -> str:
    if obs.target is None:
        return "the spec is invalid; correct it first"
    if phase is Phase.HEALTHY and status.pinned is None:
        return "no rollout is under way"
    return ""


def _pass(obs: Observed, status: RolloutStatus) -> str:
    if status.paused_by:
        return f"the rollout was paused by {status.paused_by}; resume it first"
    if not awaits_verdict(obs, status) and not runs.undecided(obs, status):
        return "no analysis is waited for at this step; promote goes on without one"
    return ""


def awaits_verdict(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the present stage waits for the judge: an analysis, or the consent after the last step."""
    if obs.spec is None:
        return False
    way = course(obs.spec)
    if status.current_step_index >= len(way.stages):
        return way.consent and not (way.stands_down or status.forced_by or status.skip_reason)
    stage = way.stages[status.current_step_index]
    judged = isinstance(stage, Judge | Bake) or (isinstance(stage, Together) and stage.consent)
    return judged or (isinstance(stage, Step) and stage.analysis is not None)
