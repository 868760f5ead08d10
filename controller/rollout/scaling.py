"""Scaling: how many pods a revision's SeldonDeployment asks for. Scaling is never a new revision."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from controller.api.meta import RESTARTED_ANNOTATION
from controller.api.strategy import SetScale


def predictors(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the predictors of a SeldonDeployment's spec; what is none is passed over."""
    return [predictor for predictor in spec.get("predictors") or [] if isinstance(predictor, dict)]


def with_replicas(spec: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with another spec's replicas, predictor by predictor."""
    result = _sizeable(spec)
    _copy_key(result, source, "replicas")
    by_name = {predictor.get("name"): predictor for predictor in predictors(source)}
    for predictor in predictors(result):
        if predictor.get("name") in by_name:
            _copy_key(predictor, by_name[predictor["name"]], "replicas")
            for part, other in zip(_parts(predictor), _parts(by_name[predictor["name"]]), strict=False):
                _copy_key(part, other, "replicas")
    return result


def restarted(spec: Mapping[str, Any], at: str, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec whose pods were replaced at a time: what their annotation said before holds without a later one."""
    result = _sizeable(spec)
    before = {predictor.get("name"): predictor.get("annotations") or {} for predictor in predictors(live)}
    for predictor in predictors(result):
        notes = {k: v for k, v in (predictor.get("annotations") or {}).items() if k != RESTARTED_ANNOTATION}
        stamp = max(at, str(before.get(predictor.get("name"), {}).get(RESTARTED_ANNOTATION, "")))
        if stamp:
            notes[RESTARTED_ANNOTATION] = stamp
        if notes or "annotations" in predictor:
            predictor["annotations"] = notes
    return result


def _sizeable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec whose replicas may be set: copied as far as they stand, the rest is shared."""
    result = dict(spec)
    if isinstance(result.get("predictors"), list):
        result["predictors"] = [_copied(each, "componentSpecs") for each in result["predictors"]]
    return result


def _copied(part: Any, below: str = "") -> Any:
    if not isinstance(part, dict):
        return part
    inner = part.get(below)
    return {**part, below: [_copied(each) for each in inner]} if isinstance(inner, list) else dict(part)


def _copy_key(into: dict[str, Any], source: Mapping[str, Any], key: str) -> None:
    if key in source:
        into[key] = source[key]
    else:
        into.pop(key, None)


def scaled(spec: Mapping[str, Any], scale: SetScale | None, *, weight: float) -> dict[str, Any]:
    """Return a spec with the pods that a scale asks for; predictors that have an autoscaler keep theirs.

    Args:
        spec: a SeldonDeployment's, with the replicas of the template.
        scale: None for as many as the template says.
        weight: the percent of traffic that `matchWeight` follows.
    """
    if scale is None or scale.auto:
        return dict(spec)
    result = _sizeable(spec)
    usual = result.get("replicas")
    for predictor in predictors(result):
        if not _autoscaled(predictor):
            predictor["replicas"] = _count(scale, predictor.get("replicas", usual), weight)
            for part in _parts(predictor):
                if part.get("replicas") is not None:
                    part["replicas"] = _count(scale, part["replicas"], weight)
    return result


def _count(scale: SetScale, usual: Any, weight: float) -> int:
    full = int(usual) if usual is not None else 1
    if scale.replicas is not None:
        return scale.replicas
    percent = scale.percent if scale.percent is not None else weight
    return max(1, ceil(round(full * percent / 100, 6))) if full else 0


def _parts(predictor: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (part for part in predictor.get("componentSpecs") or [] if isinstance(part, dict))


def _autoscaled(predictor: Mapping[str, Any]) -> bool:
    return any(part.get("hpaSpec") or part.get("kedaSpec") for part in _parts(predictor))


def at_least(spec: Mapping[str, Any], live: Mapping[str, Any], most: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with no fewer pods than a live one has, up to those of a third."""
    result = _sizeable(spec)
    have, cap = ({p.get("name"): p for p in predictors(each)} for each in (live, most))
    for predictor in predictors(result):
        name = predictor.get("name")
        if name in have and name in cap and not _autoscaled(predictor):
            _grow(predictor, have[name], cap[name], most.get("replicas"))
            for part, now, limit in zip(_parts(predictor), _parts(have[name]), _parts(cap[name]), strict=False):
                _grow(part, now, limit, None)
    return result


def _grow(into: dict[str, Any], live: Mapping[str, Any], most: Mapping[str, Any], usual: Any) -> None:
    limit = most.get("replicas", usual)
    if into.get("replicas") is not None and live.get("replicas") is not None and limit is not None:
        into["replicas"] = min(int(limit), max(int(into["replicas"]), int(live["replicas"])))


def least_pods(spec: Mapping[str, Any]) -> int:
    """Return how many pods a spec asks for at least: a Deployment for each predictor that no autoscaler owns."""
    usual = spec.get("replicas")
    total = 0
    for predictor in predictors(spec):
        if not _autoscaled(predictor):
            own = predictor.get("replicas", usual)
            counts = [part["replicas"] for part in _parts(predictor) if part.get("replicas") is not None]
            total += min(int(count) for count in [1 if own is None else own, *counts])
    return total


def same_size(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two specs ask for the same pods."""
    return _sizes(one) == _sizes(other)


def _sizes(spec: Mapping[str, Any]) -> list[Any]:
    usual = spec.get("replicas")
    return [
        (
            predictor.get("name"),
            predictor.get("replicas", usual),
            # A part without is what a webhook may have added.
            [part["replicas"] for part in _parts(predictor) if part.get("replicas") is not None],
        )
        for predictor in predictors(spec)
    ]
