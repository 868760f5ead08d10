"""ReplicaSets: as many pods as wanted, and a status that counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from localcluster.objects import Object
from localcluster.selectors import covers, labels_of, matches
from localcluster.times import stamp
from localcluster.workloads.actions import Create, Delete, Draft, Patch, Plan, Tell
from localcluster.workloads.amounts import replicas_of
from localcluster.workloads.pods import (
    available_in,
    condition,
    controller_of,
    is_active,
    is_ending,
    is_ready,
    owned_by,
    owner_reference,
    removal_rank,
)
from localcluster.workloads.templates import pod_for

BURST = 500


def plan(replicaset: Object, pods: Sequence[Object], now: datetime, failure: str = "") -> Plan:
    """What to do for one ReplicaSet.

    `pods` are those of its namespace (others are skipped here); `failure` is why the last creation of a pod was
    refused, if it was.
    """
    draft = Draft()
    uid = replicaset["metadata"]["uid"]
    mine = [pod for pod in pods if owned_by(pod, uid)]
    if not is_ending(replicaset):
        adopted = [pod for pod in pods if _orphan_of(replicaset, pod)]
        draft.actions += [_adopt(replicaset, pod) for pod in adopted]
        active = [pod for pod in (*mine, *adopted) if is_active(pod)]
        _match_count(draft, replicaset, active)
    active = [pod for pod in mine if is_active(pod)]
    status = _status(replicaset, active, now, failure)
    if _differs(replicaset.get("status") or {}, status):
        patch = {"status": {name: value or None for name, value in status.items()} | {"replicas": len(active)}}
        draft.actions.append(
            Patch(
                group_version="apps/v1",
                plural="replicasets",
                target=replicaset,
                patch=patch,
                sub="status",
                guarded=False,
            )
        )
    _wake_when_available(draft, active, min_ready_of(replicaset), now)
    return draft.done()


def min_ready_of(obj: Mapping[str, Any]) -> int:
    """spec.minReadySeconds, 0 when it is not set."""
    return int(obj["spec"].get("minReadySeconds") or 0)


def _orphan_of(replicaset: Object, pod: Object) -> bool:
    return controller_of(pod) is None and is_active(pod) and matches(replicaset["spec"].get("selector"), labels_of(pod))


def _adopt(replicaset: Object, pod: Object) -> Patch:
    references = [*(pod["metadata"].get("ownerReferences") or ()), owner_reference(replicaset)]
    patch = {"metadata": {"ownerReferences": references}}
    return Patch(group_version="v1", plural="pods", target=pod, patch=patch)


def _match_count(draft: Draft, replicaset: Object, active: list[Object]) -> None:
    missing = replicas_of(replicaset) - len(active)
    if missing > 0:
        new = pod_for(replicaset)
        draft.actions += [Create(group_version="v1", plural="pods", obj=new) for _ in range(min(missing, BURST))]
        draft.actions.append(Tell(about=replicaset, reason="SuccessfulCreate", message=_counted("Created", missing)))
    elif missing < 0:
        for pod in sorted(active, key=removal_rank)[:-missing]:
            draft.actions.append(Delete(group_version="v1", plural="pods", target=pod))
        draft.actions.append(Tell(about=replicaset, reason="SuccessfulDelete", message=_counted("Deleted", -missing)))


def _counted(verb: str, count: int) -> str:
    return f"{verb} {count} pod{'s' if count > 1 else ''}"


def _status(replicaset: Object, active: list[Object], now: datetime, failure: str) -> dict[str, Any]:
    labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels") or {}
    min_ready = min_ready_of(replicaset)
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(covers(labels, labels_of(pod)) for pod in active),
        "readyReplicas": sum(is_ready(pod) for pod in active),
        "availableReplicas": sum(available_in(pod, min_ready, now) == 0 for pod in active),
        "observedGeneration": replicaset["metadata"].get("generation", 0),
        "conditions": _conditions(replicaset, now, failure),
    }


def _conditions(replicaset: Object, now: datetime, failure: str) -> list[dict[str, Any]]:
    if not failure:
        return []
    known = condition(replicaset, "ReplicaFailure")
    since = known["lastTransitionTime"] if known else stamp(now)
    told = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure}
    return [told | {"lastTransitionTime": since}]


def _differs(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Zero, empty and missing are the same."""
    return any((present.get(name) or None) != (value or None) for name, value in wanted.items())


def _wake_when_available(draft: Draft, active: Iterable[Object], min_ready: int, now: datetime) -> None:
    for pod in active:
        if wait := available_in(pod, min_ready, now):
            draft.wake(wait)
