"""Rows: a rollout in one line, and the list of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from controller.api.rollout import RolloutStatus
from controller.notifications.notices import stuck_at
from controller.notifications.stuck import MOVING
from seldon_rollouts import phases
from seldon_rollouts.view.base import View, asks, compared, said, stalled, status_of

Urgency = Literal["attention", "moving", "rest"]
_ATTENTION = frozenset({"Degraded", "Invalid", "Paused"})
_ORDER: Mapping[Urgency, int] = {"attention": 0, "moving": 1, "rest": 2}


class Row(View):
    """A rollout in the list."""

    namespace: str
    name: str
    phase: str
    urgency: Urgency
    step: str
    """Such as `2 of 5`; empty at rest."""
    stable_weight: float
    canary_weight: float
    mirror: float
    verdict: str
    blocked_on: str
    """What kind of thing it waits for: pods, weight, metric, gate, person, mesh, quota, error, time, group."""
    message: str
    waits_since: datetime | None
    stuck_at: datetime | None
    """When it has waited too long for something that is not a person's to give, nor the clock's."""
    created_at: str
    last_rollback: str
    """Why the last revision was rolled back, if one was."""

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Where it stands in the list: what needs attention first, and of that what was rolled back."""
        rank = phases.rank(self.phase, asks=self.blocked_on == "person")
        return _ORDER[self.urgency], rank, self.namespace, self.name


class Filter(View):
    """Which rows are wanted; an empty field wants all."""

    namespace: str = ""
    search: str = ""
    phase: str = ""
    urgency: Urgency | None = None

    def wants(self, row: Row) -> bool:
        """Say whether a row is wanted."""
        return (
            (not self.namespace or row.namespace == self.namespace)
            and (not self.phase or row.phase == self.phase)
            and (self.urgency is None or row.urgency == self.urgency)
            and (not self.search or self.search.lower() in f"{row.namespace}/{row.name}".lower())
        )


def row(rollout: Mapping[str, Any]) -> Row:
    """Return a rollout as a row of the list."""
    status, meta = status_of(rollout), rollout["metadata"]
    stable, canary = status.stable_revision, status.canary_revision
    moving = compared(status)
    last = status.rejected[-1] if status.rejected else None
    return Row(
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.phase,
        urgency=_urgency(status),
        step=f"{min(status.current_step_index + 1, status.step_count)} of {status.step_count}" if moving else "",
        stable_weight=stable.weight if stable is not None else 0,
        canary_weight=canary.weight if canary is not None else 0,
        mirror=canary.mirror if canary is not None else 0,
        verdict=status.analysis.verdict or "" if moving else "",
        blocked_on=status.blocked_on.kind if status.blocked_on else "",
        message=said(status),
        waits_since=status.blocked_on.since if status.blocked_on else None,
        stuck_at=stuck_at(rollout) if status.phase in MOVING else None,
        created_at=meta.get("creationTimestamp", ""),
        last_rollback=f"revision {last.number}: {last.message}" if last else "",
    )


def _urgency(status: RolloutStatus) -> Urgency:
    if status.phase in MOVING:
        return "attention" if asks(status) or stalled(status) else "moving"
    return "attention" if status.phase in _ATTENTION else "rest"


def as_of(row: Row, now: datetime) -> Row:
    """Return a row as it is at an instant: what is stuck needs attention."""
    stuck = row.urgency == "moving" and row.stuck_at is not None and row.stuck_at <= now
    return row.model_copy(update={"urgency": "attention"}) if stuck else row


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Return rows with those that need attention first."""
    return sorted(rows, key=attrgetter("order"))
