"""Steps: what a rollout goes through, as a track with where it is."""

from collections.abc import Mapping
from typing import Any, Literal

from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout.course import Course, course, title
from seldon_rollouts.view.base import View

PROMOTION = "promotion"


State = Literal["done", "current", "failed", "ahead"]


class StepView(View):
    """One step on the track."""

    title: str
    state: State


def track(rollout: Mapping[str, Any], status: RolloutStatus) -> tuple[StepView, ...]:
    """Return the steps, and the promotion as the last one where there will be one; none of a spec that is not valid."""
    way = _way(rollout)
    if way is None:
        return ()
    at = len(way.stages) if status.phase == "Promoting" else status.current_step_index
    return tuple(StepView(title=said, state=_state(index, at, status)) for index, said in enumerate(_titles(way)))


def ahead(rollout: Mapping[str, Any], status: RolloutStatus) -> list[str]:
    """Return what comes after the present step."""
    way = _way(rollout)
    return _titles(way)[status.current_step_index + 1 :] if way is not None else []


def _titles(way: Course) -> list[str]:
    return [*map(title, way.stages), *([] if way.stands_down else [PROMOTION])]


def _way(rollout: Mapping[str, Any]) -> Course | None:
    try:
        return course(RolloutSpec.model_validate(rollout.get("spec") or {}))
    except ValueError:
        return None


def _state(index: int, at: int, status: RolloutStatus) -> State:
    if status.phase in ("Healthy", "Shadowed"):
        return "done"
    here: State = "current" if status.canary_revision is not None else "failed"
    if status.stable_revision is None or (here == "failed" and status.phase != "Degraded"):
        return "ahead"  # the first revision goes through no steps
    if index < at:
        return "done"
    return here if index == at else "ahead"
