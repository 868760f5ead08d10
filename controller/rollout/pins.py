"""Pins: a person goes back to an earlier revision. Nobody's spec is written: the pin takes the template's place."""

from datetime import datetime

from controller.api.arms import RevisionStatus
from controller.api.people import Pinned
from controller.api.rollout import Intent, RolloutStatus
from controller.rollout.observed import Observed
from controller.rollout.phases import Phase
from controller.rollout.revisions import Revision
from controller.rollout.stages import changed, course_of, record


def goal(obs: Observed, status: RolloutStatus) -> Revision | None:
    """Return the revision that is to serve: the pinned one, else the template's; None while the spec is not valid."""
    pinned = status.pinned
    if obs.target is None or pinned is None or obs.target.hash != pinned.instead_of:
        return obs.target
    known = obs.revisions.get(pinned.hash)
    # What serves can be held even after its history was lost.
    return known or Revision(hash=pinned.hash, number=pinned.number, template={})


def refreshed(obs: Observed, status: RolloutStatus, *, now: datetime) -> RolloutStatus:
    """Drop a pin that is over: the template changed, or what was pinned is nowhere to be found any more."""
    pinned, stable = status.pinned, status.stable_revision
    if pinned is None or obs.target is None:
        return status
    if obs.target.hash != pinned.instead_of:
        why = "the template changed"
    elif pinned.hash not in obs.revisions and (stable is None or stable.hash != pinned.hash):
        why = "its template is not in the history any more"
    else:
        return status
    text = f"revision {pinned.number} is no longer pinned: {why}"
    return record(changed(status, pinned=None), now, "Unpinned", text, pinned.number)


def named(obs: Observed, number: int | None) -> Revision | None:
    """Return the revision of a number that can be gone back to."""
    return next((revision for revision in _known(obs) if revision.number == number), None)


def refused(obs: Observed, status: RolloutStatus, intent: Intent) -> str:
    """Say why a person cannot go back to a revision; empty when nothing stands against it."""
    if intent.revision is None:
        return f"rollback needs the number of a revision; {_choice(obs)}"
    found = named(obs, intent.revision)
    if found is None:
        return f"revision {intent.revision} is not in the history (any more); {_choice(obs)}"
    if _is(status.stable_revision, found):
        return f"revision {found.number} is stable already{_to_stable(status)}"
    rejected = next((each for each in status.rejected if each.hash == found.hash), None)
    if rejected is not None:
        return (
            f"revision {found.number} was rejected: {rejected.message}; to try it again, apply its template and retry"
        )
    if _is(status.canary_revision, found):
        return f"revision {found.number} is under way already"
    if obs.target is not None and found.hash == obs.target.hash:
        return f"revision {found.number} is the template's own; retry goes back to it"
    if course_of(obs).stands_down and not within_window(obs, status, found.number):
        return "the strategy only shadows, and the revision lies outside the rollback window; change the strategy"
    return ""


def _to_stable(status: RolloutStatus) -> str:
    if status.canary_revision is None:
        return ""
    leaving = Phase(status.phase) is Phase.ROLLING_BACK
    return "; all traffic is going back to it" if leaving else "; abort takes all traffic back to it"


def _known(obs: Observed) -> list[Revision]:
    kept = obs.stored | obs.children.keys()
    return sorted((r for r in obs.revisions.values() if r.number and r.hash in kept), key=lambda r: r.number)


def _choice(obs: Observed) -> str:
    numbers = ", ".join(str(revision.number) for revision in _known(obs))
    return f"there are {numbers}" if numbers else "there is none yet"


def _is(known: RevisionStatus | None, revision: Revision) -> bool:
    return known is not None and known.hash == revision.hash


def within_window(obs: Observed, status: RolloutStatus, number: int) -> bool:
    """Say whether a revision lies at most as many revisions before stable as the rollback window allows."""
    window, stable = obs.spec.rollback_window if obs.spec else None, status.stable_revision
    return window is not None and stable is not None and 0 < stable.number - number <= window.revisions


def pin(obs: Observed, status: RolloutStatus, intent: Intent | None, *, now: datetime) -> RolloutStatus:
    """Return the status with the revision that a person named pinned.

    Raises:
        ValueError: there is no such revision, or no valid template that it could take the place of.
    """
    found = named(obs, intent.revision) if intent is not None else None
    if intent is None or found is None or obs.target is None:
        raise ValueError("an intent that names no known revision pins nothing; ask `refused` first")
    pinned = Pinned(
        hash=found.hash, number=found.number, instead_of=obs.target.hash, by=intent.by, reason=intent.reason, at=now
    )
    return changed(status, pinned=pinned)
