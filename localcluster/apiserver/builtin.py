"""The built-in kinds, as a table."""

from functools import cache
from typing import Any

from localcluster.apiserver import autoscalers, events
from localcluster.apiserver.columns import BUILTIN_COLUMNS
from localcluster.apiserver.kinds import ALL_VERBS, Kind, Scale
from localcluster.apiserver.rules import BUILTIN_RULES
from localcluster.apiserver.shape import builtin as shape_of

_BASE = frozenset({"metadata.name", "metadata.namespace"})
_POD_FIELDS = _BASE | {
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.nominatedNodeName",
}  # fmt: skip
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_CORE_EVENT_FIELDS = (
    _BASE | {f"involvedObject.{name}" for name in _INVOLVED} | {"reason", "reportingComponent", "source", "type"}
)
_EVENT_FIELDS = _BASE | {f"regarding.{name}" for name in _INVOLVED} | {"reason", "reportingController", "type"}


def _kind(group_version: str, kind: str, plural: str, short: str = "", **more: Any) -> Kind:
    """One row. The package of a kind's definition follows from its group, but for definitions given by name."""
    group, _, version = group_version.rpartition("/")
    package = group.removesuffix(".k8s.io").removesuffix(".authorization") or "core"
    definition: str = more.pop("definition", f"io.k8s.api.{package}.{version}.{kind}")
    return Kind(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        short_names=tuple(short.split()),
        definition=definition,
        shape=shape_of(definition),
        rules=BUILTIN_RULES.get((group, kind)),
        columns=BUILTIN_COLUMNS.get((group, kind), ()),
        **more,
    )


_EVERYWHERE: dict[str, Any] = {"namespaced": False}
_STATUS: dict[str, Any] = {"status": True}
_COUNTED: dict[str, Any] = {"generations": True}
_ALL: dict[str, Any] = {"categories": ("all",)}
_WORKLOAD: dict[str, Any] = {**_STATUS, **_COUNTED, **_ALL}
_SCALED: dict[str, Any] = {**_WORKLOAD, "scale": Scale(selector=("spec", "selector"))}
_ASKED: dict[str, Any] = {"verbs": ("create",)}
_AUTOSCALER: dict[str, Any] = {
    **_STATUS,
    **_ALL,
    "stored_version": autoscalers.STORED,
    "convert": autoscalers.convert,
}
_EVENTS: dict[str, Any] = {"stored": "events", "stored_version": "v1", "convert": events.convert}


def _selectable(*names: str) -> dict[str, Any]:
    return {"selectable": _BASE | set(names)}


def _core() -> list[Kind]:
    pod = {"connects": ("log", "eviction", "binding"), "selectable": _POD_FIELDS}
    namespace = {"connects": ("finalize",), **_selectable("status.phase")}
    return [
        _kind("v1", "Namespace", "namespaces", "ns", **_EVERYWHERE, **_STATUS, **namespace),
        _kind("v1", "Pod", "pods", "po", **_STATUS, **_ALL, **pod),
        _kind("v1", "Service", "services", "svc", **_STATUS, **_ALL, **_selectable("spec.clusterIP", "spec.type")),
        _kind("v1", "Endpoints", "endpoints", "ep"),
        _kind("v1", "ConfigMap", "configmaps", "cm"),
        _kind("v1", "Secret", "secrets", **_selectable("type")),
        _kind("v1", "ServiceAccount", "serviceaccounts", "sa", connects=("token",)),
        _kind("v1", "Event", "events", "ev", selectable=_CORE_EVENT_FIELDS, **_EVENTS),
        _kind("v1", "Node", "nodes", "no", **_EVERYWHERE, **_STATUS, **_selectable("spec.unschedulable")),
        _kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", **_STATUS),
        _kind("v1", "PersistentVolume", "persistentvolumes", "pv", **_EVERYWHERE, **_STATUS),
    ]


def _workloads() -> list[Kind]:
    return [
        _kind("apps/v1", "Deployment", "deployments", "deploy", **_SCALED),
        _kind("apps/v1", "ReplicaSet", "replicasets", "rs", **_SCALED, **_selectable("status.replicas")),
        _kind("apps/v1", "StatefulSet", "statefulsets", "sts", **_SCALED),
        _kind("apps/v1", "DaemonSet", "daemonsets", "ds", **_WORKLOAD),
        _kind("apps/v1", "ControllerRevision", "controllerrevisions"),
        _kind("batch/v1", "Job", "jobs", **_WORKLOAD, **_selectable("status.successful")),
        _kind("batch/v1", "CronJob", "cronjobs", "cj", **_WORKLOAD),
        _kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", **_AUTOSCALER),
        _kind("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", **_AUTOSCALER),
        _kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", **_STATUS, **_COUNTED),
    ]


def _others() -> list[Kind]:
    rbac, hooks = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
    hook = {**_EVERYWHERE, **_COUNTED}
    crd = {
        **_EVERYWHERE,
        **_STATUS,
        **_COUNTED,
        "categories": ("api-extensions",),
        "definition": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    }
    return [
        _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", **_COUNTED),
        _kind("coordination.k8s.io/v1", "Lease", "leases"),
        _kind("events.k8s.io/v1", "Event", "events", "ev", selectable=_EVENT_FIELDS, **_EVENTS),
        _kind(rbac, "Role", "roles"),
        _kind(rbac, "RoleBinding", "rolebindings"),
        _kind(rbac, "ClusterRole", "clusterroles", **_EVERYWHERE),
        _kind(rbac, "ClusterRoleBinding", "clusterrolebindings", **_EVERYWHERE),
        _kind(hooks, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", **hook),
        _kind(hooks, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", **hook),
        _kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "crd crds", **crd),
    ]


def _reviews() -> list[Kind]:
    """Kinds that are asked, never stored."""
    authorization, authentication = "authorization.k8s.io/v1", "authentication.k8s.io/v1"
    asked = {**_EVERYWHERE, **_ASKED}
    return [
        _kind(authentication, "TokenReview", "tokenreviews", **asked),
        _kind(authentication, "SelfSubjectReview", "selfsubjectreviews", **asked),
        _kind(authorization, "SubjectAccessReview", "subjectaccessreviews", **asked),
        _kind(authorization, "SelfSubjectAccessReview", "selfsubjectaccessreviews", **asked),
        _kind(authorization, "SelfSubjectRulesReview", "selfsubjectrulesreviews", **asked),
        _kind(authorization, "LocalSubjectAccessReview", "localsubjectaccessreviews", **_ASKED),
    ]


@cache
def builtin_kinds() -> tuple[Kind, ...]:
    """Every built-in kind that the server serves."""
    kinds = (*_core(), *_workloads(), *_others(), *_reviews())
    assert all(set(kind.verbs) <= set(ALL_VERBS) for kind in kinds)
    return kinds
