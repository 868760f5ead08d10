"""Refusals: a write that the API server refuses is told in the status, in its words, within the same pass."""

from datetime import datetime

from controller.api.rollout import BlockedOn, RolloutStatus
from controller.rollout import status as words
from controller.rollout.actions import Announcement, Decision
from controller.rollout.ground import survey
from controller.rollout.observed import Observed

_LONGEST = 1000


def refused(
    obs: Observed, decision: Decision, said: str, *, now: datetime
) -> tuple[RolloutStatus, tuple[Announcement, ...]]:
    """Return the status of a pass whose writes were refused, and what to announce.

    What was decided holds, and is tried again with every pass: so its deadlines go on. Only of the route it is not said
    that it was written; if it was, the next pass finds that out.

    Args:
        obs: what the decision was made of.
        decision: the decision, some of whose actions were not done.
        said: what was asked and what the server said.
        now: the instant of the decision.
    """
    kind = "quota" if "exceeded quota" in said else "error"
    blocked = words.since(BlockedOn.model_validate({"kind": kind, "message": said[:_LONGEST]}), obs, now)
    status = decision.before_moving or decision.status
    ground = survey(obs, status, now=now)
    fresh = words.told(obs, status, ground, blocked, now=now, moved=False)
    before = obs.status.blocked_on
    if before is not None and before.message == blocked.message:
        return fresh, decision.announcements
    return fresh, (*decision.announcements, Announcement("Warning", "WriteRefused", blocked.message))
