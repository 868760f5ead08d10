"""The state machine of a rollout: every phase and event has a cell. What is refused is refused in words.

World events move a rollout by themselves; intents are what people ask for. A cell holds the next phase, `None` where
the event changes nothing, or the sentence that a person gets when the verb is not legal in that phase. A missing cell
fails a test. The same phase means: stay, but the event has its effect (the next step, a retry).
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a rollout is. The words are those of `status.phase`."""

    PENDING = "Pending"
    """The first revision is not serving yet."""
    HEALTHY = "Healthy"
    """Stable is what the template says, and has all traffic."""
    PROGRESSING = "Progressing"
    """A canary goes through its steps."""
    PAUSED = "Paused"
    """A canary waits for a person; it is still judged."""
    PROMOTING = "Promoting"
    """The steps are done: all traffic goes to the canary, which becomes stable when that is in effect."""
    ROLLING_BACK = "RollingBack"
    """All traffic goes back to stable."""
    DEGRADED = "Degraded"
    """The template's revision was rejected; stable serves."""
    SHADOWED = "Shadowed"
    """The template's revision was shadowed and has its report; stable serves."""
    INVALID = "Invalid"
    """The spec cannot be done; nothing is touched."""


IN_PROGRESS = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING})
"""A canary is on its way."""


class Event(StrEnum):
    """What can happen to a rollout."""

    SPEC_INVALID = "SpecInvalid"
    SPEC_VALID = "SpecValid"
    NEW_REVISION = "NewRevision"
    """The template is neither stable, nor the running canary, nor rejected."""
    STABLE_AGAIN = "StableAgain"
    """The template is stable's again."""
    REJECTED_AGAIN = "RejectedAgain"
    """The template is that of a revision that was rejected."""
    FIRST_SERVING = "FirstServing"
    """The first revision has ready pods and the route to them is in effect."""
    STEP_DONE = "StepDone"
    STEPS_DONE = "StepsDone"
    """No step is left, and the judge finds the canary good."""
    SHADOW_DONE = "ShadowDone"
    """No step is left, and the revision was only to be shadowed."""
    PAUSE_OVER = "PauseOver"
    """A person was waited for long enough, and the step says to go on."""
    PAUSE_EXPIRED = "PauseExpired"
    """A person was waited for long enough, and the step says to roll back."""
    STRATEGY_CHANGED = "StrategyChanged"
    """The running revision is to take over in another way."""
    PERSON_NEEDED = "PersonNeeded"
    """An indefinite pause, or not enough evidence in time."""
    TIME_EXTENDED = "TimeExtended"
    """No verdict in time, and so few requests that the step gets its time once more."""
    VERDICT_BAD = "VerdictBad"
    DEADLINE = "Deadline"
    """A step made no progress for longer than the progress deadline."""
    GROUP_ROLLED_BACK = "GroupRolledBack"
    """Another member of the group was rolled back before this one was promoted."""
    CANARY_SERVES_ALL = "CanaryServesAll"
    STABLE_SERVES_ALL = "StableServesAll"

    PROMOTE = "promote"
    """Go on from where the rollout waits, without waiting longer."""
    PROMOTE_FULL = "promote-full"
    """Skip all steps that are left, and the judge."""
    SKIP = "skip"
    """Go to the next step."""
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RETRY = "retry"
    APPROVE = "approve"
    """Open a gate."""
    ROLLBACK = "rollback"
    """Go back to an earlier revision, whatever the template says."""
    RESTART = "restart"
    """Replace the pods, without a new revision."""
    PASS = "pass"  # noqa: S105 - a verb, no password
    """The analysis that is waited for counts as good, once."""
    FAIL = "fail"
    """The analysis counts as bad."""


INTENTS = frozenset(
    {
        Event.PROMOTE, Event.PROMOTE_FULL, Event.SKIP, Event.PAUSE, Event.RESUME, Event.ABORT, Event.RETRY,
        Event.APPROVE, Event.ROLLBACK, Event.RESTART, Event.PASS, Event.FAIL,
    }
)  # fmt: skip

Cell = Phase | str | None

_P, _E = Phase, Event
_IDLE = "no rollout is under way"
_FIRST = "the first revision has nothing to be compared with or to go back to"
_ENDING = "the rollout is being rolled back"
_SWITCHING = "all traffic is already going to the new revision"
_REJECTED = "the revision was rejected; retry it first"
_SHADOWED = "the shadow is over; change the strategy to release its revision, or retry to shadow it again"
_FIX = "the spec is invalid; correct it first"

TRANSITIONS: dict[Phase, dict[Event, Cell]] = {
    _P.PENDING: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PENDING, _E.STABLE_AGAIN: _P.HEALTHY, _E.REJECTED_AGAIN: _P.PENDING,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _FIRST,
        _E.FIRST_SERVING: _P.HEALTHY, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: None, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _FIRST, _E.PROMOTE_FULL: _FIRST, _E.SKIP: _FIRST, _E.PAUSE: _FIRST, _E.RESUME: _FIRST,
        _E.ABORT: _FIRST, _E.RETRY: _FIRST,
        _E.ROLLBACK: _FIRST, _E.RESTART: _P.PENDING, _E.PASS: _FIRST, _E.FAIL: _FIRST,
    },
    _P.HEALTHY: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: None, _E.REJECTED_AGAIN: _P.DEGRADED,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _IDLE,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: None, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _IDLE, _E.PROMOTE_FULL: _IDLE, _E.SKIP: _IDLE, _E.PAUSE: _IDLE, _E.RESUME: _IDLE,
        _E.ABORT: "no rollout is under way; rollback goes back to an earlier revision",
        _E.RETRY: _P.PROGRESSING,  # only to leave a pinned revision
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.HEALTHY, _E.PASS: _IDLE, _E.FAIL: _IDLE,
    },
    _P.PROGRESSING: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: _P.ROLLING_BACK, _E.REJECTED_AGAIN: _P.ROLLING_BACK,
        _E.SHADOW_DONE: _P.SHADOWED, _E.STRATEGY_CHANGED: _P.PROGRESSING,
        _E.TIME_EXTENDED: _P.PROGRESSING,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _P.PROGRESSING,
        _E.FIRST_SERVING: None, _E.STEP_DONE: _P.PROGRESSING, _E.STEPS_DONE: _P.PROMOTING,
        _E.GROUP_ROLLED_BACK: _P.ROLLING_BACK,
        _E.PERSON_NEEDED: _P.PAUSED, _E.VERDICT_BAD: _P.ROLLING_BACK, _E.DEADLINE: _P.ROLLING_BACK,
        _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _P.PROGRESSING, _E.PROMOTE_FULL: _P.PROMOTING, _E.SKIP: _P.PROGRESSING,
        _E.PAUSE: _P.PAUSED, _E.RESUME: "the rollout is not paused", _E.ABORT: _P.ROLLING_BACK,
        _E.RETRY: "the rollout is under way; abort it first",
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.PROGRESSING, _E.PASS: _P.PROGRESSING, _E.FAIL: _P.ROLLING_BACK,
    },
    _P.PAUSED: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: _P.ROLLING_BACK, _E.REJECTED_AGAIN: _P.ROLLING_BACK,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: _P.PROGRESSING,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: _P.PROGRESSING, _E.PAUSE_EXPIRED: _P.ROLLING_BACK, _E.APPROVE: _P.PAUSED,
        _E.FIRST_SERVING: None, _E.STEP_DONE: _P.PROGRESSING, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: _P.ROLLING_BACK,
        _E.VERDICT_BAD: _P.ROLLING_BACK, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _P.PROGRESSING, _E.PROMOTE_FULL: _P.PROMOTING, _E.SKIP: _P.PROGRESSING,
        _E.PAUSE: "the rollout is already paused", _E.RESUME: _P.PROGRESSING, _E.ABORT: _P.ROLLING_BACK,
        _E.RETRY: "the rollout is under way; abort it first",
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.PAUSED, _E.PASS: _P.PROGRESSING, _E.FAIL: _P.ROLLING_BACK,
    },
    _P.PROMOTING: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: _P.ROLLING_BACK, _E.REJECTED_AGAIN: _P.ROLLING_BACK,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _SWITCHING,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: _P.ROLLING_BACK,
        _E.VERDICT_BAD: _P.ROLLING_BACK, _E.DEADLINE: _P.ROLLING_BACK, _E.CANARY_SERVES_ALL: _P.HEALTHY,
        _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _SWITCHING, _E.PROMOTE_FULL: _SWITCHING, _E.SKIP: _SWITCHING, _E.PAUSE: _SWITCHING,
        _E.RESUME: "the rollout is not paused", _E.ABORT: _P.ROLLING_BACK,
        _E.RETRY: "the rollout is under way; abort it first",
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.PROMOTING, _E.PASS: _SWITCHING, _E.FAIL: _P.ROLLING_BACK,
    },
    _P.ROLLING_BACK: {
        _E.SPEC_INVALID: None, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: None, _E.REJECTED_AGAIN: None,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _ENDING,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: None, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: _P.DEGRADED,
        _E.PROMOTE: _ENDING, _E.PROMOTE_FULL: _ENDING, _E.SKIP: _ENDING, _E.PAUSE: _ENDING, _E.RESUME: _ENDING,
        _E.ABORT: "the rollout is already being rolled back", _E.RETRY: _P.PROGRESSING,
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.ROLLING_BACK, _E.PASS: _ENDING, _E.FAIL: _ENDING,
    },
    _P.DEGRADED: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: _P.HEALTHY, _E.REJECTED_AGAIN: None,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _REJECTED,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: None, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _REJECTED, _E.PROMOTE_FULL: _REJECTED,
        _E.SKIP: _IDLE, _E.PAUSE: _IDLE, _E.RESUME: _IDLE, _E.ABORT: "the revision is already rejected",
        _E.RETRY: _P.PROGRESSING,
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.DEGRADED, _E.PASS: _REJECTED, _E.FAIL: _REJECTED,
    },
    _P.SHADOWED: {
        _E.SPEC_INVALID: _P.INVALID, _E.SPEC_VALID: None,
        _E.NEW_REVISION: _P.PROGRESSING, _E.STABLE_AGAIN: _P.HEALTHY, _E.REJECTED_AGAIN: _P.DEGRADED,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _SHADOWED,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: None, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _SHADOWED, _E.PROMOTE_FULL: _SHADOWED,
        _E.SKIP: _IDLE, _E.PAUSE: _IDLE, _E.RESUME: _IDLE, _E.ABORT: _IDLE, _E.RETRY: _P.PROGRESSING,
        _E.ROLLBACK: _P.PROGRESSING, _E.RESTART: _P.SHADOWED, _E.PASS: _SHADOWED, _E.FAIL: _SHADOWED,
    },
    _P.INVALID: {
        _E.SPEC_INVALID: None, _E.SPEC_VALID: _P.PROGRESSING,  # or what the invalid spec interrupted
        _E.NEW_REVISION: None, _E.STABLE_AGAIN: None, _E.REJECTED_AGAIN: None,
        _E.SHADOW_DONE: None, _E.STRATEGY_CHANGED: None,
        _E.TIME_EXTENDED: None,
        _E.PAUSE_OVER: None, _E.PAUSE_EXPIRED: None, _E.APPROVE: _FIX,
        _E.FIRST_SERVING: None, _E.STEP_DONE: None, _E.STEPS_DONE: None, _E.PERSON_NEEDED: None,
        _E.GROUP_ROLLED_BACK: None,
        _E.VERDICT_BAD: _P.ROLLING_BACK, _E.DEADLINE: None, _E.CANARY_SERVES_ALL: None, _E.STABLE_SERVES_ALL: None,
        _E.PROMOTE: _FIX, _E.PROMOTE_FULL: _FIX, _E.SKIP: _FIX, _E.PAUSE: _FIX, _E.RESUME: _FIX,
        _E.ABORT: _P.ROLLING_BACK, _E.RETRY: _FIX,
        _E.ROLLBACK: _FIX, _E.RESTART: _P.INVALID, _E.PASS: _FIX, _E.FAIL: _P.ROLLING_BACK,
    },
}  # fmt: skip


def legal(phase: Phase, intent: Event) -> bool:
    """Say whether a person's verb has an effect in this phase."""
    return isinstance(TRANSITIONS[phase][intent], Phase)


def refusal(phase: Phase, intent: Event) -> str:
    """Return the sentence that answers a verb which is not legal in this phase."""
    cell = TRANSITIONS[phase][intent]
    return cell if isinstance(cell, str) and not isinstance(cell, Phase) else ""
