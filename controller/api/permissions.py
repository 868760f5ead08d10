"""What the controllers may do in a cluster: the one table that the RBAC manifests and their documentation are made of.

Exactly what the code calls, and nothing besides: a test reads the calls out of the code and compares.
"""

from dataclasses import dataclass
from typing import Any, Literal

from controller.api.meta import MACHINELEARNING_GROUP, ROLLOUTS_GROUP

Part = Literal["operator", "rollout", "analysis", "own", "webhook", "webhook-own"]
READ = ("list", "watch")
APPLY = ("create", "patch")
"""Server-side apply: patch, and create while there is no such object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Verbs on some kinds of one API group.

    Args:
        part: who needs it: one of the controllers, or `own` for what every replica does in its own namespace;
            `webhook` and `webhook-own` alike, where there are admission webhooks whose certificate is ours.
        group: the API group; empty for core.
        resources: plural names, with `/status` or `/finalizers` for a subresource.
        verbs: what may be done.
        names: only objects of these names; all when empty.
        why: what it is for, in one sentence.
    """

    part: Part
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()


def _events(part: Part) -> Permission:
    return Permission(
        part=part, group="", resources=("events",), verbs=("create", "patch"), why="says what it did; counts repeats"
    )


_WRITTEN = ("get", *READ, *APPLY, "delete")
_WRITES = "written for each predictor, unless a stranger has the name; deleted when no longer wanted"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        part="operator",
        group=MACHINELEARNING_GROUP,
        resources=("seldondeployments",),
        verbs=READ,
        why="what people and the rollout controller want",
    ),
    Permission(
        part="operator",
        group=MACHINELEARNING_GROUP,
        resources=("seldondeployments/status",),
        verbs=("patch",),
        why="its answer",
    ),
    Permission(
        part="operator",
        group=MACHINELEARNING_GROUP,
        resources=("seldondeployments/finalizers",),
        verbs=("update",),
        why="its objects name the SeldonDeployment as an owner that waits for them; some clusters ask for this",
    ),
    Permission(part="operator", group="", resources=("services",), verbs=_WRITTEN, why=_WRITES),
    Permission(part="operator", group="apps", resources=("deployments",), verbs=_WRITTEN, why=_WRITES),
    Permission(
        part="operator",
        group="autoscaling",
        resources=("horizontalpodautoscalers",),
        verbs=_WRITTEN,
        why=_WRITES,
    ),
    Permission(part="operator", group="keda.sh", resources=("scaledobjects",), verbs=_WRITTEN, why=_WRITES),
    Permission(part="operator", group="policy", resources=("poddisruptionbudgets",), verbs=_WRITTEN, why=_WRITES),
    Permission(
        part="operator",
        group="networking.istio.io",
        resources=("destinationrules", "virtualservices"),
        verbs=_WRITTEN,
        why=_WRITES,
    ),
    Permission(
        part="operator",
        group="security.istio.io",
        resources=("authorizationpolicies", "peerauthentications"),
        verbs=_WRITTEN,
        why="who of the mesh may ask a SeldonDeployment, where its annotations say so; deleted when they no longer do",
    ),
    Permission(part="operator", group="", resources=("pods",), verbs=READ, why="why a pod is not ready"),
    Permission(
        part="operator",
        group="discovery.k8s.io",
        resources=("endpointslices",),
        verbs=READ,
        why="traffic moves only to what has ready addresses",
    ),
    Permission(
        part="operator",
        group="",
        resources=("namespaces",),
        verbs=("get",),
        why="whether its label seldon.io/controller-id says that another operator looks after it",
    ),
    Permission(
        part="operator",
        group="",
        resources=("serviceaccounts", "secrets"),
        verbs=("get",),
        why="which Secret of a service account gives access to a model, one by one; its content is copied nowhere",
    ),
    _events("operator"),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("seldonrollouts",),
        verbs=("get", *READ),
        why="what people want; read once more before traffic moves or pods go",
    ),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("seldonrollouts",),
        verbs=("patch",),
        why="a finalizer where its traffic is to be looked after when it is deleted; never its spec",
    ),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("seldonrollouts/status",),
        verbs=("patch",),
        why="its answer",
    ),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("seldonrollouts/finalizers",),
        verbs=("update",),
        why="its objects name the rollout as an owner that waits for them; some clusters ask for this",
    ),
    Permission(
        part="rollout",
        group=MACHINELEARNING_GROUP,
        resources=("seldondeployments",),
        verbs=(*READ, *APPLY, "delete"),
        why="one for each revision; a retired one goes",
    ),
    Permission(
        part="rollout",
        group="apps",
        resources=("controllerrevisions",),
        verbs=(*READ, *APPLY, "delete"),
        why="the history of templates",
    ),
    Permission(
        part="rollout",
        group="apps",
        resources=("deployments",),
        verbs=READ,
        why="how many pods of a revision are ready; works with any operator",
    ),
    Permission(
        part="rollout",
        group="networking.istio.io",
        resources=("virtualservices",),
        verbs=("get", *READ, *APPLY, "delete"),
        why="the split of the traffic; it goes with its rollout, or when a VirtualService of a person's own takes over",
    ),
    Permission(
        part="rollout",
        group="networking.istio.io",
        resources=("destinationrules",),
        verbs=READ,
        why="what takes failing pods out and so hides a canary's faults is told; none is written",
    ),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("analysistemplates", "clusteranalysistemplates"),
        verbs=READ,
        why="what its AnalysisRuns are made from",
    ),
    Permission(
        part="rollout",
        group=ROLLOUTS_GROUP,
        resources=("analysisruns",),
        verbs=("get", *READ, *APPLY, "delete"),
        why="made for an attempt, told to end with it; the oldest go",
    ),
    _events("rollout"),
    Permission(
        part="analysis",
        group=ROLLOUTS_GROUP,
        resources=("analysisruns",),
        verbs=(*READ, "delete"),
        why="what is measured; a run whose time to live is over goes",
    ),
    Permission(
        part="analysis",
        group=ROLLOUTS_GROUP,
        resources=("analysisruns/status",),
        verbs=("patch",),
        why="its answer",
    ),
    Permission(
        part="analysis",
        group=ROLLOUTS_GROUP,
        resources=("analysisruns/finalizers",),
        verbs=("update",),
        why="its Jobs name the run as an owner that waits for them; some clusters ask for this",
    ),
    Permission(
        part="analysis",
        group="batch",
        resources=("jobs",),
        verbs=("get", *READ, "create", "delete"),
        why="the Jobs of metrics with a `job` provider",
    ),
    Permission(
        part="analysis",
        group="",
        resources=("secrets",),
        verbs=("get",),
        why="arguments with valueFrom.secretKeyRef, one by one; never a list",
    ),
    _events("analysis"),
    Permission(
        part="own",
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("create",),
        why="the first leader makes the Lease; RBAC cannot bind a creation to a name",
    ),
    Permission(
        part="own",
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "update"),
        names=("seldon-rollouts-controller",),
        why="who leads, and renewing it",
    ),
    Permission(
        part="own",
        group="",
        resources=("configmaps",),
        verbs=("create",),
        why="what was told to whom is written down; RBAC cannot bind a creation to a name",
    ),
    Permission(
        part="own",
        group="",
        resources=("configmaps",),
        verbs=("get", "patch"),
        names=("seldon-rollouts-notified",),
        why="up to when notifications were told, so that a new leader begins there",
    ),
    Permission(
        part="own",
        group="",
        resources=("configmaps",),
        verbs=("get",),
        names=("seldon-config",),
        why="images of the prepackaged servers",
    ),
    Permission(
        part="webhook",
        group="admissionregistration.k8s.io",
        resources=("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
        verbs=("get", "patch"),
        names=("seldon-rollouts",),
        why="the certificate that the API server is to trust",
    ),
    Permission(
        part="webhook-own",
        group="",
        resources=("secrets",),
        verbs=("create",),
        why="the first replica makes the certificate; RBAC cannot bind a creation to a name",
    ),
    Permission(
        part="webhook-own",
        group="",
        resources=("secrets",),
        verbs=("get", "update"),
        names=("seldon-rollouts-webhook",),
        why="the certificate that all replicas share, and renewing it",
    ),
)


def of_part(part: Part) -> list[Permission]:
    """Return what one part needs, in the table's order."""
    return [permission for permission in PERMISSIONS if permission.part == part]


def rule(permission: Permission) -> dict[str, Any]:
    """Return a permission as a rule of a Role."""
    result: dict[str, Any] = {
        "apiGroups": [permission.group],
        "resources": list(permission.resources),
        "verbs": list(permission.verbs),
    }
    return result | ({"resourceNames": list(permission.names)} if permission.names else {})
