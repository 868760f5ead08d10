"""Acts: what a person may ask of a rollout now, and what will happen then, in words."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout.course import course, title
from controller.rollout.gate import approvals
from controller.rollout.phases import INTENTS, Event, Phase, legal, refusal
from seldon_rollouts.view.base import View, status_of


class Act(View):
    """One verb."""

    verb: str
    title: str
    legal: bool
    """The rollout's phase takes it."""
    effect: str
    """What will happen; where it is not legal, why not."""
    needs: Literal["", "revision", "gate"] = ""
    """What has to be said with it."""
    danger: bool = False
    """It moves live traffic at once."""


def acts(rollout: Mapping[str, Any]) -> tuple[Act, ...]:
    """Return all verbs, those that are legal now first."""
    status = status_of(rollout)
    phase, spec = Phase(status.phase), _spec(rollout)
    ahead = _ahead(spec, status)
    every = []
    for verb in sorted(INTENTS, key=list(_VERBS).index):
        words, effect, needs, danger = _VERBS[verb.value]
        why_not = refusal(phase, verb) if not legal(phase, verb) else _in_vain(verb, phase, spec, status)
        said = why_not or effect(status, ahead)
        every.append(Act(verb=verb.value, title=words, legal=not why_not, effect=said, needs=needs, danger=danger))
    return tuple(sorted(every, key=lambda act: not act.legal))


def _in_vain(verb: Event, phase: Phase, spec: RolloutSpec | None, status: RolloutStatus) -> str:
    """Say why the controller would refuse a verb that the phase takes, as far as spec and status tell."""
    if verb is Event.APPROVE and spec is not None:
        asked, given = approvals(spec), {approved.name for approved in status.approvals}
        if not set(asked) - given:
            return "every approval was given" if asked else "the strategy asks for no approval"
    if verb is Event.RETRY and phase is Phase.HEALTHY and status.pinned is None:
        return "no revision was rejected or gone back from"
    if verb is Event.ROLLBACK and status.stable_revision is not None and status.stable_revision.number == 1:
        others = (status.canary_revision, *status.retired_revisions, *status.rejected)
        if not any(others):
            return "there is no other revision yet"
    return ""


def _spec(rollout: Mapping[str, Any]) -> RolloutSpec | None:
    try:
        return RolloutSpec.model_validate(rollout.get("spec") or {})
    except ValueError:
        return None


def _ahead(spec: RolloutSpec | None, status: RolloutStatus) -> str:
    """Name what comes after the present step."""
    if spec is None:
        return "the next step"
    stages = course(spec).stages
    following = status.current_step_index + 1
    return f"step {following + 1}, {title(stages[following])}" if following < len(stages) else "the promotion"


def _canary(status: RolloutStatus) -> str:
    return f"revision {status.canary_revision.number}" if status.canary_revision else "the new revision"


def _stable(status: RolloutStatus) -> str:
    return f"revision {status.stable_revision.number}" if status.stable_revision else "the stable revision"


def _rejected(status: RolloutStatus) -> str:
    return f"revision {status.rejected[-1].number}" if status.rejected else "the revision"


Effect = Callable[[RolloutStatus, str], str]
_VERBS: Mapping[str, tuple[str, Effect, Literal["", "revision", "gate"], bool]] = {
    "promote": ("Promote", lambda s, ahead: f"{_canary(s)} goes on to {ahead}, without waiting longer.", "", False),
    "promote-full": (
        "Promote in full",
        lambda s, _: f"{_canary(s)} gets all traffic now: the steps that are left and the judge are passed over.",
        "",
        True,
    ),
    "skip": ("Skip step", lambda _, ahead: f"The present step is left; {ahead} begins.", "", False),
    "pause": ("Pause", lambda s, _: f"{_canary(s)} stays at {s.weights.canary:g} % until resumed; the judge goes on.",
              "", False),
    "resume": ("Resume", lambda s, _: f"{_canary(s)} goes on where it was paused.", "", False),
    "abort": (
        "Abort",
        lambda s, _: f"All traffic goes back to {_stable(s)} in one write; {_canary(s)} is rejected.",
        "",
        True,
    ),
    "retry": ("Retry", lambda s, _: f"{_rejected(s)} is tried again from its first step.", "", False),
    "approve": ("Approve gate", lambda s, _: f"The gate opens for {_canary(s)}.", "gate", False),
    "pass": ("Pass analysis", lambda s, _: f"The analysis that {_canary(s)} waits for counts as good, this once.",
             "", False),
    "fail": (
        "Fail analysis",
        lambda s, _: f"The analysis counts as bad: all traffic goes back to {_stable(s)}, {_canary(s)} is rejected.",
        "",
        True,
    ),
    "rollback": (
        "Roll back to a revision",
        lambda s, _: f"The revision that you name takes the place of {_stable(s)}: by the strategy's steps, unless it "
        "lies within the rollback window. The spec is not changed; it stays so until the template changes.",
        "revision",
        True,
    ),
    "restart": (
        "Restart pods",
        lambda s, _: f"The pods of {_stable(s)}{f' and {_canary(s)}' if s.canary_revision else ''} are replaced one "
        "after another; no request is lost.",
        "",
        False,
    ),
}  # fmt: skip
