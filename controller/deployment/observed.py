"""What stands in the cluster for one SeldonDeployment: a frozen snapshot, and how its parts are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from controller.deployment.render.labels import APP

Object = Mapping[str, Any]
Identity = tuple[str, str]
"""Kind and name."""

RETIRED_ANNOTATION = "rollouts.seldon.io/retired-at"
"""On what has been replaced: since when it only waits for its connections to drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A snapshot of what belongs to one SeldonDeployment, and of what stands under names that it wants.

    Args:
        uid: the SeldonDeployment's.
        objects: live objects by kind and name.
        endpoints: the names of the pods that each Service leads to and that are ready, by the Service's name.
        reached: name and number of the ports at which each Service leads to them.
        pods: the SeldonDeployment's pods.
        mesh: whether the kinds of Istio are served.
        patience: how long the mesh's answer for a first route is waited for.
        keda: whether KEDA's ScaledObject is served.
        security: whether Istio's kinds of security are served.
    """

    uid: str
    objects: Mapping[Identity, Object] = field(default_factory=dict)
    endpoints: Mapping[str, frozenset[str]] = field(default_factory=dict)
    reached: Mapping[str, frozenset[tuple[str, int]]] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    mesh: bool = True
    patience: timedelta = timedelta(0)
    keda: bool = False
    security: bool = False

    def live(self, desired: Object) -> Object | None:
        """Return the live object under the kind and name of a desired one."""
        return self.objects.get(identity(desired))

    def owns(self, live: Object) -> bool:
        """Return whether the SeldonDeployment is the object's controller."""
        return any(
            each.get("controller") and each.get("uid") == self.uid
            for each in live["metadata"].get("ownerReferences") or ()
        )

    def owned(self) -> Iterator[Object]:
        """Walk the live objects that belong to the SeldonDeployment."""
        return (each for each in self.objects.values() if self.owns(each))

    def pods_of(self, deployment: str) -> list[Object]:
        """Return the pods of a Deployment, by their label `app`."""
        return [each for each in self.pods if (each["metadata"].get("labels") or {}).get("app") == deployment]


def identity(obj: Object) -> Identity:
    """Return an object's kind and name."""
    return obj["kind"], obj["metadata"]["name"]


def is_ending(live: Object) -> bool:
    """Return whether an object is being deleted."""
    return "deletionTimestamp" in live["metadata"]


def retired_at(live: Object) -> str:
    """Return since when an object only drains; empty when it serves."""
    return (live["metadata"].get("annotations") or {}).get(RETIRED_ANNOTATION) or ""


def wanted_replicas(deployment: Object) -> int:
    """Return how many pods a live Deployment should have."""
    number = deployment["spec"].get("replicas")
    return 1 if number is None else int(number)


def available_replicas(deployment: Object) -> int:
    """Return how many pods of a live Deployment are available."""
    return int((deployment.get("status") or {}).get("availableReplicas") or 0)


def is_rolled_out(deployment: Object) -> bool:
    """Return whether every pod of a live Deployment is of its present template, and available."""
    status = deployment.get("status") or {}
    wanted = wanted_replicas(deployment)
    return (
        int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
        and int(status.get("updatedReplicas") or 0) >= wanted
        and int(status.get("replicas") or 0) <= wanted
        and available_replicas(deployment) >= wanted
    )


def is_begun(deployment: Object) -> bool:
    """Return whether all pods that a live Deployment has are of its present template, and one is available."""
    status = deployment.get("status") or {}
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    same = int(status.get("updatedReplicas") or 0) == int(status.get("replicas") or 0)
    return seen and same and is_serving(deployment)


def is_serving(deployment: Object) -> bool:
    """Return whether a live Deployment has an available pod, or wants none."""
    return wanted_replicas(deployment) == 0 or available_replicas(deployment) > 0


def failure(deployment: Object) -> str:
    """Return why a Deployment makes no progress; empty while it does."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        stuck = condition.get("type") == "Progressing" and condition.get("status") == "False"
        if stuck or (condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"):
            return str(condition.get("message") or condition.get("reason") or "it makes no progress")
    return ""


def is_ready(pod: Object) -> bool:
    """Return whether a pod is ready and stays."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not is_ending(pod) and any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in conditions
    )


def is_reachable(observed: Observed, deployment: Object) -> bool:
    """Return whether the Service in front of a Deployment leads to all its ready pods, and to one at least.

    True for a Deployment that faces no users or wants no pods.
    """
    template = (deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}
    if APP not in template or wanted_replicas(deployment) == 0:
        return True
    pods = observed.pods_of(deployment["metadata"]["name"])
    ready = {each["metadata"]["name"] for each in pods if is_ready(each)}
    return bool(ready) and ready <= observed.endpoints.get(template[APP], frozenset())
