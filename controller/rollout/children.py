"""Children: the SeldonDeployments of a rollout's revisions, read with their pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.api import names
from controller.api.meta import REVISION_LABEL, ROLE_LABEL
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.rollout import scaling
from controller.rollout.observed import Child


def role(obj: Mapping[str, Any]) -> str:
    """Return what a SeldonDeployment is to its rollout; empty where it is nothing to any."""
    return str((obj["metadata"].get("labels") or {}).get(ROLE_LABEL, ""))


def child(cluster: Cluster, obj: dict[str, Any]) -> Child:
    """Return a revision's SeldonDeployment with the pods that it has."""
    meta, status = obj["metadata"], obj.get("status") or {}
    labels = meta.get("labels") or {}
    pods = _pods(cluster, meta["namespace"], meta["name"])
    seen = status.get("observedGeneration", meta.get("generation"))
    current = seen == meta.get("generation")
    # Upstream's operator never says which spec a status is about: then the pods of the present one must be there.
    unsure = bool(status.get("state")) and "observedGeneration" not in status
    wanted = max(pods.wanted, scaling.least_pods(obj.get("spec") or {})) if unsure else pods.wanted
    available = current and status.get("state") == "Available" and pods.ready >= wanted
    return Child(
        hash=labels.get(REVISION_LABEL, ""),
        name=meta["name"],
        live=obj,
        replicas=wanted,
        ready_replicas=pods.ready,
        capacity=pods.capacity,
        pods=pods.each,
        reached=current and _led_to(cluster, obj),
        refused=pods.refused,
        available=available,
        message="" if available else str(status.get("description") or ""),
        role=role(obj),
    )


def _led_to(cluster: Cluster, obj: Mapping[str, Any]) -> bool:
    """Say whether the subsets that routes name exist: our operator makes them with a predictor's first pods."""
    meta, found = obj["metadata"], scaling.predictors(obj.get("spec") or {})
    services = [names.predictor_service(meta["name"], each["name"], each.get("annotations")) for each in found]
    return all(cluster.get(resources.DESTINATION_RULE, meta["namespace"], service) for service in services)


@dataclass(frozen=True, slots=True)
class _Pods:
    """Pods over all Deployments of a child; none is ready while one Deployment has none ready."""

    wanted: int
    ready: int
    capacity: int
    each: tuple[tuple[int, int], ...]
    refused: str


def _pods(cluster: Cluster, namespace: str, child: str) -> _Pods:
    found = cluster.selected(resources.DEPLOYMENT, namespace, {"seldon-deployment-id": child})
    wanted = [int((obj.get("spec") or {}).get("replicas", 1)) for obj in found]
    ready = [int((obj.get("status") or {}).get("readyReplicas", 0)) for obj in found]
    starved = any(want > 0 and have == 0 for want, have in zip(wanted, ready, strict=True))
    shares = [100 * min(have, want) // want for want, have in zip(wanted, ready, strict=True) if want > 0]
    return _Pods(
        wanted=sum(wanted),
        ready=0 if starved else sum(min(pair) for pair in zip(wanted, ready, strict=True)),
        capacity=min(shares, default=100),
        each=tuple(zip(ready, wanted, strict=True)),
        refused=next(filter(None, map(_refused, found)), ""),
    )


def _refused(deployment: Mapping[str, Any]) -> str:
    """Return why a Deployment's ReplicaSet creates no more pods."""
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "pods cannot be created")[:500]
    return ""
