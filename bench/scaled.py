"""The goals in absolute numbers, and what they mean on the machine of this run.

They were set for a machine on which Envoy, as a plain proxy with one worker, needs 29.9 us of CPU for a request over
REST and 26 us for a call over gRPC. The same Envoy does the same work in each run here: what it needs now, divided by
what it needs there, says how many times longer this machine takes for such work. A goal in time is multiplied by that,
a goal in work done in a time is divided by it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

ENVOY_REST = 29.9  # us of CPU where the goals were set
ENVOY_RPC = 26.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal and what was measured; `rate`: more is better, and it is work done in a time."""

    text: str
    unit: str
    wanted: float
    measured: float
    rate: bool = False

    def scaled(self, factor: float) -> float:
        """The same goal where all work takes `factor` times as long."""
        return self.wanted / factor if self.rate else self.wanted * factor

    def met(self, wanted: float) -> bool:
        """Whether what was measured would do for this number."""
        return self.measured >= wanted if self.rate else self.measured <= wanted


def table(goals: Iterable[Goal], here: float, there: float) -> list[str]:
    """Lines of a table: each goal as it was set, as it is on this machine, and what was measured.

    Args:
        goals: in absolute numbers.
        here: us of CPU that Envoy needs in this run.
        there: the same on the machine for which they were set.
    """
    factor = here / there
    lines = [
        f"Envoy needs {here:.1f} us here, {there:g} us where the goals were set: {factor:.2f} times as long",
        "| goal | as it was set | scaled by Envoy's cost here | measured | as set | scaled |",
        "|---|---|---|---|---|---|",
    ]
    for goal in goals:
        scaled = goal.scaled(factor)
        word = ">=" if goal.rate else "<="
        numbers = [f"{word} {_number(goal.wanted)}", f"{word} {_number(scaled)}", _number(goal.measured)]
        verdicts = ["met" if goal.met(wanted) else "not met" for wanted in (goal.wanted, scaled)]
        lines.append(f"| {goal.text}, {goal.unit} | {' | '.join([*numbers, *verdicts])} |")
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"
