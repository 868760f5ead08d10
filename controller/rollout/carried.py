"""Carried: how much of the traffic the route gives to each revision, as it stands or is written in this pass. Pure."""

from collections.abc import Callable

from controller.api.arms import RevisionStatus
from controller.api.percent import rest
from controller.api.rollout import RolloutStatus
from controller.rollout.ground import live_mirror, live_weight
from controller.rollout.observed import Observed
from controller.rollout.split import Split

_Share = tuple[float, float]
"""Percent of live requests, and percent of them that are copied."""


def told(obs: Observed, status: RolloutStatus, split: Split | None) -> RolloutStatus:
    """Return the status with what each of its revisions gets.

    Args:
        obs: what was observed.
        status: what was decided.
        split: what the route says once this pass is over; None where it stays as it was found.
    """
    if split is None:
        return _each(status, lambda digest: (live_weight(obs, digest), live_mirror(obs, digest)))
    shares = {split.stable: (rest(split.weight), split.control), split.canary: (split.weight, split.mirror)}
    return _each(status, lambda digest: shares.get(digest, (0, 0)))


def nothing(status: RolloutStatus) -> RolloutStatus:
    """Return the status of a rollout whose route leads to somebody else's pods."""
    return _each(status, lambda _: (0, 0))


def _each(status: RolloutStatus, share: Callable[[str], _Share]) -> RolloutStatus:
    def carries(revision: RevisionStatus) -> RevisionStatus:
        weight, mirror = share(revision.hash)
        return revision.model_copy(update={"weight": weight, "mirror": mirror})

    stable, canary = status.stable_revision, status.canary_revision
    return status.model_copy(
        update={
            "stable_revision": carries(stable) if stable else None,
            "canary_revision": carries(canary) if canary else None,
            "retired_revisions": tuple(map(carries, status.retired_revisions)),
        }
    )
