"""RBAC manifests: what the controllers may do, out of `permissions`, and what people may do with our kinds."""

from typing import Any

from controller.api.crds import KINDS
from controller.api.permissions import Part, of_part, rule

ACCOUNT = "seldon-rollouts-controller"
NAMESPACE = "seldon-system"
_API = "rbac.authorization.k8s.io"
_LABELS = {"app.kubernetes.io/name": ACCOUNT, "app.kubernetes.io/part-of": "seldon-rollouts"}

Object = dict[str, Any]

_AROUND = (
    ("", ["pods"]),
    ("apps", ["controllerrevisions", "deployments"]),
    ("networking.istio.io", ["virtualservices"]),
)
"""What belongs to a rollout and is shown with it: by `get`, `diff`, `adopt` and `leave`, as the person who asks."""


def controller_objects() -> list[Object]:
    """Return roles and bindings of the controllers' service account: a ClusterRole for each, a Role for the rest."""
    result: list[Object] = []
    for part in ("operator", "rollout", "analysis"):
        name = f"seldon-rollouts-{part}"
        result += [_role("ClusterRole", name, part), _binding("ClusterRole", name)]
    own = f"{ACCOUNT}-own"
    return [*result, _role("Role", own, "own"), _binding("Role", own)]


def webhook_objects() -> list[Object]:
    """Return roles and bindings for the certificate of the admission webhooks."""
    name, own = "seldon-rollouts-webhook", f"{ACCOUNT}-webhook"
    return [
        _role("ClusterRole", name, "webhook"),
        _binding("ClusterRole", name),
        _role("Role", own, "webhook-own"),
        _binding("Role", own),
    ]


def people_objects() -> list[Object]:
    """Return ClusterRoles that join Kubernetes' own view, edit and admin roles."""
    groups: dict[str, list[str]] = {}
    for kind in KINDS:
        groups.setdefault(kind.group, []).append(kind.plural)
    scales = [(kind.group, f"{kind.plural}/scale") for kind in KINDS if kind.scale is not None]
    view = [
        {"apiGroups": [group], "resources": plurals, "verbs": ["get", "list", "watch"]}
        for group, plurals in (*groups.items(), *_AROUND)
    ]
    change = ["create", "delete", "deletecollection", "patch", "update"]
    edit = [{"apiGroups": [group], "resources": plurals, "verbs": change} for group, plurals in groups.items()]
    scale = [{"apiGroups": [group], "resources": [name], "verbs": ["get", "patch", "update"]} for group, name in scales]
    return [
        _aggregated("seldon-rollouts-view", ("view", "edit", "admin"), view),
        _aggregated("seldon-rollouts-edit", ("edit", "admin"), [*edit, *scale]),
    ]


def _meta(name: str, namespaced: bool, labels: dict[str, str] | None = None) -> Object:
    return {"name": name, **({"namespace": NAMESPACE} if namespaced else {}), "labels": _LABELS | (labels or {})}


def _role(kind: str, name: str, part: Part) -> Object:
    rules = [rule(permission) for permission in of_part(part)]
    return {"apiVersion": f"{_API}/v1", "kind": kind, "metadata": _meta(name, kind == "Role"), "rules": rules}


def _binding(kind: str, name: str) -> Object:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": f"{kind}Binding",
        "metadata": _meta(name, kind == "Role"),
        "roleRef": {"apiGroup": _API, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
    }


def _aggregated(name: str, into: tuple[str, ...], rules: list[Object]) -> Object:
    labels = {f"{_API}/aggregate-to-{role}": "true" for role in into}
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": _meta(name, namespaced=False, labels=labels),
        "rules": rules,
    }
