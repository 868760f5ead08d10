"""An Argo Rollout (`argoproj.io/v1alpha1`) as a SeldonRollout: steps, analyses, blue-green, limits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seldon_rollouts.conversion.result import (
    API,
    POD_NOTE,
    ConversionError,
    Converted,
    Object,
    of_pods,
    rollout,
    unknown,
)

Others = Mapping[tuple[str, str], Object]
_SPEC = (
    "template", "workloadRef", "replicas", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds",
    "progressDeadlineAbort", "rollbackWindow", "selector", "analysis", "minReadySeconds", "paused", "restartAt",
)  # fmt: skip
_CANARY = (
    "steps", "trafficRouting", "canaryService", "stableService", "scaleDownDelaySeconds", "analysis",
    "dynamicStableScale", "maxSurge", "maxUnavailable", "pingPong", "abortScaleDownDelaySeconds",
    "replicaProgressThreshold", "scaleDownDelayRevisionLimit",
)  # fmt: skip
_BLUE_GREEN = (
    "activeService", "previewService", "previewReplicaCount", "autoPromotionEnabled", "autoPromotionSeconds",
    "prePromotionAnalysis", "postPromotionAnalysis", "scaleDownDelaySeconds", "abortScaleDownDelaySeconds",
    "scaleDownDelayRevisionLimit",
)  # fmt: skip
_HISTORY = ("successfulRunHistoryLimit", "unsuccessfulRunHistoryLimit")
_PACE = "no counterpart, left out: a revision comes up beside stable, and gets requests when its pods are ready"


def from_argo(obj: Object, others: Others) -> Converted:
    """Return the rollout of an Argo Rollout.

    Raises:
        ConversionError: it refers to a Deployment that is not among the documents, or has no containers.
    """
    name, spec = str((obj.get("metadata") or {}).get("name", "")), obj.get("spec") or {}
    notes = [POD_NOTE, *unknown(spec, _SPEC, "spec.")]
    made: dict[str, Any] = {"template": of_pods(name, _template(name, spec, others), spec.get("replicas"))}
    made["strategy"] = _strategy(spec.get("strategy") or {}, notes)
    made |= _delays(spec.get("strategy") or {}, notes)
    if spec.get("progressDeadlineSeconds") is not None:
        made["progressDeadline"] = f"{spec['progressDeadlineSeconds']}s"
    if not spec.get("progressDeadlineAbort"):
        notes.append("spec.progressDeadline: here a step without progress is always rolled back at its deadline")
    for field in ("revisionHistoryLimit", "rollbackWindow"):
        if spec.get(field) is not None:
            made[field] = spec[field]
    for field, instead in (("paused", "use the verb pause"), ("restartAt", "use the verb restart")):
        if spec.get(field):
            notes.append(f"spec.{field}: {instead}")
    notes += [f"spec.{field}: {_PACE}" for field in ("minReadySeconds",) if spec.get(field)]
    canary = (spec.get("strategy") or {}).get("canary") or {}
    if background := canary.get("analysis"):
        made["analysis"] = _analysis(background, notes, background=True)
        _count_anew(made["analysis"], canary.get("steps") or ())
    if kept := spec.get("analysis"):
        made["analysis"] = made.get("analysis", {}) | {field: kept[field] for field in _HISTORY if field in kept}
        notes += unknown(kept, _HISTORY, "spec.analysis.")
    notes += [f"{kind} {each} is not among the files: give its manifest, too" for kind, each in _missing(made, others)]
    return Converted(source=f"Rollout {name}", rollout=rollout(obj, made), notes=tuple(notes))


def from_template(obj: Object, _others: Others) -> Converted:
    """Return an AnalysisTemplate or ClusterAnalysisTemplate: the same fields; `lint` tells what means another thing."""
    kind, meta = str(obj["kind"]), obj.get("metadata") or {}
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if meta.get(key)}
    made = {"apiVersion": API, "kind": kind, "metadata": kept, "spec": dict(obj.get("spec") or {})}
    return Converted(source=f"{kind} {meta.get('name', '')}", rollout=made, notes=())


def _count_anew(analysis: dict[str, Any], steps: Sequence[Object]) -> None:
    """Steps that were left out before the one at which an analysis starts are not counted any more."""
    if (starts := analysis.get("startingStep")) is not None:
        analysis["startingStep"] = sum(bool(_step(step, [])) for step in steps[:starts])


def _missing(made: Any, others: Others) -> Iterator[tuple[str, str]]:
    """Give the kind and name of each template that is named somewhere below and is not among the documents."""
    below = made.values() if isinstance(made, dict) else made if isinstance(made, list) else ()
    if isinstance(made, dict) and isinstance(name := made.get("templateName"), str):
        kind = "ClusterAnalysisTemplate" if made.get("clusterScope") else "AnalysisTemplate"
        if (kind, name) not in others:
            yield kind, name
    for each in below:
        yield from _missing(each, others)


def _template(name: str, spec: Object, others: Others) -> Object:
    reference = spec.get("workloadRef")
    if not reference:
        return spec.get("template") or {}
    found = others.get((str(reference.get("kind")), str(reference.get("name"))))
    if found is None:
        raise ConversionError(
            f"{name}: spec.workloadRef names {reference.get('kind')} {reference.get('name')}; give its manifest, too"
        )
    template: Object = (found.get("spec") or {}).get("template") or {}
    return template


def _strategy(strategy: Object, notes: list[str]) -> dict[str, Any]:
    if blue_green := strategy.get("blueGreen"):
        return _blue_green(blue_green, notes)
    canary = strategy.get("canary") or {}
    notes += unknown(canary, _CANARY, "strategy.canary.")
    if not canary.get("trafficRouting"):
        notes.append("without trafficRouting weights were shares of pods; here they are shares of requests, by Istio")
    notes += [f"strategy.canary.{field}: {_PACE}" for field in ("maxSurge", "maxUnavailable") if field in canary]
    for kind in sorted(set(canary.get("trafficRouting") or ()) - {"istio", "managedRoutes", "maxTrafficWeight"}):
        notes.append(f"strategy.canary.trafficRouting.{kind}: no counterpart; requests are split by Istio")
    if (canary.get("trafficRouting") or {}).get("istio"):
        notes.append(
            "strategy.canary.trafficRouting.istio: the rollout has a VirtualService of its own, under its own path; "
            "to write into routes of yours give routing.virtualService"
        )
    steps = [made for step in canary.get("steps") or () for made in _step(step, notes)]
    _in_percent(steps, (canary.get("trafficRouting") or {}).get("maxTrafficWeight") or 100, notes)
    made: dict[str, Any] = {"steps": steps} if steps else {"weights": [5, 25, 50]}
    if canary.get("dynamicStableScale"):
        made["dynamicStableScale"] = True
    if threshold := canary.get("replicaProgressThreshold"):
        made["replicaProgressThreshold"] = _threshold(threshold)
        notes.append("strategy.canary.replicaProgressThreshold: it holds for steps; the promotion waits for all pods")
    return {"canary": made}


def _in_percent(steps: Sequence[dict[str, Any]], whole: int, notes: list[str]) -> None:
    """Weights of `maxTrafficWeight` parts become percents, which have two decimals."""
    for step in steps:
        if "setWeight" in step and whole != 100:
            theirs = step["setWeight"]
            share = max(round(theirs * 100 / whole, 2), 0.01 if theirs else 0)
            step["setWeight"] = int(share) if share == int(share) else share
            if share * whole != theirs * 100:
                notes.append(f"step setWeight {theirs} of {whole}: {share} %, a weight has two decimals")


def _delays(strategy: Object, notes: list[str]) -> dict[str, Any]:
    own = strategy.get("blueGreen") or strategy.get("canary") or {}
    made = {
        ours: f"{own[theirs]}s"
        for ours, theirs in (
            ("scaleDownDelay", "scaleDownDelaySeconds"),
            ("abortScaleDownDelay", "abortScaleDownDelaySeconds"),
        )
        if own.get(theirs) is not None
    }
    if made.get("abortScaleDownDelay") == "0s":
        del made["abortScaleDownDelay"]
        notes.append("abortScaleDownDelaySeconds: 0 kept a rejected revision's pods for ever; here give a time")
    if own.get("scaleDownDelayRevisionLimit") is not None:
        made["scaleDownDelayRevisionLimit"] = own["scaleDownDelayRevisionLimit"]
    return made


def _threshold(threshold: Object) -> dict[str, Any]:
    """Argo counts pods of its one ReplicaSet, we of each Deployment: a converted rollout has one."""
    kind, value = str(threshold.get("type")), threshold.get("value")
    fields = {"Percent": "percent", "Pod": "replicas"}
    if kind not in fields:
        raise ConversionError(
            f"strategy.canary.replicaProgressThreshold.type is {kind!r}; expected {' or '.join(fields)}"
        )
    return {fields[kind]: value}


def _step(step: Object, notes: list[str]) -> list[dict[str, Any]]:
    for kind, value in step.items():
        match kind:
            case "setWeight":
                return [{"setWeight": value}]
            case "pause":
                duration = (value or {}).get("duration")
                return [{"pause": {"duration": _seconds(duration)} if duration is not None else {}}]
            case "setCanaryScale":
                return [{"setScale": _scale(value)}]
            case "setMirrorRoute":
                return [{"setMirror": _mirror(value, notes)}]
            case "setHeaderRoute":
                return [{"setHeaderRoute": _header_route(value)}]
            case "analysis":
                return [{"analysis": _analysis(value, notes, background=False)}]
            case _:
                notes.append(f"step {kind}: no counterpart, left out")
    return []


def _mirror(route: Object, notes: list[str]) -> dict[str, Any]:
    """A mirror route without a match takes the mirror away; one with an empty match copies everything."""
    theirs = route.get("match") or ()
    if not theirs:
        return {"percentage": 0}
    matches = [_request(each) for each in theirs]
    if None in matches:
        about = f"step setMirrorRoute {route.get('name')}"
        notes.append(
            f"{about}: its match has no counterpart, left out: copy by headers, method, or the path's beginning"
        )
        return {"percentage": 0}
    made = {"percentage": route.get("percentage", 100)}
    return made if {} in matches else {**made, "match": matches}


def _request(match: Object) -> dict[str, Any] | None:
    """Return a match of requests; None where ours cannot say it."""
    method, path, headers = (dict(match.get(name) or {}) for name in ("method", "path", "headers"))
    if method.keys() - {"exact"} or path.keys() - {"exact", "prefix"}:
        return None
    made = {"headers": headers, "path": path, "method": method.get("exact")}
    return {name: value for name, value in made.items() if value}


def _seconds(duration: Any) -> str:
    text = str(duration)
    return f"{text}s" if text.isdigit() else text


def _scale(scale: Object) -> dict[str, Any]:
    if scale.get("matchTrafficWeight"):
        return {"matchWeight": True}
    return (
        {"replicas": scale["replicas"]} if scale.get("replicas") is not None else {"percent": scale.get("weight", 100)}
    )


def _header_route(route: Object) -> dict[str, Any]:
    matches = [
        {"headers": {str(each["headerName"]): dict(each.get("headerValue") or {})}} for each in route.get("match") or ()
    ]
    return {"name": str(route["name"]).lower(), **({"match": matches} if matches else {})}


def _analysis(analysis: Object, notes: list[str], *, background: bool) -> dict[str, Any]:
    notes += unknown(analysis, ("templates", "args", "startingStep", "dryRun", "measurementRetention"), "analysis.")
    templates = [dict(each) for each in analysis.get("templates") or ()]
    made: dict[str, Any] = {"templates": templates} if templates else {}
    if analysis.get("args"):
        made["args"] = [_argument(each) for each in analysis["args"]]
    if background and analysis.get("startingStep") is not None:
        made["startingStep"] = analysis["startingStep"]
    for field in ("dryRun", "measurementRetention"):
        if analysis.get(field):
            made[field] = analysis[field]
    return made


def _argument(argument: Object) -> dict[str, Any]:
    source = argument.get("valueFrom")
    return {**argument, "valueFrom": dict(source)} if source else dict(argument)


def _blue_green(spec: Object, notes: list[str]) -> dict[str, Any]:
    notes += unknown(spec, _BLUE_GREEN, "strategy.blueGreen.")
    notes.append("the active and preview Services are not needed: the route switches; try the preview by its own path")
    made: dict[str, Any] = {}
    renamed = {
        "previewReplicaCount": "previewReplicas",
        "autoPromotionEnabled": "autoPromotionEnabled",
        "autoPromotionSeconds": "autoPromotionSeconds",
    }
    made |= {ours: spec[theirs] for theirs, ours in renamed.items() if spec.get(theirs) is not None}
    for field in ("prePromotionAnalysis", "postPromotionAnalysis"):
        if spec.get(field):
            made[field] = _analysis(spec[field], notes, background=False)
    if "prePromotionAnalysis" not in made:
        notes.append(
            "prePromotionAnalysis: the typed judge looks at copies of live requests; `skip: true` does without"
        )
    return {"blueGreen": made}
