"""The OpenAPI definitions of the built-in kinds: field names, types and list keys, without their prose.

`definitions.json` is rendered from the API's own OpenAPI v2 document (Kubernetes 1.32):
`python -m localcluster.apiserver.definitions swagger.json`.
"""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import orjson

JsonObject = dict[str, Any]

FILE = Path(__file__).with_name("definitions.json")
_DROPPED = {"description", "x-kubernetes-unions"}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SERVED = {
    "admissionregistration.v1": ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    "apps.v1": ("ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "authentication.v1": ("SelfSubjectReview", "TokenRequest", "TokenReview"),
    "authorization.v1": (
        "LocalSubjectAccessReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    ),
    "autoscaling.v1": ("HorizontalPodAutoscaler", "Scale"),
    "autoscaling.v2": ("HorizontalPodAutoscaler",),
    "batch.v1": ("CronJob", "Job"),
    "coordination.v1": ("Lease",),
    "core.v1": (
        *("ConfigMap", "Endpoints", "Event", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim"),
        *("Pod", "Secret", "Service", "ServiceAccount"),
    ),
    "discovery.v1": ("EndpointSlice",),
    "events.v1": ("Event",),
    "policy.v1": ("Eviction", "PodDisruptionBudget"),
    "rbac.v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
}
ROOTS = (
    *(f"io.k8s.api.{package}.{kind}" for package, kinds in _SERVED.items() for kind in kinds),
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    _META + "DeleteOptions",
    _META + "ListMeta",
    _META + "Status",
)

# The OpenAPI v2 document leaves defaults out; these complete the keys of keyed lists.
_DEFAULTS = (
    ("io.k8s.api.core.v1.ContainerPort", "protocol", "TCP"),
    ("io.k8s.api.core.v1.ServicePort", "protocol", "TCP"),
    ("io.k8s.api.core.v1.EndpointPort", "protocol", "TCP"),
    ("io.k8s.api.discovery.v1.EndpointPort", "protocol", "TCP"),
)


@cache
def load() -> dict[str, JsonObject]:
    """Every definition by its full name. Callers do not change what they get."""
    loaded: dict[str, JsonObject] = orjson.loads(FILE.read_bytes())
    for name, field, default in _DEFAULTS:
        loaded[name]["properties"][field]["default"] = default
    return loaded


def reference(schema: JsonObject) -> str:
    """The name that a schema's `$ref` points at, or ""."""
    ref: str = schema.get("$ref", "")
    return ref.rpartition("/")[2]


def render(swagger: JsonObject) -> str:
    """The definitions that the roots reach, one a line, so that a change reads well in a diff."""
    reached: dict[str, JsonObject] = {}
    pending = list(ROOTS)
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        reached[name] = _without_prose(swagger["definitions"][name])
        pending.extend(re.findall(r'"#/definitions/([^"]+)"', json.dumps(reached[name])))
    lines = (
        f"{json.dumps(name)}: {json.dumps(body, sort_keys=True, separators=(',', ':'))}"
        for name, body in sorted(reached.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _without_prose(schema: JsonObject) -> JsonObject:
    kept: JsonObject = {}
    for key, value in schema.items():
        if key in _DROPPED:
            continue
        if key == "properties":
            kept[key] = {name: _without_prose(child) for name, child in value.items()}
        elif isinstance(value, dict):
            kept[key] = _without_prose(value)
        else:
            kept[key] = value
    return kept


if __name__ == "__main__":
    FILE.write_text(render(orjson.loads(Path(sys.argv[1]).read_bytes())))
