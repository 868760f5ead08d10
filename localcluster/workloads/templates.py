"""Pod templates: their hash, the ReplicaSet of a template, the pod of a ReplicaSet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from localcluster.objects import Object
from localcluster.workloads.amounts import Limits
from localcluster.workloads.pods import owner_reference

HASH = "pod-template-hash"
PREFIX = "deployment.kubernetes.io/"
REVISION, HISTORY = PREFIX + "revision", PREFIX + "revision-history"
DESIRED, MOST = PREFIX + "desired-replicas", PREFIX + "max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_COPIED = frozenset({REVISION, HISTORY, DESIRED, MOST, LAST_APPLIED})
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any], collisions: int) -> str:
    """Ten letters that cannot spell a word, the same for the same template and collision count."""
    content = orjson.dumps([template, collisions], option=orjson.OPT_SORT_KEYS)
    number = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)


def bare(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template without the hash label and without empty fields of its metadata, to compare two of them."""
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH}
    return dict(template) | {"metadata": {name: value for name, value in meta.items() if value}}


def same_template(replicaset: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """Whether a ReplicaSet runs the Deployment's template."""
    return bare(replicaset["spec"]["template"]) == bare(deployment["spec"]["template"])


def revision_of(obj: Mapping[str, Any]) -> int:
    """The revision in its annotation, 0 when there is none."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def copied_annotations(deployment: Mapping[str, Any]) -> dict[str, str]:
    """The Deployment's annotations that its ReplicaSets carry too."""
    annotations = deployment["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name not in NOT_COPIED}


def scale_annotations(limits: Limits) -> dict[str, str]:
    """What a scaled ReplicaSet remembers, to scale in proportion later."""
    return {DESIRED: str(limits.desired), MOST: str(limits.most)}


def replicaset_for(deployment: Object, *, revision: int, replicas: int, limits: Limits) -> Object:
    """The ReplicaSet of the Deployment's present template."""
    meta, spec = deployment["metadata"], deployment["spec"]
    hashed = template_hash(spec["template"], int((deployment.get("status") or {}).get("collisionCount") or 0))
    selector = dict(spec["selector"])
    selector["matchLabels"] = dict(selector.get("matchLabels") or {}) | {HASH: hashed}
    template = dict(spec["template"])
    labels = dict((template.get("metadata") or {}).get("labels") or {}) | {HASH: hashed}
    template["metadata"] = dict(template.get("metadata") or {}) | {"labels": labels}
    created: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{hashed}",
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": copied_annotations(deployment) | scale_annotations(limits) | {REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        created["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return created


def pod_for(replicaset: Object) -> Object:
    """One more pod of a ReplicaSet."""
    template = replicaset["spec"]["template"]
    meta = template.get("metadata") or {}
    kept = {field: meta[field] for field in ("labels", "annotations", "finalizers") if meta.get(field)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{replicaset['metadata']['name']}-",
            "namespace": replicaset["metadata"]["namespace"],
            "ownerReferences": [owner_reference(replicaset)],
            **kept,
        },
        "spec": template["spec"],
    }
