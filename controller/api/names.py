"""How objects are named: the names that Seldon Core v1 gives, and those of a rollout's revisions."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MAX_NAME = 63
SVC_NAME_ANNOTATION = "seldon.io/svc-name"
NO_ENGINE_ANNOTATION = "seldon.io/no-engine"
COMPARE_WITH_ANNOTATION = "seldon.io/compare-with"
COMPARE_WITH_GRPC_ANNOTATION = "seldon.io/compare-with-grpc"
COMPARE_TOLERANCE_ANNOTATION = "seldon.io/compare-tolerance"
COMPARE_PER_SECOND_ANNOTATION = "seldon.io/compare-per-second"
COMPARE_SHARE_ANNOTATION = "seldon.io/compare-share"
COMPARE_ANNOTATIONS = (
    COMPARE_WITH_ANNOTATION,
    COMPARE_WITH_GRPC_ANNOTATION,
    COMPARE_TOLERANCE_ANNOTATION,
    COMPARE_PER_SECOND_ANNOTATION,
    COMPARE_SHARE_ANNOTATION,
)
"""What the orchestrator reads to compare its answers to copies with those of another revision."""
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so that no word appears


def shorten(name: str) -> str:
    """Return a name of at most 63 characters: itself, or `seldon-<md5>` as Seldon Core v1 does."""
    if len(name) <= MAX_NAME:
        return name
    return "seldon-" + hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def predictor_service(deployment: str, predictor: str, annotations: Mapping[str, str] | None = None) -> str:
    """Return the name of a predictor's Service and DestinationRule: `<sdep>-<predictor>`, or its annotation."""
    return (annotations or {}).get(SVC_NAME_ANNOTATION) or shorten(f"{deployment}-{predictor}")


def service_host(service: str, namespace: str) -> str:
    """Return the cluster name of a Service."""
    return f"{service}.{namespace}.svc.cluster.local"


def prediction_prefix(namespace: str, name: str) -> str:
    """Return the path under which a SeldonDeployment or a rollout is served."""
    return f"/seldon/{namespace}/{name}/"


def stable_hash(value: Any, length: int = 10) -> str:
    """Hash a JSON value to a short label-safe text; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    digits = []
    for _ in range(length):
        number, index = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[index])
    return "".join(digits)


def revision_name(rollout: str, template_hash: str) -> str:
    """Return the name of a revision's child SeldonDeployment and ControllerRevision: `<rollout>-<hash>`."""
    return f"{rollout}-{template_hash}"
