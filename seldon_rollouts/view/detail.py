"""One rollout, whole: steps, weights, verdicts, revisions, and what happened."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from controller.api.arms import RevisionStatus
from controller.api.meta import format_duration
from controller.api.rollout import RolloutStatus
from seldon_rollouts.view.base import View, compared, observed, status_of
from seldon_rollouts.view.chances import chances
from seldon_rollouts.view.graphs import models
from seldon_rollouts.view.rows import Row, row
from seldon_rollouts.view.steps import StepView, track
from seldon_rollouts.view.waiting import Waiting, headline, waiting


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
    headline: str
    """What it says, without what it waits for."""
    waits: Waiting | None
    judge: str
    """What the judge says of the canary, beside the row's verdict; empty where none is compared."""
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
        headline=headline(status),
        waits=waiting(status),
        judge=status.analysis.message if compared(status) else "",
        chances=chances(status),
        steps=track(rollout, status),
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


def judged(status: RolloutStatus) -> str:
    """Return the hash of the revision that the judge speaks of, or spoke of last; empty where there is none."""
    if status.canary_revision is not None:
        return status.canary_revision.hash
    last, began = (status.rejected[-1] if status.rejected else None), status.analysis.started_at
    if last is not None and began is not None and last.at >= began:
        return last.hash
    return status.stable_revision.hash if status.stable_revision is not None else ""


def point(status: RolloutStatus, at: datetime) -> Point:
    """Return what the evidence curve shows of one status."""
    return Point(
        at=at,
        revision=judged(status),
        weight=status.canary_revision.weight if status.canary_revision else 0,
        observed=observed(status),
        evidence={metric.name: metric.evidence for metric in status.analysis.metrics},
        promote={metric.name: metric.promote_evidence for metric in status.analysis.metrics},
    )


def kept(status: RolloutStatus) -> list[Point]:
    """Return the points of the evidence curve that a status keeps."""
    curve, revision = status.analysis.curve, judged(status)
    if curve is None or not revision:
        return []
    return [
        Point(
            at=each.at,
            revision=revision,
            weight=each.weight,
            observed=each.observed if each.weight else None,
            evidence={name: 10**value for name, value in zip(curve.metrics, each.worse, strict=False)},
            promote={name: 10**value for name, value in zip(curve.metrics, each.good, strict=False)},
        )
        for each in curve.points
    ]
