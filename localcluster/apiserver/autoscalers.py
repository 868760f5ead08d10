"""HorizontalPodAutoscalers at `autoscaling/v1`, which knows one target: the share of CPU. They are kept at `v2`.

What `v1` has no field for travels in annotations, as in kube-apiserver, so that a change made through it loses nothing.
"""

from typing import Any

import orjson

JsonObject = dict[str, Any]

STORED = "autoscaling/v2"
_SPEC, _STATUS = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_ONLY_V2 = ("currentMetrics", "conditions")


def convert(scaler: JsonObject, api_version: str) -> JsonObject:
    """A copy of an autoscaler at `api_version`."""
    changed = {**scaler, "apiVersion": api_version, "spec": dict(scaler.get("spec") or {})}
    changed["metadata"] = dict(scaler["metadata"])
    changed["status"] = dict(scaler.get("status") or {})
    annotations = dict(changed["metadata"].pop("annotations", None) or {})
    if api_version == STORED:
        _to_v2(changed["spec"], annotations)
        changed["status"].pop(_STATUS, None)
    else:
        _to_v1(changed["spec"], annotations)
        for name in _ONLY_V2:
            changed["status"].pop(name, None)
        changed["status"].setdefault("currentReplicas", 0)
    if annotations:
        changed["metadata"]["annotations"] = annotations
    return changed


def _to_v2(spec: JsonObject, annotations: JsonObject) -> None:
    metrics = orjson.loads(annotations.pop(_METRICS, "[]"))
    share = spec.pop(_SPEC, None)
    if share is not None:
        metrics.insert(0, _cpu(share))
    if metrics:
        spec["metrics"] = metrics
    behavior = annotations.pop(_BEHAVIOR, "")
    if behavior:
        spec["behavior"] = orjson.loads(behavior)


def _to_v1(spec: JsonObject, annotations: JsonObject) -> None:
    others: list[JsonObject] = []
    for metric in spec.pop("metrics", None) or ():
        share = _share(metric)
        if share and _SPEC not in spec:
            spec[_SPEC] = share
        else:
            others.append(metric)
    if others:
        annotations[_METRICS] = orjson.dumps(others).decode()
    behavior = spec.pop("behavior", None)
    if behavior:
        annotations[_BEHAVIOR] = orjson.dumps(behavior).decode()


def _cpu(share: int) -> JsonObject:
    target = {"type": "Utilization", "averageUtilization": share}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _share(metric: JsonObject) -> int:
    resource = metric.get("resource") or {}
    found: int = (resource.get("target") or {}).get("averageUtilization", 0) if resource.get("name") == "cpu" else 0
    return found
