"""What every Deployment has: strategy, labels, annotations, and what each pod gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.api.deployment import PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.render import labels
from controller.deployment.render.environment import merged
from controller.deployment.render.nodes import PODINFO
from controller.deployment.subject import Subject

MAX_SURGE_ANNOTATION = "rollouts.seldon.io/max-surge"
MAX_UNAVAILABLE_ANNOTATION = "rollouts.seldon.io/max-unavailable"
GRACE_SECONDS = 20


def finished(pod: dict[str, Any], configuration: Configuration) -> dict[str, Any]:
    """Fill in what every pod has; what the user set wins."""
    items = [{"path": "annotations", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations"}}]
    done = {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **pod,
    }
    if configuration.pod_user is not None:
        done.setdefault("securityContext", {"runAsUser": configuration.pod_user})
    done["volumes"] = merged(pod.get("volumes") or (), [{"name": PODINFO, "downwardAPI": {"items": items}}])
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What differs from one Deployment to the next."""

    name: str
    selector: Mapping[str, str]
    pod: dict[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    holds_engine: bool
    metrics_path: str = ""
    """Where its pods are scraped; empty when they are not."""
    replicas: int | None


def deployment(subject: Subject, predictor: PredictorSpec, parts: Parts) -> dict[str, Any]:
    """Return a Deployment of a predictor out of its parts."""
    shadow = {"seldon.io/shadow": "true"} if predictor.shadow else {}
    shared = {
        "fluentd": "true",
        **predictor.labels,
        **(parts.metadata.get("labels") or {}),
        **parts.kinds,
        **shadow,
        **parts.selector,
        "app": parts.name,
    }
    notes = {**subject.spec.annotations, **predictor.annotations, **(parts.metadata.get("annotations") or {})}
    scraped = {"prometheus.io/path": parts.metrics_path, "prometheus.io/scrape": "true"} if parts.metrics_path else {}
    template = labels.metadata(subject, parts.name, shared, {**scraped, **notes})
    spec: dict[str, Any] = {
        "selector": {"matchLabels": dict(parts.selector)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(notes)},
        "template": {
            "metadata": {"labels": template["labels"], "annotations": template.get("annotations") or {}},
            "spec": parts.pod,
        },
    }
    if parts.replicas is not None:
        spec["replicas"] = parts.replicas
    if predictor.progress_deadline_seconds is not None:
        spec["progressDeadlineSeconds"] = predictor.progress_deadline_seconds
    own = {labels.HAS_ENGINE: "true"} if parts.holds_engine else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": labels.metadata(subject, parts.name, {**shared, **own}, notes),
        "spec": spec,
    }


def _rolling(annotations: Mapping[str, str]) -> dict[str, Any]:
    """How many pods an update may add and miss: none is missed unless an annotation allows it (full GPUs need it)."""
    surge = annotations.get(MAX_SURGE_ANNOTATION, "25%")
    unavailable = annotations.get(MAX_UNAVAILABLE_ANNOTATION, "0")
    return {"maxSurge": _int_or_percent(surge), "maxUnavailable": _int_or_percent(unavailable)}


def _int_or_percent(text: str) -> int | str:
    return int(text) if text.isdigit() else text
