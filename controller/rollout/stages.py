"""Stages: what arriving at one does to a rollout's status, and the small changes that effects are made of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.api.arms import RevisionStatus, Weights
from controller.api.percent import rest
from controller.api.rollout import AnalysisStatus, HistoryEntry, RolloutStatus, ShadowReport
from controller.api.strategy import HeaderRoute, RouteMatch, Step
from controller.rollout.course import EMPTY, Bake, Course, Report, Stage, Switch, course, moves
from controller.rollout.observed import Observed
from controller.rollout.split import passed

HISTORY_LIMIT = 50


def record(status: RolloutStatus, now: datetime, kind: str, message: str, revision: int | None = None) -> RolloutStatus:
    """Add an entry to the history; the oldest are dropped."""
    current = status.canary_revision or status.stable_revision
    number = revision if revision is not None else (current.number if current else 0)
    entry = HistoryEntry(at=now, type=kind, message=message, revision=number)
    return changed(status, history=(*status.history, entry)[-HISTORY_LIMIT:])


def changed(status: RolloutStatus, **changes: Any) -> RolloutStatus:
    """Return the status with other values."""
    return status.model_copy(update=changes)


def course_of(obs: Observed) -> Course:
    """Return the course of the rollout's strategy; an empty one while the spec is not valid."""
    return course(obs.spec) if obs.spec else EMPTY


def enter(obs: Observed, status: RolloutStatus, index: int, now: datetime) -> RolloutStatus:
    """Go to a stage. A weight ends a mirror; a mirror leaves the weight."""
    stages = course_of(obs).stages
    copying, ahead = _copies(status.weights), _ahead(stages, status, index, now)
    if index < len(stages):
        status = _arrive(stages[index], status, now)
    if index < len(stages) and moves(stages[index]):
        status = changed(status, weights=status.weights.model_copy(update={"accepted_at": None}))
    if _copies(status.weights) != copying:
        # Copies are counted by the orchestrators alone, live requests by the gateway too: a comparison of its own.
        status = changed(status, analysis=AnalysisStatus())
    return changed(
        status,
        current_step_index=min(index, len(stages)),
        step_count=len(stages),
        passed=None,
        step_started_at=now,
        step_ahead=ahead,
        step_extended=False,
        step_progress_at=now,
    )


def _copies(weights: Weights) -> tuple[RouteMatch, ...] | None:
    """Return which requests are copied; None where none are."""
    return weights.mirror_match if weights.mirror > 0 else None


def _ahead(stages: Sequence[Stage], status: RolloutStatus, index: int, now: datetime) -> timedelta | None:
    """Return how long what a stage waits at is in effect already; None where it did not come with the stage before.

    That is so, too, where other steps made the stage before one that moves, once it had been come to.
    """
    left, since, began = status.current_step_index, status.weights.accepted_at, status.step_started_at
    follows = index == left + 1 and index < len(stages) and moves(stages[left]) and not moves(stages[index])
    came = since is not None and (began is None or since >= began)
    return max(now - since, timedelta()) if follows and since is not None and came else None


def _arrive(stage: Stage, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Do what a stage does at its beginning; what it waits for is the outlook's."""
    weights = status.weights
    match stage:
        case Switch(control=control):
            weights = weights.model_copy(update={"stable": 0, "canary": 100, "mirror": 0, "control": control})
            fresh = AnalysisStatus() if control else status.analysis
            return changed(status, weights=weights, header_routes=(), scale=None, analysis=fresh)
        case Bake(holdback=holdback):
            weights = no_traffic(weights).model_copy(update={"stable": holdback, "canary": 100 - holdback})
            return changed(status, weights=weights, scale=None, analysis=AnalysisStatus(baking=True))
        case Report():
            weights = weights.model_copy(update={"mirror": 0})
            return _report(changed(status, weights=weights, shadow=shadow_report(status, now)), now)
        case Step(set_weight=int() | float() as weight):
            new = {"stable": rest(weight), "canary": weight, "earlier": passed(weights.earlier, weights.canary)}
            return changed(status, weights=no_traffic(weights).model_copy(update=new))
        case Step(set_mirror=mirror) if mirror is not None:
            new = {"mirror": mirror.percentage, "mirror_match": mirror.match}
            return changed(status, weights=weights.model_copy(update=new))
        case Step(set_header_route=route) if route is not None:
            return changed(status, header_routes=_routed(status.header_routes, route))
        case Step(set_scale=scale) if scale is not None:
            return changed(status, scale=None if scale.auto else scale)
        case _:
            return status


def _routed(routes: tuple[HeaderRoute, ...], route: HeaderRoute) -> tuple[HeaderRoute, ...]:
    """Set, change in its place, or remove a route."""
    if not route.match:
        return tuple(known for known in routes if known.name != route.name)
    if any(known.name == route.name for known in routes):
        return tuple(route if known.name == route.name else known for known in routes)
    return (*routes, route)


def shadow_report(status: RolloutStatus, now: datetime) -> ShadowReport | None:
    """Return what the judge says of the shadow that runs now."""
    canary = status.canary_revision
    if canary is None:
        return status.shadow
    return ShadowReport(
        hash=canary.hash,
        number=canary.number,
        percentage=status.weights.mirror,
        started_at=status.analysis.started_at,
        ended_at=now,
        verdict=status.analysis.verdict or "NoData",
        message=status.analysis.message or "no request was copied",
        metrics=status.analysis.metrics,
    )


def _report(status: RolloutStatus, now: datetime) -> RolloutStatus:
    found = status.shadow
    return record(status, now, "ShadowEnded", f"{found.verdict}: {found.message}") if found else status


def no_traffic(weights: Weights) -> Weights:
    """Return the weights with everything on stable, and no copies."""
    before = weights.canary or weights.before
    cleared = {"stable": 100, "canary": 0, "mirror": 0, "mirror_match": (), "control": 0, "earlier": ()}
    return weights.model_copy(update={**cleared, "before": before})


def unrouted(status: RolloutStatus) -> RolloutStatus:
    """No request for the canary, of whatever kind."""
    return changed(status, weights=no_traffic(status.weights), header_routes=(), passed=None)


def running(status: RolloutStatus) -> RolloutStatus:
    """Nothing is paused, forced or skipped any more."""
    status = changed(status, paused_at=None, paused_by="", pause_reason="", paused_for=None)
    return changed(status, forced_by="", skip_reason="", canary_ready_at=None)


def retire(status: RolloutStatus, revision: RevisionStatus | None, now: datetime) -> RolloutStatus:
    """Put a revision among those whose pods go once they have had no traffic for the scale-down delay."""
    if revision is None:
        return status
    others = tuple(retired for retired in status.retired_revisions if retired.hash != revision.hash)
    gone = revision.model_copy(update={"role": "retired", "retired_at": now})
    return changed(status, retired_revisions=(*others, gone))
