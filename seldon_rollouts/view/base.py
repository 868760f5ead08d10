"""What every view is."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from controller.api.rollout import RolloutStatus
from controller.api.seen import STALLED


class View(BaseModel):
    """A frozen value, camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


def status_of(rollout: Mapping[str, Any]) -> RolloutStatus:
    """Return a rollout's status; an empty one before the controller saw it, or where nobody can read it."""
    try:
        return RolloutStatus.model_validate(rollout.get("status") or {})
    except ValueError:
        return RolloutStatus(message="the status cannot be read: another version of the controller wrote it")


def said(status: RolloutStatus) -> str:
    """Return what a status says; of one that nobody has written yet, that."""
    if status.message or status.observed_generation or status.history:
        return status.message
    return "no controller has looked at it yet; is one running? (`seldon-rollouts doctor`)"


def asks(status: RolloutStatus) -> bool:
    """Say whether a person is waited for, be it at a pause or for an approval."""
    return status.blocked_on is not None and status.blocked_on.kind == "person"


def stalled(status: RolloutStatus) -> bool:
    """Say whether a rollout does not go on by itself: it was rolled back, is not valid, or cannot start."""
    return any(each.type == STALLED and each.status == "True" for each in status.conditions)


def compared(status: RolloutStatus) -> bool:
    """Say whether a canary is under way beside a stable revision; the first revision has nothing beside it."""
    return status.canary_revision is not None and status.stable_revision is not None


def observed(status: RolloutStatus) -> float | None:
    """Return the percent of requests that the canary was seen to take; None where all that it takes are copies."""
    canary = status.canary_revision
    return status.weights.observed.canary_percent if canary is not None and canary.weight else None
