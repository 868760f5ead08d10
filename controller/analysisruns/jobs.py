"""Jobs: what a `job` provider makes, and what its end says."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from analysis.runs.model import Measurement, Phase
from controller.api.metric import JobMetric
from controller.api.names import stable_hash

RUN_LABEL = "rollouts.seldon.io/analysis-run"
METRIC_ANNOTATION = "rollouts.seldon.io/metric"
LOOK_AGAIN = timedelta(seconds=30)
"""A Job that ends wakes its run; this is for the case that the news is lost."""


def name(run: Mapping[str, Any], metric: str, number: int) -> str:
    """Return the name of a metric's n-th Job: always the same, so that a second one cannot be made after a crash."""
    digest = stable_hash({"run": run["metadata"]["uid"], "metric": metric})[:10]
    return f"{run['metadata']['name'][:40].rstrip('.-')}-{digest}-{number}"


def rendered(run: Mapping[str, Any], metric: str, number: int, job: JobMetric) -> dict[str, Any]:
    """Return the Job of a measurement; it is the run's and goes with it."""
    meta = run["metadata"]
    given = job.metadata
    spec = {"backoffLimit": 0, **job.spec}
    template = dict(spec.get("template") or {})
    template["spec"] = {"restartPolicy": "Never", **(template.get("spec") or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(run, metric, number),
            "namespace": meta["namespace"],
            "labels": {**(given.labels if given else {}), RUN_LABEL: meta["name"][:63].rstrip(".-_")},
            "annotations": {**(given.annotations if given else {}), METRIC_ANNOTATION: metric},
            "ownerReferences": [
                {
                    "apiVersion": "rollouts.seldon.io/v1alpha1",
                    "kind": "AnalysisRun",
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {**spec, "template": template},
    }


def result(job: Mapping[str, Any], started: datetime, now: datetime) -> Measurement:
    """Return what a Job says by now: Successful when complete, Failed when failed, else unfinished."""
    metadata = {"job": str(job["metadata"]["name"])}
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") != "True" or condition.get("type") not in ("Complete", "Failed"):
            continue
        good = condition["type"] == "Complete"
        said = str(condition.get("message") or condition.get("reason") or "")
        return Measurement(
            phase=Phase.SUCCESSFUL if good else Phase.FAILED,
            message="" if good else f"Job {metadata['job']} failed{f': {said}' if said else ''}"[:500],
            started_at=started,
            finished_at=now,
            metadata=metadata,
        )
    return Measurement(phase=Phase.RUNNING, started_at=started, resume_at=now + LOOK_AGAIN, metadata=metadata)
