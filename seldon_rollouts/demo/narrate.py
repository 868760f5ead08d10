"""How the demo is told: a line for each event, and on a terminal a live table of the revisions under it."""

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from controller.api.rollout import RolloutStatus
from seldon_rollouts.demo.report import milliseconds, percent
from seldon_rollouts.demo.traffic import Tally


class Narrator:
    """Tells the story on a console; to a file or a pipe the table is printed once a scene."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Narrator":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def say(self, text: str, style: str = "") -> None:
        """Print one line, with the time since the start."""
        self._console.print(f"{self.seconds:6.1f} s  {text}", style=style, highlight=False, soft_wrap=True)

    def show(self, found: Table) -> None:
        """Print a table."""
        self._console.print(found)

    def update(self, status: RolloutStatus, numbers: Mapping[str, int], tallies: Mapping[str, Tally]) -> None:
        """Refresh the live table."""
        if self._live:
            self._live.update(revisions(status, numbers, tallies))

    def scene_ends(self, status: RolloutStatus, numbers: Mapping[str, int], tallies: Mapping[str, Tally]) -> None:
        """Where there is no live table, print it now."""
        if not self._live:
            self.show(revisions(status, numbers, tallies))


def revisions(status: RolloutStatus, numbers: Mapping[str, int], tallies: Mapping[str, Tally]) -> Table:
    """Return weights, requests, errors and latency of each revision."""
    found = Table(title=status.message or None, title_justify="left")
    found.add_column("revision")
    for heading in ("role", "weight", "requests", "errors (10 s)", "accuracy", "p50", "p99"):
        found.add_column(heading, justify="right")
    for digest, number in _ordered(numbers):
        tally = tallies.get(digest, Tally())
        role, weight = _place(status, digest)
        errors = sum(failed for _, failed in tally.recent) / len(tally.recent) if tally.recent else None
        found.add_row(
            f"{number} ({digest})", role, weight, str(tally.requests), percent(errors), percent(tally.accuracy()),
            milliseconds(tally.quantile(0.5)), milliseconds(tally.quantile(0.99)),
        )  # fmt: skip
    return found


def _ordered(numbers: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(numbers.items(), key=lambda item: item[1])


def _place(status: RolloutStatus, digest: str) -> tuple[str, str]:
    if status.stable_revision and status.stable_revision.hash == digest:
        return "stable", f"{status.stable_revision.weight:g} %"
    if status.canary_revision and status.canary_revision.hash == digest:
        return "canary", f"{status.canary_revision.weight:g} %"
    if any(rejected.hash == digest for rejected in status.rejected):
        return "rejected", "0 %"
    left = (each.weight for each in status.retired_revisions if each.hash == digest)
    return "retired", f"{next(left, 0):g} %"
