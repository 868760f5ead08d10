"""The curve: how the evidence went, in a bounded number of points that a status can hold."""

from math import log10

from controller.api.arms import ObservedTraffic
from controller.api.rollout import AnalysisStatus
from controller.api.seen import Curve, CurvePoint

POINTS = 48
"""At most so many points are kept."""
METRICS = 8
"""Of at most so many metrics, the first ones."""


def grown(curve: Curve | None, analysis: AnalysisStatus, weight: float, observed: ObservedTraffic) -> Curve | None:
    """Return the curve with what the judge says now, where that is new and of the time that is judged.

    Args:
        curve: the curve so far.
        analysis: what the judge says.
        weight: percent of live requests that the canary has.
        observed: what the gateway served.
    """
    metrics = analysis.metrics[:METRICS]
    if analysis.updated_at is None or not metrics or before_it_began(analysis):
        return curve
    names = tuple(metric.name for metric in metrics)
    point = CurvePoint(
        at=analysis.updated_at,
        weight=weight,
        observed=observed.canary_percent,
        worse=tuple(_logarithm(metric.evidence) for metric in metrics),
        good=tuple(_logarithm(metric.promote_evidence) for metric in metrics),
    )
    if curve is None or curve.metrics != names:
        return Curve(metrics=names, points=(point,))
    if point.at <= curve.points[-1].at:
        return curve
    return Curve(metrics=names, points=thinned((*curve.points, point)))


def before_it_began(analysis: AnalysisStatus) -> bool:
    """Say whether the judge has only read what was before: it begins with stable's own past."""
    at, began = analysis.updated_at, analysis.started_at
    return at is not None and began is not None and at < began


def thinned(points: tuple[CurvePoint, ...]) -> tuple[CurvePoint, ...]:
    """Return at most `POINTS` of the points: the first, the last and each highest one stay, and gaps stay small."""
    kept = list(points)
    while len(kept) > POINTS:
        stay = _highest(kept)
        free = (index for index in range(1, len(kept) - 1) if index not in stay)
        del kept[min(free, key=lambda index: kept[index + 1].at - kept[index - 1].at)]
    return tuple(kept)


def _highest(points: list[CurvePoint]) -> set[int]:
    """Where each of the lines is highest for the first time."""
    lines = [
        *zip(*(point.worse for point in points), strict=True),
        *zip(*(point.good for point in points), strict=True),
    ]
    return {max(range(len(points)), key=line.__getitem__) for line in lines}


def _logarithm(evidence: float) -> float:
    return round(log10(max(evidence, 1e-12)), 2)
