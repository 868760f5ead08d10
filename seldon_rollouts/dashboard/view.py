"""View models: a SeldonRollout as what the page shows. Pure; the page only draws."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from controller.api.meta import format_duration
from controller.api.rollout import RevisionStatus, RolloutSpec, RolloutStatus
from controller.rollout.course import course, title

Urgency = Literal["attention", "moving", "rest"]
_ATTENTION = frozenset({"Degraded", "Invalid", "Paused"})
_MOVING = frozenset({"Pending", "Progressing", "Promoting", "RollingBack"})


class View(BaseModel):
    """A frozen value for the page, camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


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
    mirror: int
    verdict: str
    message: str
    created_at: str
    last_rollback: str
    """Why the last revision was rolled back, if one was."""


class Metric(View):
    """One metric of the judge, canary against stable."""

    name: str
    verdict: str
    message: str
    canary: float | None
    stable: float | None
    evidence: float
    needed: float
    promote_evidence: float
    promote_needed: float
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


def status_of(rollout: Mapping[str, Any]) -> RolloutStatus:
    """Return a rollout's status; an empty one before the controller saw it."""
    return RolloutStatus.model_validate(rollout.get("status") or {})


def row(rollout: Mapping[str, Any]) -> Row:
    """Return a rollout as a row of the list."""
    status, meta = status_of(rollout), rollout["metadata"]
    moving = status.canary_revision is not None
    last = status.rejected[-1] if status.rejected else None
    return Row(
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.phase,
        urgency="attention" if status.phase in _ATTENTION else "moving" if status.phase in _MOVING else "rest",
        step=f"{min(status.current_step_index + 1, status.step_count)} of {status.step_count}" if moving else "",
        stable_weight=status.weights.stable,
        canary_weight=status.weights.canary,
        mirror=status.weights.mirror,
        verdict=status.analysis.verdict if moving else "",
        message=status.message,
        created_at=meta.get("creationTimestamp", ""),
        last_rollback=f"revision {last.number}: {last.message}" if last else "",
    )


def listing(rollouts: Iterable[Mapping[str, Any]], *, namespace: str = "", search: str = "") -> list[Row]:
    """Return the rows that match, those that need attention first."""
    order = {"attention": 0, "moving": 1, "rest": 2}
    rows = [row(rollout) for rollout in rollouts]
    wanted = [
        each
        for each in rows
        if (not namespace or each.namespace == namespace) and search.lower() in f"{each.namespace}/{each.name}".lower()
    ]
    return sorted(wanted, key=lambda each: (order[each.urgency], each.namespace, each.name))


def detail(rollout: Mapping[str, Any]) -> Detail:
    """Return one rollout for its page."""
    status = status_of(rollout)
    return Detail(
        row=row(rollout),
        blocked_on=f"{status.blocked_on.kind}: {status.blocked_on.message}" if status.blocked_on else "",
        steps=_steps(rollout, status),
        revisions=tuple(_revisions(rollout, status)),
        verified=status.weights.verified,
        observed_percent=status.weights.observed.canary_percent,
        metrics=tuple(Metric(**metric.model_dump()) for metric in status.analysis.metrics),
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
        history=tuple(Happened(**entry.model_dump()) for entry in reversed(status.history)),
    )


def _steps(rollout: Mapping[str, Any], status: RolloutStatus) -> tuple[StepView, ...]:
    try:
        spec = RolloutSpec.model_validate(rollout.get("spec") or {})
    except ValueError:
        return ()
    running = status.canary_revision is not None

    def state(index: int) -> Literal["done", "current", "ahead"]:
        if not running:
            return "done" if status.phase == "Healthy" else "ahead"
        if index < status.current_step_index or status.phase == "Promoting":
            return "done"
        return "current" if index == status.current_step_index else "ahead"

    return tuple(
        StepView(title=title(stage), state=state(index)) for index, stage in enumerate(course(spec.strategy).stages)
    )


def _revisions(rollout: Mapping[str, Any], status: RolloutStatus) -> Iterable[Revision]:
    template = ((rollout.get("spec") or {}).get("template") or {}).get("spec") or {}
    target = status.canary_revision or status.stable_revision
    for revision, weight in (
        (status.stable_revision, status.weights.stable),
        (status.canary_revision, status.weights.canary),
        *((retired, 0) for retired in status.retired_revisions),
    ):
        if revision is not None:
            current = target is not None and revision.hash == target.hash
            yield _revision(revision, weight, models(template) if current else ())


def _revision(revision: RevisionStatus, weight: float, used: tuple[str, ...]) -> Revision:
    return Revision(
        number=revision.number,
        hash=revision.hash,
        deployment=revision.name,
        role=revision.role,
        weight=weight,
        replicas=revision.replicas,
        ready=revision.ready_replicas,
        message=revision.message,
        models=used,
    )


def models(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the model URIs in a SeldonDeployment's graphs, in order."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, Mapping):
            if node.get("modelUri"):
                found.append(str(node["modelUri"]))
            for child in node.get("children") or []:
                walk(child)

    for predictor in spec.get("predictors") or []:
        if isinstance(predictor, Mapping):
            walk(predictor.get("graph"))
    return tuple(found)


def point(status: RolloutStatus, at: datetime) -> Point:
    """Return what the evidence curve shows of one status."""
    judged = status.canary_revision or status.stable_revision
    return Point(
        at=at,
        revision=judged.hash if judged else "",
        weight=status.weights.canary,
        observed=status.weights.observed.canary_percent,
        evidence={metric.name: metric.evidence for metric in status.analysis.metrics},
        promote={metric.name: metric.promote_evidence for metric in status.analysis.metrics},
    )
