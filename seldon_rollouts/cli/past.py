"""What a rollout tells of a past window: how it is judged and, of one under way, who against whom and since when."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from analysis.spec import Plan, Shift
from controller.api.faults import faults
from controller.api.rollout import RolloutSpec
from controller.kube.resources import SELDON_ROLLOUT
from controller.rollout import judging
from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.documents import documents
from seldon_rollouts.view.base import status_of


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a window before anybody says more."""

    plan: Plan
    stable: str = ""
    canary: str = ""
    started_at: datetime | None = None
    """When the canary began to be judged beside stable."""
    restarts: tuple[datetime, ...] = ()
    shifts: tuple[Shift, ...] = ()


def told(rollout: dict[str, Any]) -> Told:
    """Return what a rollout tells.

    Raises:
        UsageError: its spec cannot be read.
    """
    judged, status = plan_of(spec_of(rollout)), status_of(rollout)
    analysis, stable, canary = status.analysis, status.stable_revision, status.canary_revision
    if stable is None or canary is None or analysis.started_at is None:
        return Told(judged)
    return Told(judged, stable.name, canary.name, analysis.started_at, analysis.restarts, judging.shifts(analysis))


def spec_of(rollout: dict[str, Any]) -> RolloutSpec:
    """Return a rollout's spec.

    Raises:
        UsageError: it cannot be read; the text names the first field that is wrong.
    """
    try:
        return RolloutSpec.model_validate(rollout.get("spec") or {})
    except ValidationError as error:
        raise UsageError(f"the rollout's spec cannot be read: {next(faults(error))}; see `lint`") from None


def plan_of(spec: RolloutSpec) -> Plan:
    """Return how a rollout is judged.

    Raises:
        UsageError: nothing could make its canary good.
    """
    try:
        return judging.plan(spec.analysis)
    except ValueError as error:
        raise UsageError(f"spec.analysis cannot be judged: {error}") from None


def in_file(file: Path, name: str, namespace: str) -> dict[str, Any]:
    """Return the rollout of a file; of several the one of this name.

    Raises:
        BadParameter: it is not there, or of another namespace.
    """
    try:
        found = [one for one in documents([file]) if one.kind == SELDON_ROLLOUT.kind]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    meant = [one for one in found if one.name == name or not name]
    if len(meant) != 1:
        wanted = f"one SeldonRollout {name!r}" if name else "one SeldonRollout"
        there = ", ".join(one.name or "one without a name" for one in found) or "none"
        hint = ": say which with --rollout" if len(meant) > 1 and not name else ""
        raise typer.BadParameter(f"-f {file}: expected {wanted}, found {there}{hint}")
    rollout: dict[str, Any] = meant[0].object
    where = (rollout.get("metadata") or {}).get("namespace")
    if where and where != namespace:
        raise typer.BadParameter(f"-f {file}: it is of namespace {where}, and {namespace} is meant: give -n {where}")
    return rollout
