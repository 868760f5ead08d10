"""Gather: templates and AnalysisRuns out of the caches, as values."""

from typing import Any

from pydantic import ValidationError

from controller.api.analysis import AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplateSpec, TemplateRef
from controller.api.meta import ATTEMPT_LABEL, REVISION_LABEL, RUN_LABEL
from controller.api.rollout import RolloutSpec
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.rollout import arguments, runs
from controller.rollout.observed import Run, Templates


def owned_runs(cluster: Cluster, uid: str) -> dict[str, Run]:
    """Return the AnalysisRuns of a rollout by name."""
    found = [
        run(obj) for obj in cluster.owned(resources.ANALYSIS_RUN, uid) if "deletionTimestamp" not in obj["metadata"]
    ]
    return {each.name: each for each in found}


def run(obj: dict[str, Any]) -> Run:
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


def templates(cluster: Cluster, namespace: str, spec: RolloutSpec | None) -> Templates:
    """Follow a rollout's templates from one to the other."""
    left = [reference for each in runs.named_in(spec) for reference in each.templates] if spec is not None else []
    found: dict[TemplateRef, AnalysisTemplateSpec | str | None] = {}
    while left:
        reference = left.pop()
        if reference in found:
            continue
        found[reference] = read = _template(cluster, namespace, reference)
        if isinstance(read, AnalysisTemplateSpec):
            left += read.templates
    return found


def _template(cluster: Cluster, namespace: str, reference: TemplateRef) -> AnalysisTemplateSpec | str | None:
    kind = resources.CLUSTER_ANALYSIS_TEMPLATE if reference.cluster_scope else resources.ANALYSIS_TEMPLATE
    obj = cluster.get(kind, None if reference.cluster_scope else namespace, reference.template_name)
    if obj is None:
        return None
    try:
        return AnalysisTemplateSpec.model_validate(obj.get("spec") or {})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(("spec", *(str(part) for part in first["loc"])))
        return f"{path}: {first['msg']}"[:500]
