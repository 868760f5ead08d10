"""One rollout, whole: steps, weights, verdicts, revisions, and what happened."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from controller.api.arms import RevisionStatus
from controller.api.meta import format_duration
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout.course import course, title
from seldon_rollouts.view.base import View, observed, status_of
from seldon_rollouts.view.chances import chances
from seldon_rollouts.view.graphs import models
from seldon_rollouts.view.rows import Row, row


class Metric(View):
    """One metric of the judge, canary against stable."""

    name: str
    verdict: str
    message: str
    canary: float | None
    stable: float | None
    limit: float | None
    """A ceiling of one's own, where the spec gives one."""
    evidence: float
    needed: float
    promote_evidence: float
    promote_needed: float
    step_needed: float | None
    canary_requests: int
    stable_requests: int


class StepView(View):
    """One step on the track."""

    title: str
    state: Literal["done", "current", "ahead"]


class Revision(View):
    """One revision and what it has."""

    number: int
    hash: str
    deployment: str
    role: str
    weight: float
    replicas: int
    ready: int
    message: str
    models: tuple[str, ...]
    """Model URIs and images of its graph."""


class Rejection(View):
    """A revision that was rolled back, and why."""

    number: int
    hash: str
    at: datetime
    by: str
    message: str
    metric: str
    samples: int
    window: str


class Happened(View):
    """An entry of the history."""

    at: datetime
    type: str
    message: str
    revision: int


class Detail(View):
    """One rollout, whole."""

    row: Row
    blocked_on: str
    chances: str
    """Whether the canary can be judged, and what would be found; empty where none is compared."""
    steps: tuple[StepView, ...]
    revisions: tuple[Revision, ...]
    verified: bool
    observed_percent: float | None
    metrics: tuple[Metric, ...]
    rejections: tuple[Rejection, ...]
    history: tuple[Happened, ...]


class Point(View):
    """Evidence at one instant, as the judge had it."""

    at: datetime
    revision: str
    """Hash of the canary that it is about."""
    weight: float
    observed: float | None
    evidence: Mapping[str, float]
    promote: Mapping[str, float]


def detail(rollout: Mapping[str, Any]) -> Detail:
    """Return one rollout for its page."""
    status, limits = status_of(rollout), _limits(rollout)
    return Detail(
        row=row(rollout),
        blocked_on=f"{status.blocked_on.kind}: {status.blocked_on.message}" if status.blocked_on else "",
        chances=chances(status),
        steps=_steps(rollout, status),
        revisions=tuple(_revisions(rollout, status)),
        verified=status.weights.verified,
        observed_percent=observed(status),
        metrics=tuple(
            Metric(**_fields(metric, Metric), limit=limits.get(metric.name)) for metric in status.analysis.metrics
        ),
        rejections=tuple(
            Rejection(
                number=each.number,
                hash=each.hash,
                at=each.at,
                by=each.by,
                message=each.message,
                metric=each.reason.metric if each.reason else "",
                samples=each.reason.samples if each.reason else 0,
                window=format_duration(each.reason.window) if each.reason else "",
            )
            for each in reversed(status.rejected)
        ),
        history=tuple(Happened(**_fields(entry, Happened)) for entry in reversed(status.history)),
    )


def _limits(rollout: Mapping[str, Any]) -> dict[str, float]:
    """Return the ceilings that the spec gives, by check."""
    found = {}
    for metric in ((rollout.get("spec") or {}).get("analysis") or {}).get("metrics") or ():
        for name, check in metric.items() if isinstance(metric, dict) else ():
            if isinstance(check, dict) and isinstance(check.get("max"), int | float):
                found[name] = float(check["max"])
    return found


def _fields(status: BaseModel, of: type[View]) -> dict[str, Any]:
    return status.model_dump(include=set(of.model_fields))


def _steps(rollout: Mapping[str, Any], status: RolloutStatus) -> tuple[StepView, ...]:
    try:
        spec = RolloutSpec.model_validate(rollout.get("spec") or {})
    except ValueError:
        return ()
    running = status.canary_revision is not None

    def state(index: int) -> Literal["done", "current", "ahead"]:
        if not running:
            return "done" if status.phase in ("Healthy", "Shadowed") else "ahead"
        if index < status.current_step_index or status.phase == "Promoting":
            return "done"
        return "current" if index == status.current_step_index else "ahead"

    return tuple(StepView(title=title(stage), state=state(index)) for index, stage in enumerate(course(spec).stages))


def _revisions(rollout: Mapping[str, Any], status: RolloutStatus) -> Iterable[Revision]:
    template = ((rollout.get("spec") or {}).get("template") or {}).get("spec") or {}
    target = status.canary_revision or status.stable_revision
    for revision in (status.stable_revision, status.canary_revision, *status.retired_revisions):
        if revision is not None:
            current = target is not None and revision.hash == target.hash
            yield _revision(revision, models(template) if current else ())


def _revision(revision: RevisionStatus, used: tuple[str, ...]) -> Revision:
    return Revision(
        number=revision.number,
        hash=revision.hash,
        deployment=revision.name,
        role=revision.role,
        weight=revision.weight,
        replicas=revision.replicas,
        ready=revision.ready_replicas,
        message=revision.message,
        models=used,
    )


def point(status: RolloutStatus, at: datetime) -> Point:
    """Return what the evidence curve shows of one status."""
    judged = status.canary_revision or status.stable_revision
    return Point(
        at=at,
        revision=judged.hash if judged else "",
        weight=status.canary_revision.weight if status.canary_revision else 0,
        observed=observed(status),
        evidence={metric.name: metric.evidence for metric in status.analysis.metrics},
        promote={metric.name: metric.promote_evidence for metric in status.analysis.metrics},
    )


def kept(status: RolloutStatus) -> list[Point]:
    """Return the points of the evidence curve that a status keeps."""
    curve, judged = status.analysis.curve, status.canary_revision or status.stable_revision
    if curve is None or judged is None:
        return []
    return [
        Point(
            at=each.at,
            revision=judged.hash,
            weight=each.weight,
            observed=each.observed if each.weight else None,
            evidence={name: 10**value for name, value in zip(curve.metrics, each.worse, strict=False)},
            promote={name: 10**value for name, value in zip(curve.metrics, each.good, strict=False)},
        )
        for each in curve.points
    ]
