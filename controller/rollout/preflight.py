"""Preflight: whether the canary can be judged, and the smallest change that would be found at each of its weights."""

from datetime import timedelta

from analysis.forecast import Look, smallest
from analysis.information import SOONEST
from analysis.judges.sentences import edge, share
from analysis.spec import Plan
from controller.api.meta import format_duration
from controller.api.rollout import AnalysisStatus, RolloutSpec, RolloutStatus
from controller.api.seen import ComparedStatus, PreflightStatus, Smallest
from controller.api.strategy import AnalysisStep, Step
from controller.rollout import judging
from controller.rollout.course import Judge, Stage, course
from controller.rollout.observed import Observed
from controller.rollout.phases import IN_PROGRESS, Phase

WAIT = timedelta(minutes=10)
"""How long an analysis waits whose maxDuration is not said; a pause for a person is taken for as long."""
WEIGHTS = 6
"""At most so many weights are looked ahead at, the first ones."""
MOVED = 1.5
"""Figures stay until one of them is another by this factor: a status is not written for less."""

Weighed = tuple[float, float, float]
"""Percent of live requests, percent of copies, and how many seconds it is judged so."""


def standing(obs: Observed, status: RolloutStatus) -> PreflightStatus | None:
    """Return whether the canary can be judged, for the condition; None where nothing is compared."""
    compared = status.canary_revision is not None and status.analysis.started_at is not None
    if not compared or Phase(status.phase) not in IN_PROGRESS:
        return None
    if not obs.prometheus:
        text = (
            "the controller has no --prometheus-url, so nothing can be judged: install it with one, or promote by hand"
        )
        return PreflightStatus(ready="False", reason="NoPrometheus", message=text)
    return status.analysis.preflight


def refreshed(spec: RolloutSpec | None, seen: AnalysisStatus, last: AnalysisStatus) -> PreflightStatus | None:
    """Return what the judge says of its chances now, with the smallest changes; the last figures while they hold."""
    fresh, before = seen.preflight, last.preflight
    if fresh is not None and seen.updated_at is None and before is not None:
        return before  # after a restart of the controller nothing was read yet
    if fresh is None or fresh.ready != "True" or spec is None:
        return fresh
    plan, ahead = judging.plan(spec.analysis, baking=last.baking), weighed(spec)
    if before is not None and before.ready == "True" and _holds(before, fresh, ahead):
        return before
    compared = tuple(
        each.model_copy(update={"smallest": _smallest(each, plan, fresh, ahead)}) for each in fresh.compared
    )
    found = fresh.model_copy(update={"compared": compared})
    said = "; ".join(text for text in (_sentence(found, ahead), fresh.message) if text)
    return found.model_copy(update={"message": said})


def weighed(spec: RolloutSpec) -> tuple[Weighed, ...]:
    """Return the weights at which the canary is judged against stable, in their order, and the time at each."""
    way = course(spec)
    found: dict[tuple[float, float], float] = {}
    weight = mirror = 0.0
    for index, stage in enumerate(way.stages):
        if isinstance(stage, Step) and stage.set_weight is not None:
            weight, mirror = stage.set_weight, 0.0
        elif isinstance(stage, Step) and stage.set_mirror is not None:
            mirror = stage.set_mirror.percentage
        elif index not in way.unjudged and (mirror or 0 < weight < 100):
            at = (0.0, mirror) if mirror else (weight, 0.0)
            if seconds := _time(stage):
                found[at] = found.get(at, 0.0) + seconds
    return tuple((*at, seconds) for at, seconds in found.items())[:WEIGHTS]


def _time(stage: Stage) -> float:
    match stage:
        case Judge(step=AnalysisStep() as step) | Step(analysis=AnalysisStep() as step):
            return max(step.max_duration or WAIT, step.min_duration or timedelta()).total_seconds()
        case Step(pause=pause) if pause is not None:
            return (pause.duration or pause.max_duration or WAIT).total_seconds()
        case _:
            return 0.0


def _smallest(
    each: ComparedStatus, plan: Plan, fresh: PreflightStatus, ahead: tuple[Weighed, ...]
) -> tuple[Smallest, ...]:
    metric = next((one for one in plan.compared if one.name == each.name), None)
    if metric is None or plan.judge != "sequential":
        return ()
    found, edges = [], sum(one.name == each.name for one in fresh.compared)
    for weight, mirror, seconds in ahead:
        part = mirror / (100 + mirror) if mirror else weight / 100
        seen = Look(part, fresh.requests * (1 + mirror / 100), seconds)
        least = smallest(plan, metric, each.stable, seen, edges=edges)
        found.append(Smallest(weight=weight, mirror=mirror, share=None if least is None else float(f"{least:.2g}")))
    return tuple(found)


def _holds(before: PreflightStatus, fresh: PreflightStatus, ahead: tuple[Weighed, ...]) -> bool:
    """Say whether the figures of the last time are near enough, and speak of the same."""
    keys = [[(each.name, each.slower_than) for each in one.compared] for one in (before, fresh)]
    weights = {tuple((one.weight, one.mirror) for one in each.smallest) for each in before.compared}
    if keys[0] != keys[1] or weights - {tuple((weight, mirror) for weight, mirror, _ in ahead)}:
        return False
    shares = [(one.stable, other.stable) for one, other in zip(before.compared, fresh.compared, strict=True)]
    return all(_near(*pair) for pair in [(before.requests, fresh.requests), *shares])


def _near(before: float, now: float) -> bool:
    return max(before, now) <= MOVED * min(before, now) or max(before, now) < 1e-4


def _sentence(found: PreflightStatus, ahead: tuple[Weighed, ...]) -> str:
    """What is found at the first weight."""
    rate = f"{found.requests:g} requests a second"
    if not ahead:
        return rate
    weight, mirror, seconds = ahead[0]
    least = [
        f"{_subject(each)} {_from(each.smallest[0])} ({share(each.stable)} on stable)"
        for each in found.compared
        if each.smallest
    ]
    where = f"{mirror:g} % copied" if mirror else f"{weight:g} %"
    within = format_duration(timedelta(seconds=max(SOONEST, seconds)))
    return f"{rate}; found within {within} at {where}: {', '.join(least)}" if least else rate


def _from(least: Smallest) -> str:
    return "at no share" if least.share is None else f"from {share(least.share)}"


def _subject(each: ComparedStatus) -> str:
    if each.slower_than is None:
        return "failed requests"
    return f"slower than {edge(each.slower_than.total_seconds())}"
