"""Acceptance: from when on a weight, a mirror or a header route counts.

A step that changes one is left when that was seen at the gateway. But requests are split, and judged, from when the
mesh took it: what comes next at the same weight counts its time from there. Where the gateway's counts speak against
the weight meanwhile, it counts from the last of them.
"""

from datetime import datetime

from controller.api.rollout import RolloutStatus
from controller.rollout.ground import Ground
from controller.rollout.phases import IN_PROGRESS, Phase


def noted(status: RolloutStatus, ground: Ground, now: datetime) -> RolloutStatus:
    """Return the status with the instant from which the canary's split counts, once the mesh has taken it in full."""
    canary, split, weights = status.canary_revision, ground.split, status.weights
    if canary is None or split is None or split.canary != canary.hash or Phase(status.phase) not in IN_PROGRESS:
        return status
    if not ground.in_effect or ground.blocked is not None:
        return status
    since = weights.accepted_at or now
    if ground.contradicted_at is not None:
        since = max(since, min(ground.contradicted_at, now))
    return status.model_copy(update={"weights": weights.model_copy(update={"accepted_at": since})})


def without_hold(status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Return a status that goes on after a pause: while somebody held it, no time counted."""
    since, paused_at = status.weights.accepted_at, status.paused_at
    if since is None or paused_at is None:
        return status
    later = min(since + (now - max(since, paused_at)), now)
    return status.model_copy(update={"weights": status.weights.model_copy(update={"accepted_at": later})})
