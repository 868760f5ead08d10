"""What a pod says about itself: owned by whom, active, ready, available; and which to end first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcluster.objects import Object
from localcluster.times import moment, seconds_since

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FINISHED = ("Succeeded", "Failed")
PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of the controller, if any."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Mapping[str, Any] = reference
            return found
    return None


def owned_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Whether the controller of an object is the one with this uid."""
    owner = controller_of(obj)
    return owner is not None and owner.get("uid") == uid


def owner_reference(owner: Object) -> dict[str, Any]:
    """The reference that makes an object its controller's."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_ending(obj: Mapping[str, Any]) -> bool:
    """Whether its deletion was asked for."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Whether it ran to its end."""
    return (pod.get("status") or {}).get("phase") in FINISHED


def is_active(pod: Mapping[str, Any]) -> bool:
    """Whether it counts as a replica: not finished and not being deleted."""
    return not is_finished(pod) and not is_ending(pod)


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """A condition of its status by type."""
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry.get("type") == kind:
            found: Mapping[str, Any] = entry
            return found
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether its condition Ready is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def available_in(pod: Mapping[str, Any], min_ready: int, now: datetime) -> float | None:
    """Seconds until it has been ready for `min_ready` seconds (0: available now); None while it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    if not min_ready:
        return 0.0
    return max(0.0, min_ready - seconds_since(ready.get("lastTransitionTime"), now))


def is_available(pod: Mapping[str, Any], min_ready: int, now: datetime) -> bool:
    """Whether it is ready, and has been for `min_ready` seconds."""
    return available_in(pod, min_ready, now) == 0


def removal_rank(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sort key: the pods that are the smallest loss first.

    Without a node, not yet running, not ready, cheaper by annotation, ready for a shorter time, with more restarts,
    newer: the order that the ReplicaSet documentation gives.
    """
    meta, status = pod["metadata"], pod.get("status") or {}
    ready = condition(pod, "Ready") or {}
    ready_for = moment(ready.get("lastTransitionTime")) if is_ready(pod) else None
    restarts = sum(entry.get("restartCount", 0) for entry in status.get("containerStatuses") or ())
    created = moment(meta.get("creationTimestamp"))
    return (
        bool((pod.get("spec") or {}).get("nodeName")),
        PHASE_RANK.get(status.get("phase", "Pending"), 0),
        is_ready(pod),
        _cost(meta.get("annotations") or {}),
        -(ready_for.timestamp() if ready_for else 0.0),
        -restarts,
        -(created.timestamp() if created else 0.0),
        meta["name"],
    )


def _cost(annotations: Mapping[str, str]) -> int:
    try:
        return int(annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0
