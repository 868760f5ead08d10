"""The judge that a plan asks for: one face for all of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from analysis.judges import change, mann_whitney, sequential, threshold
from analysis.judges.change import Change
from analysis.judges.mann_whitney import MannWhitney
from analysis.judges.sequential import Sequential
from analysis.judges.threshold import Threshold
from analysis.judges.views import Views
from analysis.spec import Plan
from analysis.verdict import Finding

Judge = Sequential | Threshold | MannWhitney | Change
T = TypeVar("T", Sequential, Change)


def begin(plan: Plan) -> Judge:
    """The judge before the first tick."""
    match plan.judge:
        case "sequential":
            return sequential.begin(plan)
        case "threshold":
            return threshold.begin(plan)
        case "mannWhitney":
            return mann_whitney.begin(plan)
        case "change":
            return change.begin(plan)


def step_all(judges: Sequence[Judge], views: Views, numbers: Sequence[int]) -> list[Judge]:
    """One tick of many judges, each of the comparison with its number."""
    found = list(judges)
    _step_kind(found, views, numbers, Sequential, sequential.step_all)
    _step_kind(found, views, numbers, Change, change.step_all)
    for at, judge in enumerate(judges):
        if isinstance(judge, Threshold):
            found[at] = threshold.step(judge, views.view(numbers[at]))
        elif isinstance(judge, MannWhitney):
            found[at] = mann_whitney.step(judge, views.view(numbers[at]))
    return found


def _step_kind(
    judges: list[Judge],
    views: Views,
    numbers: Sequence[int],
    kind: type[T],
    step_all: Callable[[Sequence[T], Views, Sequence[int]], Sequence[T]],
) -> None:
    """Step the judges of one kind, in place."""
    mine = [(at, judge) for at, judge in enumerate(judges) if isinstance(judge, kind)]
    stepped = step_all([judge for _, judge in mine], views, [numbers[at] for at, _ in mine])
    for (at, _), judge in zip(mine, stepped, strict=True):
        judges[at] = judge


def findings(judge: Judge, *, said: bool = True) -> tuple[Finding, ...]:
    """What each metric says; the sequential judge leaves out what costs, where it is not to be `said`."""
    match judge:
        case Sequential():
            return sequential.findings(judge, said=said)
        case Threshold():
            return threshold.findings(judge)
        case MannWhitney():
            return mann_whitney.findings(judge)
        case Change():
            return change.findings(judge)
