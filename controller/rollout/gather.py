"""Gather: statuses, templates and AnalysisRuns out of the caches, as values."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from controller.api.analysis import AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplateSpec, TemplateRef
from controller.api.faults import faults
from controller.api.meta import ATTEMPT_LABEL, REVISION_LABEL, RUN_LABEL
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.rollout import arguments, runs
from controller.rollout.observed import Run, Templates


def status(rollout: Mapping[str, Any]) -> RolloutStatus:
    """Read a rollout's status."""
    try:
        return RolloutStatus.model_validate(rollout.get("status") or {})
    except ValidationError:
        # Written by somebody else; the children's roles tell where we were.
        return RolloutStatus()


def owned_runs(cluster: Cluster, uid: str, read: Callable[[Mapping[str, Any]], Run]) -> dict[str, Run]:
    """Return the AnalysisRuns of a rollout by name."""
    found = [
        read(obj) for obj in cluster.owned(resources.ANALYSIS_RUN, uid) if "deletionTimestamp" not in obj["metadata"]
    ]
    return {each.name: each for each in found}


def run(obj: Mapping[str, Any]) -> Run:
    """Read an AnalysisRun. What cannot be read has not begun."""
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    try:
        status = AnalysisRunStatus.model_validate(obj.get("status") or {})
    except ValidationError:
        status = AnalysisRunStatus()
    try:
        spec = AnalysisRunSpec.model_validate(obj.get("spec") or {})
    except ValidationError:
        spec = None
    attempt = str(labels.get(ATTEMPT_LABEL) or "")
    deciding = [result for result in status.metric_results if not result.dry_run]
    return Run(
        name=meta["name"],
        uid=meta.get("uid", ""),
        hash=labels.get(REVISION_LABEL, ""),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        role=labels.get(RUN_LABEL, ""),
        phase=status.phase,
        message=status.message,
        metric=next((result.name for result in deciding if result.phase == status.phase), ""),
        endless=spec is not None and bool(arguments.endless(spec)),
        stopping=(obj.get("spec") or {}).get("terminate") is True,
        created=meta.get("creationTimestamp", ""),
    )


def templates(
    cluster: Cluster,
    namespace: str,
    spec: RolloutSpec | None,
    read: Callable[[Mapping[str, Any]], AnalysisTemplateSpec | str],
) -> Templates:
    """Follow a rollout's templates from one to the other."""
    left = [reference for each in runs.named_in(spec) for reference in each.templates] if spec is not None else []
    found: dict[TemplateRef, AnalysisTemplateSpec | str | None] = {}
    while left:
        reference = left.pop()
        if reference in found:
            continue
        kind = resources.CLUSTER_ANALYSIS_TEMPLATE if reference.cluster_scope else resources.ANALYSIS_TEMPLATE
        obj = cluster.get(kind, None if reference.cluster_scope else namespace, reference.template_name)
        found[reference] = said = read(obj) if obj is not None else None
        if isinstance(said, AnalysisTemplateSpec):
            left += said.templates
    return found


def template(obj: Mapping[str, Any]) -> AnalysisTemplateSpec | str:
    """Read a template; of what cannot be read, say why."""
    try:
        return AnalysisTemplateSpec.model_validate(obj.get("spec") or {})
    except ValidationError as error:
        return str(next(faults(error)))
