"""Waiting: where a rollout is, and what it waits for, in words that say nothing twice."""

from collections.abc import Mapping
from datetime import datetime

from controller.api.rollout import RolloutStatus
from seldon_rollouts.view.base import View, said

_WHAT: Mapping[str, str] = {
    "pods": "pods",
    "weight": "the weight to be seen",
    "metric": "evidence on a metric",
    "gate": "a gate",
    "person": "a person",
    "mesh": "the mesh",
    "quota": "room in a quota",
    "error": "an error to be mended",
    "time": "time to pass",
    "group": "its group",
}


class Waiting(View):
    """What a rollout waits for."""

    kind: str
    what: str
    """Such as `a person`."""
    message: str
    """More of it; empty where the judge's own sentence is all there is."""
    since: datetime | None


def waiting(status: RolloutStatus) -> Waiting | None:
    """Return what a rollout waits for; None where nothing is waited for."""
    blocked = status.blocked_on
    if blocked is None:
        return None
    judged = blocked.message == status.analysis.message
    return Waiting(
        kind=blocked.kind,
        what=_WHAT.get(blocked.kind, blocked.kind),
        message="" if judged else blocked.message,
        since=blocked.since,
    )


def headline(status: RolloutStatus) -> str:
    """Return what a status says, without what it waits for."""
    blocked = status.blocked_on
    return said(status).removesuffix(f"; {blocked.message}") if blocked is not None else said(status)
