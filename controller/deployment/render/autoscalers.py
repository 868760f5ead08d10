"""HorizontalPodAutoscalers (autoscaling/v2), also out of metrics in the old form of v2beta1."""

from collections.abc import Mapping
from typing import Any

from controller.api.deployment import ComponentSpec
from controller.deployment.render import labels
from controller.deployment.subject import Subject

Metric = Mapping[str, Any]


def render_autoscaler(subject: Subject, component: ComponentSpec, deployment: str) -> dict[str, Any] | None:
    """Return the autoscaler of a component's Deployment; None when it has none."""
    spec = component.hpa_spec
    if spec is None:
        return None
    metrics = [converted(metric) for metric in spec.metrics] if spec.metrics else [*spec.metricsv2]
    done: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
        "maxReplicas": spec.max_replicas,
    }
    if spec.min_replicas is not None:
        done["minReplicas"] = spec.min_replicas
    if metrics:
        done["metrics"] = metrics
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": labels.metadata(subject, deployment, {}),
        "spec": done,
    }


def converted(metric: Metric) -> dict[str, Any]:
    """Return a metric of autoscaling/v2beta1 as one of v2; one that is v2 already stays."""
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    old = metric.get(field)
    if not isinstance(old, dict) or "metric" in old or (kind != "Object" and "target" in old):
        return dict(metric)
    new: dict[str, Any] = {name: old[name] for name in ("name", "container") if name in old}
    if "metricName" in old:
        selector = old.get("metricSelector") or old.get("selector")
        new["metric"] = {"name": old["metricName"], **({"selector": selector} if selector else {})}
    if kind == "Object":
        new["describedObject"] = old.get("target") or {}
    new["target"] = _target(old)
    return {"type": kind, field: new}


def _target(old: Metric) -> dict[str, Any]:
    if "targetAverageUtilization" in old:
        return {"type": "Utilization", "averageUtilization": old["targetAverageUtilization"]}
    average = old.get("targetAverageValue", old.get("averageValue"))
    if average is not None:
        return {"type": "AverageValue", "averageValue": average}
    return {"type": "Value", "value": old.get("targetValue")}
