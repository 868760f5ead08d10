"""A Flagger Canary (`flagger.app/v1beta1`) as a SeldonRollout: weights, mirror, header match, gates, metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

from seldon_rollouts.conversion.result import POD_NOTE, ConversionError, Converted, Object, of_pods, rollout, unknown

Others = Mapping[tuple[str, str], Object]
_SPEC = (
    "targetRef", "provider", "analysis", "canaryAnalysis", "service", "progressDeadlineSeconds", "skipAnalysis",
    "revertOnDeletion", "autoscalerRef", "suspend",
)  # fmt: skip
_ANALYSIS = (
    "interval", "iterations", "mirror", "mirrorWeight", "stepWeight", "stepWeights", "maxWeight", "threshold",
    "metrics", "webhooks", "match", "sessionAffinity", "alerts", "stepWeightPromotion",
)  # fmt: skip
_SERVICE = ("name", "port", "targetPort", "portName", "portDiscovery", "hosts", "gateways")
"""Names and ports are the rollout's own affair: it makes the Services."""
_GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")


def from_flagger(obj: Object, others: Others) -> Converted:
    """Return the rollout of a Canary.

    Raises:
        ConversionError: its target is not among the documents, or has no containers.
    """
    name, spec = str((obj.get("metadata") or {}).get("name", "")), obj.get("spec") or {}
    notes = [POD_NOTE, *unknown(spec, _SPEC, "spec.")]
    target = _target(name, spec, others)
    pods = target.get("spec") or {}
    analysis = spec.get("analysis") or spec.get("canaryAnalysis") or {}
    notes += unknown(analysis, _ANALYSIS, "analysis.")
    made: dict[str, Any] = {
        "template": of_pods(name, pods.get("template") or {}, pods.get("replicas")),
        "strategy": _strategy(analysis, notes),
    }
    service = spec.get("service") or {}
    notes += unknown(service, _SERVICE, "service.")
    if routing := _routing(service, analysis.get("sessionAffinity") or {}):
        made["routing"] = routing
    if spec.get("progressDeadlineSeconds") is not None:
        made["progressDeadline"] = f"{spec['progressDeadlineSeconds']}s"
    if metrics := _metrics(analysis.get("metrics") or (), notes):
        made["analysis"] = {"metrics": metrics}
    notes += list(_told(spec, analysis))
    return Converted(source=f"Canary {name}", rollout=rollout(obj, made), notes=tuple(notes))


def _target(name: str, spec: Object, others: Others) -> Object:
    reference = spec.get("targetRef") or {}
    found = others.get((str(reference.get("kind")), str(reference.get("name"))))
    if found is None:
        raise ConversionError(
            f"{name}: spec.targetRef names {reference.get('kind')} {reference.get('name')}; give its manifest, too"
        )
    return found


def _strategy(analysis: Object, notes: list[str]) -> dict[str, Any]:
    interval = str(analysis.get("interval") or "1m")
    if analysis.get("iterations") and not analysis.get("match"):
        notes.append(
            "iterations: here the judge looks at copies until it has enough, then all traffic switches at once"
        )
        return {"blueGreen": {"prePromotionAnalysis": {"minDuration": interval}, "postPromotionAnalysis": {}}}
    steps: list[dict[str, Any]] = []
    if analysis.get("mirror"):
        share = analysis.get("mirrorWeight", 100)
        steps += [
            {"setMirror": {"percentage": share}},
            {"pause": {"duration": interval}},
            {"setMirror": {"percentage": 0}},
        ]
    if matches := analysis.get("match"):
        steps += [{"setHeaderRoute": {"name": "ab-test", "match": _matches(matches, notes)}}, {"analysis": {}}]
    hooks = [hook for hook in analysis.get("webhooks") or () if hook.get("type") in _GATES]
    steps += [_gate(hook, interval) for hook in hooks if hook["type"] == "confirm-rollout"]
    before_each = [_gate(hook, interval) for hook in hooks if hook["type"] == "confirm-traffic-increase"]
    for weight in _weights(analysis):
        steps += [*before_each, {"setWeight": weight}, {"analysis": {"minDuration": interval}}]
    steps += [_gate(hook, interval) for hook in hooks if hook["type"] == "confirm-promotion"]
    notes += [
        f"webhook {hook.get('name')} ({hook.get('type') or 'rollout'}): only confirm-* webhooks have one, gates"
        for hook in analysis.get("webhooks") or ()
        if hook.get("type") not in _GATES
    ]
    return {"canary": {"steps": steps}}


def _weights(analysis: Object) -> Iterable[int]:
    if analysis.get("stepWeights"):
        return [int(weight) for weight in analysis["stepWeights"]]
    step, most = int(analysis.get("stepWeight") or 0), int(analysis.get("maxWeight") or 100)
    if step:
        return range(step, min(most, 99) + 1, step)
    return [] if analysis.get("match") else [5, 25, 50]


def _matches(matches: Iterable[Object], notes: list[str]) -> list[dict[str, Any]]:
    found = []
    for each in matches:
        notes.extend(unknown(each, ("headers",), "analysis.match."))
        headers = {str(name): dict(value) for name, value in (each.get("headers") or {}).items()}
        if headers:
            found.append({"headers": headers})
    return found


def _gate(hook: Object, interval: str) -> dict[str, Any]:
    return {"gate": {"webhook": {"url": str(hook.get("url", "")), "interval": interval}}}


def _routing(service: Object, affinity: Object) -> dict[str, Any]:
    made: dict[str, Any] = {key: list(service[key]) for key in ("hosts", "gateways") if service.get(key)}
    if name := affinity.get("cookieName"):
        made["sticky"] = {"cookie": {"name": str(name), "ttl": f"{affinity.get('maxAge', 86400)}s"}}
    return made


def _metrics(metrics: Iterable[Object], notes: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in metrics:
        limits = each.get("thresholdRange") or {}
        match each.get("name"):
            case "request-success-rate":
                floor = limits.get("min")
                ceiling = (
                    {"max": round(1 - float(floor) / 100, 6)} if floor is not None and 0 < float(floor) < 100 else {}
                )
                found.append({"errorRate": ceiling})
            case "request-duration":
                found.append({"latency": {}})
                notes.append(
                    f"request-duration (p99 at most {limits.get('max')} ms): here latency is compared with stable; "
                    "for a ceiling give latency.slowerThan and latency.max"
                )
            case name:
                notes.append(f"metric {name}: write its query as an AnalysisTemplate and name it in analysis.templates")
    return found


def _told(spec: Object, analysis: Object) -> Iterable[str]:
    if analysis.get("threshold"):
        yield "analysis.threshold: there are no failed checks to count; a bad verdict rolls back at once"
    yield from unknown(analysis.get("sessionAffinity") or {}, ("cookieName", "maxAge"), "analysis.sessionAffinity.")
    if analysis.get("alerts"):
        yield "analysis.alerts: see the notifications of the controller"
    if spec.get("skipAnalysis"):
        yield "spec.skipAnalysis: use the verb promote-full"
    if spec.get("revertOnDeletion"):
        yield "spec.revertOnDeletion: see spec.deletionPolicy"
    if spec.get("autoscalerRef"):
        yield "spec.autoscalerRef: give the componentSpecs an hpaSpec or kedaSpec; each revision has its own"
    if analysis.get("stepWeightPromotion"):
        yield "analysis.stepWeightPromotion: a promotion moves no pods here, so it needs no steps"
