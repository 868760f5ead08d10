"""How a plan is told: what the judge can see at each weight, in a table for people, and as data for programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

from rich.table import Table

from analysis import forecast as ahead
from analysis.checks import Check, is_required
from analysis.forecast import CATCH_OVERHEAD, CHANGES, PROMOTE_OVERHEAD, Change
from analysis.outlook import Outlook, outlook, unknown
from analysis.spec import ErrorRate, Latency, Metric, Plan
from analysis.usual import Habits
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import line

WAIT = timedelta(minutes=10)
"""How long an analysis step waits when its maxDuration is not said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A weight of the plan, and how many seconds the judge has there; None where a person decides."""

    percent: float
    allowed: float | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan rests on, and what would be better."""

    stable: str
    found: Habits
    judged: Plan
    stages: tuple[Stage, ...]
    said: tuple[str, ...]

    @property
    def changes(self) -> tuple[tuple[int, Change], ...]:
        """The changes that some metric of the plan looks for, with their numbers."""
        kinds = {"errors" if isinstance(metric, ErrorRate) else "slow" for metric in self.judged.compared}
        return tuple((number, change) for number, change in enumerate(CHANGES) if change.of in kinds)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The typed checks of which something can be foretold."""
        return tuple(metric for metric in self._checks if not unknown(metric, self.found))

    @property
    def untold(self) -> tuple[tuple[Check, str], ...]:
        """The others, and why."""
        return tuple((metric, why) for metric in self._checks if (why := unknown(metric, self.found)))

    @property
    def _checks(self) -> tuple[Check, ...]:
        return tuple(metric for metric in self.judged.metrics if isinstance(metric, Check))

    def of(self, check: Check, stage: Stage) -> Outlook:
        """What to expect of one of `checks` at one weight."""
        found = outlook(check, self.found, self.judged, stage.percent / 100, needed=self.judged.promote_needed)
        if found is None:
            raise ValueError(f"nothing is foretold of {check.name}")
        return found

    def smallest(self) -> Iterator[tuple[str, float, list[float | None]]]:
        """What is compared with stable, stable's share of it, and the least that is found in the time of each stage."""
        for metric in self.judged.compared:
            about = _compared(metric, self.found)
            for name, share in about:
                yield name, share, [self._least(metric, share, stage, len(about)) for stage in self.stages]

    def _least(self, metric: Metric, share: float, stage: Stage, edges: int) -> float | None:
        allowed = WAIT.total_seconds() if stage.allowed is None else stage.allowed
        seen = ahead.Look(stage.percent / 100, self.found.requests, allowed)
        return ahead.smallest(self.judged, metric, share, seen, edges=edges)


def _compared(metric: Metric, found: Habits) -> list[tuple[str, float]]:
    if isinstance(metric, ErrorRate):
        return [("failed", found.errors)]
    return [(f"slower than {1000 * edge:g} ms", found.slow[edge]) for edge in ahead.judged_edges(found)]


def told(seconds: float) -> str:
    """Return how long something takes, in words."""
    if not isfinite(seconds):
        return "never"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.3g} h" if hours < 100 else f"{hours:,.0f} h"


def show(seen: Planned) -> None:
    """Print a plan for people."""
    found = seen.found
    line(f"{seen.stable}: {found.requests:.3g} requests a second, {100 * found.errors:.3g} % failed")
    if any(isinstance(metric, Latency) for metric in seen.judged.compared):
        slow = [f"{100 * found.slow[edge]:.3g} % over {1000 * edge:g} ms" for edge in ahead.judged_edges(found)]
        line(f"slower: {', '.join(slow) or 'no histogram edge that latency could be judged at'}")
    CONSOLE.print(_table(seen))
    line(
        "Each column is as if the rollout began there, after the warm-up. Never: the judge lets such a change pass, or "
        "it lies too near the line for any of its bets."
    )
    line(
        "Times are what the strongest bet needs by itself, times what was measured beside it "
        f"({CATCH_OVERHEAD:g} to catch, {PROMOTE_OVERHEAD:g} to promote; of checks see docs/judge.md): medians, and "
        "bursts make them longer."
    )
    for check, why in seen.untold:
        needed = ", and a promotion needs it" if is_required(check.action, check.required) else ""
        line(f"not foretold: {check.name}: in this time {why}{needed}")
    for sentence in seen.said:
        line(sentence)


def _table(seen: Planned) -> Table:
    table = Table("expected", *[f"{one.percent:g} %" for one in seen.stages], box=None, pad_edge=False)
    weighed = [ahead.forecast(seen.found, seen.judged, one.percent / 100) for one in seen.stages]
    table.add_row("time of the step", *["-" if one.allowed is None else told(one.allowed) for one in seen.stages])
    table.add_row("give an equal canary the next weight", *[told(one.step) for one in weighed])
    table.add_row("promote an equal canary", *[told(one.promote) for one in weighed])
    for number, change in seen.changes:
        table.add_row(_label(change, seen.found), *[told(one.caught[number]) for one in weighed])
    for about, _, least in seen.smallest():
        table.add_row(f"smallest share found in the step: {about}", *[_percent(one) for one in least])
    for check in seen.checks:
        expected = [seen.of(check, stage) for stage in seen.stages]
        table.add_row(f"{check.name} ({check.action}): an equal canary is good", *[told(one.good) for one in expected])
        for each in zip(*[one.noticed for one in expected], strict=True):
            table.add_row(f"{check.name} ({check.action}): {each[0].change}", *[told(one.after) for one in each])
    return table


def _label(change: Change, found: Habits) -> str:
    by = f"x{change.factor:g}" if change.factor != 1 else f"+{100 * change.points:g} points"
    if change.of == "errors":
        return f"catch errors {by} ({100 * change.share(found.errors):.3g} %)"
    edge = ahead.tail(found)
    return f"catch slow {by}" + (f" (slower than {1000 * edge:g} ms)" if edge is not None else " (no edge can tell)")


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.2g} %"


def written(seen: Planned) -> dict[str, Any]:
    """Return a plan for programs."""
    found = seen.found
    return {
        "stable": seen.stable,
        "requestsPerSecond": found.requests,
        "errorShare": found.errors,
        "slowShares": {f"{edge:g}": found.slow[edge] for edge in ahead.judged_edges(found)},
        "weights": [_stage(seen, number, stage) for number, stage in enumerate(seen.stages)],
        "notForetold": [{"metric": check.name, "why": why} for check, why in seen.untold],
        "advice": list(seen.said),
    }


def _stage(seen: Planned, number: int, stage: Stage) -> dict[str, Any]:
    weighed = ahead.forecast(seen.found, seen.judged, stage.percent / 100)
    return {
        "percent": stage.percent,
        "allowedSeconds": stage.allowed,
        "stepSeconds": _finite(weighed.step),
        "promoteSeconds": _finite(weighed.promote),
        "caught": [
            {
                "of": change.of,
                "factor": change.factor,
                "points": 100 * change.points,
                "seconds": _finite(weighed.caught[each]),
            }
            for each, change in seen.changes
        ],
        "smallest": [{"of": about, "stable": share, "share": least[number]} for about, share, least in seen.smallest()],
        "checks": [_check(check, seen.of(check, stage)) for check in seen.checks],
    }


def _check(check: Check, expected: Outlook) -> dict[str, Any]:
    return {
        "metric": check.name,
        "action": check.action,
        "goodSeconds": _finite(expected.good),
        "noticed": [{"change": one.change, "seconds": _finite(one.after)} for one in expected.noticed],
    }


def _finite(seconds: float) -> float | None:
    """Return seconds for JSON; None is never."""
    return seconds if isfinite(seconds) else None
