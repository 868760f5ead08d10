"""Bundle: the manifests that an administrator applies, put together for one installation. Pure, over documents."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

Object = dict[str, Any]

_OF_OPERATOR = "seldon-rollouts-operator"
_OF_ROLLOUT = ("seldon-rollouts-rollout", "seldon-rollouts-analysis")
_SELDON_CRD = "seldondeployments.machinelearning.seldon.io"
CONTROLLER = "seldon-rollouts-controller"
PROMETHEUS, GATEWAY = "http://prometheus.istio-system:9090", "istio-system/seldon-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is wanted of an installation."""

    controllers: Literal["both", "operator", "rollout"] = "both"
    """rollout: beside a Seldon Core v1 operator that is in the cluster already."""
    prometheus_url: str = PROMETHEUS
    gateway: str = GATEWAY
    registry: str = ""
    """Where the images are, such as registry.example/team; Docker Hub when empty."""
    pod_monitors: bool = True
    """Whether the Prometheus operator is there; else pods carry prometheus.io annotations."""
    dashboard: bool = False


def bundle(documents: Iterable[Mapping[str, Any]], wanted: Installation) -> list[Object]:
    """Return what to apply, in order: definitions and namespaces first.

    Args:
        documents: those of crds/, manifests/base and, where it is wanted, manifests/dashboard.
        wanted: the installation.
    """
    kept = [_adapted(deepcopy(dict(each)), wanted) for each in documents if _belongs(each, wanted)]
    first = {"CustomResourceDefinition": 0, "Namespace": 1, "ServiceAccount": 2}
    return sorted(kept, key=lambda each: first.get(each["kind"], 3))


def _belongs(obj: Mapping[str, Any], wanted: Installation) -> bool:
    kind, name = obj["kind"], obj["metadata"]["name"]
    if kind == "PodMonitor":
        return wanted.pod_monitors
    if wanted.controllers == "operator":
        return not (name in _OF_ROLLOUT or (kind == "CustomResourceDefinition" and name != _SELDON_CRD))
    if wanted.controllers == "rollout":
        return name not in (_OF_OPERATOR, _SELDON_CRD) and kind != "ConfigMap"
    return True


def _adapted(obj: Object, wanted: Installation) -> Object:
    if obj["kind"] == "Namespace" and wanted.controllers == "rollout":
        # The operator's pods live here too, and may need more.
        obj["metadata"].get("labels", {}).pop("pod-security.kubernetes.io/enforce", None)
    if obj["kind"] != "Deployment":
        return obj
    pod = obj["spec"]["template"]
    for container in pod["spec"]["containers"]:
        container["args"] = _arguments(container["args"], wanted, controller=obj["metadata"]["name"] == CONTROLLER)
        if wanted.registry:
            container["image"] = f"{wanted.registry.rstrip('/')}/{container['image'].rpartition('/')[2]}"
    if not wanted.pod_monitors and obj["metadata"]["name"] == CONTROLLER:
        pod["metadata"].setdefault("annotations", {}).update(
            {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
        )
    return obj


def _arguments(given: Sequence[str], wanted: Installation, *, controller: bool) -> list[str]:
    own = {"--prometheus-url": wanted.prometheus_url, "--gateway": wanted.gateway}
    known = [f"{flag}={own[flag]}" if (flag := each.partition("=")[0]) in own else each for each in given]
    parts = {"both": "", "operator": "operator", "rollout": "rollout,analysis"}[wanted.controllers]
    return [*known, f"--controllers={parts}"] if controller and parts else known
