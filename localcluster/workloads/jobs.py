"""Jobs: pods that run to their end, as often as asked for, until enough came to a good one or too many failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from localcluster.objects import Object
from localcluster.times import seconds_since, stamp
from localcluster.workloads.actions import Create, Delete, Draft, Patch, Plan
from localcluster.workloads.pods import condition, is_active, is_finished, is_ready, owned_by
from localcluster.workloads.templates import pod_for

FIRST_DELAY, LAST_DELAY = 10.0, 360.0
"""Seconds before a failed pod has a successor: twice as many after each, as Kubernetes has it."""
_ENDS = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}
"""What is said while pods are still there, and what then: a Job that has ended has none that run."""


def plan(job: Object, pods: Sequence[Object], now: datetime) -> Plan:
    """What to do for one Job; `pods` are those of its namespace (others are skipped here)."""
    draft = Draft()
    spec, status = job["spec"], job.get("status") or {}
    if job["metadata"].get("deletionTimestamp"):
        return draft.done()
    if ended := _end(job):
        _forget_in_time(draft, job, ended, now)
        return draft.done()
    mine = [pod for pod in pods if owned_by(pod, job["metadata"]["uid"])]
    active = [pod for pod in mine if is_active(pod)]
    counted = _counted(status, mine)
    if spec.get("suspend"):
        draft.actions += [Delete(group_version="v1", plural="pods", target=pod) for pod in active]
        _write(draft, job, {**counted, **_running(active), "startTime": None})
        return draft.done()
    started = status.get("startTime") or stamp(now)
    criterion = _criterion(job, mine, counted, started, now)
    if criterion:
        draft.actions += [Delete(group_version="v1", plural="pods", target=pod) for pod in active]
        standing = [pod for pod in mine if not is_finished(pod)]
        _write(
            draft, job, {**counted, **_running(active), "startTime": started, **_ending(job, criterion, standing, now)}
        )
        return draft.done()
    _write(draft, job, {**counted, **_running(active), "startTime": started})
    _add_pods(draft, job, mine, active, counted, now)
    if limit := spec.get("activeDeadlineSeconds"):
        draft.wake(limit - seconds_since(started, now))
    return draft.done()


def _counted(status: Mapping[str, Any], mine: Sequence[Object]) -> dict[str, int]:
    """Counts never fall: finished pods are removed some time after they were counted."""
    phases = [(pod.get("status") or {}).get("phase") for pod in mine]
    return {
        "succeeded": max(int(status.get("succeeded") or 0), phases.count("Succeeded")),
        "failed": max(int(status.get("failed") or 0), phases.count("Failed")),
    }


def _running(active: Sequence[Object]) -> dict[str, int]:
    return {"active": len(active), "ready": sum(is_ready(pod) for pod in active)}


def _criterion(
    job: Object, mine: Sequence[Object], counted: Mapping[str, int], started: str, now: datetime
) -> tuple[str, str, str] | None:
    """Why the Job ends: type, reason and message of the condition; None while it goes on."""
    for kind in _ENDS:
        if known := condition(job, kind):
            return kind, str(known.get("reason")), str(known.get("message"))
    spec = job["spec"]
    if spec.get("completionMode") == "Indexed":
        return "FailureTarget", "NotRun", "the local cluster runs no Indexed Jobs"
    if counted["failed"] + _restarts(mine) > int(spec.get("backoffLimit", 6)):
        return "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    limit = spec.get("activeDeadlineSeconds")
    if limit and seconds_since(started, now) >= limit:
        return "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
    if _has_enough(spec, mine, counted["succeeded"]):
        return "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def _has_enough(spec: Mapping[str, Any], mine: Sequence[Object], succeeded: int) -> bool:
    """Without `completions` one success is enough, and the others come to their end."""
    if spec.get("completions") is None:
        return succeeded > 0 and all(is_finished(pod) for pod in mine)
    return succeeded >= int(spec["completions"])


def _restarts(mine: Sequence[Object]) -> int:
    """With restartPolicy OnFailure a pod fails by its containers' restarts."""
    entries = (entry for pod in mine for entry in (pod.get("status") or {}).get("containerStatuses") or ())
    return sum(int(entry.get("restartCount") or 0) for entry in entries)


def _ending(job: Object, criterion: tuple[str, str, str], standing: Sequence[Object], now: datetime) -> dict[str, Any]:
    kind, reason, message = criterion
    told = {"status": "True", "reason": reason, "message": message, "lastTransitionTime": stamp(now)}
    target = condition(job, kind) or {"type": kind, **told}
    if standing:
        return {"conditions": [target]}
    end = _ENDS[kind]
    completion = {"completionTime": stamp(now)} if end == "Complete" else {}
    return {"conditions": [target, {"type": end, **told}], **completion}


def _end(job: Object) -> Mapping[str, Any] | None:
    return next((found for kind in _ENDS.values() if (found := condition(job, kind))), None)


def _forget_in_time(draft: Draft, job: Object, ended: Mapping[str, Any], now: datetime) -> None:
    kept = job["spec"].get("ttlSecondsAfterFinished")
    if kept is None:
        return
    left = kept - seconds_since(ended.get("lastTransitionTime"), now)
    if left > 0:
        draft.wake(left)
    else:
        draft.actions.append(Delete(group_version="batch/v1", plural="jobs", target=job))


def _add_pods(
    draft: Draft,
    job: Object,
    mine: Sequence[Object],
    active: Sequence[Object],
    counted: Mapping[str, int],
    now: datetime,
) -> None:
    spec = job["spec"]
    wanted = int(spec.get("parallelism", 1))
    if spec.get("completions") is not None:
        wanted = min(wanted, int(spec["completions"]) - counted["succeeded"])
    elif counted["succeeded"]:
        return  # those that run come to their end
    missing = wanted - sum(not is_finished(pod) for pod in mine)
    if missing < 0:
        draft.actions += [Delete(group_version="v1", plural="pods", target=pod) for pod in active[missing:]]
    if missing <= 0:
        return
    if wait := _wait(mine, counted["failed"], now):
        draft.wake(wait)
        return
    draft.actions += [Create(group_version="v1", plural="pods", obj=pod_for(job)) for _ in range(missing)]


def _wait(mine: Sequence[Object], failed: int, now: datetime) -> float:
    """Seconds until the next pod after a failure."""
    since = [
        seconds_since(_finished_at(pod), now) for pod in mine if (pod.get("status") or {}).get("phase") == "Failed"
    ]
    delay = min(LAST_DELAY, FIRST_DELAY * 2.0 ** max(0, failed - 1))
    return max(0.0, delay - min(since)) if since else 0.0


def _finished_at(pod: Object) -> str:
    entries = (pod.get("status") or {}).get("containerStatuses") or ()
    ends = [((entry.get("state") or {}).get("terminated") or {}).get("finishedAt") for entry in entries]
    return max((str(end) for end in ends if end), default=str(pod["metadata"]["creationTimestamp"]))


def _write(draft: Draft, job: Object, wanted: Mapping[str, Any]) -> None:
    """Zero, empty and missing are the same."""
    present = job.get("status") or {}
    if any((present.get(name) or None) != (value or None) for name, value in wanted.items()):
        patch = {"status": {name: value or None for name, value in wanted.items()}}
        draft.actions.append(Patch(group_version="batch/v1", plural="jobs", target=job, patch=patch, sub="status"))
