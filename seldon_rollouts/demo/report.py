"""The demo's account: what was observed of each revision, and whether it is what was promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from seldon_rollouts.demo.scenes import Scene
from seldon_rollouts.demo.traffic import Failure, Tally


@dataclass(slots=True, kw_only=True)
class Act:
    """What was observed of one scene."""

    scene: Scene
    hash: str = ""
    outcome: str = "unfinished"
    reason: str = ""
    metric: str = ""
    seconds: float | None = None
    """From apply to verdict."""
    controller_killed: bool = False
    step_before_kill: int | None = None
    step_after_kill: int | None = None
    problems: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """Say what is not as promised."""
        problems = list(self.problems)
        if self.outcome != self.scene.expected:
            problems.append(f"revision {self.scene.number}: expected {self.scene.expected}, observed {self.outcome}")
        if self.scene.metric and self.metric != self.scene.metric:
            problems.append(f"revision {self.scene.number}: rolled back for {self.metric!r}, not {self.scene.metric!r}")
        if self.scene.expected == "RolledBack" and not self.reason:
            problems.append(f"revision {self.scene.number}: no reason was written down")
        if self.scene.kill_controller_at_step is not None:
            problems += self._check_kill()
        return problems

    def _check_kill(self) -> list[str]:
        if not self.controller_killed:
            return [f"revision {self.scene.number}: the controller was not killed on the way"]
        before, after = self.step_before_kill, self.step_after_kill
        if after is None or before is None or after < before:
            return [f"revision {self.scene.number}: the controller lost its place: step {before}, then {after}"]
        return []


def lost(failures: Sequence[Failure], acts: Sequence[Act]) -> list[Failure]:
    """Return the failed requests that no bad revision itself answered."""
    bad = {act.hash for act in acts if act.scene.expected == "RolledBack"}
    return [failure for failure in failures if failure.revision not in bad]


def problems(acts: Sequence[Act], failures: Sequence[Failure]) -> list[str]:
    """Return everything that is not as promised; empty when the demo shows what it says."""
    found = [problem for act in acts for problem in act.check()]
    stray = lost(failures, acts)
    if stray:
        first = stray[0]
        found.append(
            f"{len(stray)} requests failed that no bad revision answered; first: {first.status} {first.detail}"
        )
    return found


def summary(
    acts: Sequence[Act], tallies: Mapping[str, Tally], failures: Sequence[Failure], seconds: float
) -> dict[str, Any]:
    """Return the account for machines."""
    revisions = []
    for act in acts:
        tally = tallies.get(act.hash, Tally())
        revisions.append(
            {
                "revision": act.scene.number,
                "hash": act.hash,
                "title": act.scene.title,
                "verdict": act.outcome,
                "expected": act.scene.expected,
                "reason": act.reason,
                "metric": act.metric,
                "secondsToVerdict": round(act.seconds, 1) if act.seconds is not None else None,
                "requests": tally.requests,
                "failed": tally.failed,
                "accuracy": tally.accuracy(),
                "p50Ms": _ms(tally.quantile(0.5)),
                "p99Ms": _ms(tally.quantile(0.99)),
            }
        )
    kills = [act for act in acts if act.controller_killed]
    return {
        "revisions": revisions,
        "controllerKilledAtStep": _counted(kills[0].step_before_kill) if kills else None,
        "controllerWentOnAtStep": _counted(kills[0].step_after_kill) if kills else None,
        "requests": sum(tally.requests for tally in tallies.values()),
        "failed": len(failures),
        "lost": len(lost(failures, acts)),
        "seconds": round(seconds, 1),
        "problems": problems(acts, failures),
    }


def _counted(step: int | None) -> int | None:
    """Steps are told from 1, as everywhere that people read."""
    return None if step is None else step + 1


def table(acts: Sequence[Act], tallies: Mapping[str, Tally]) -> Table:
    """Return the account for people."""
    found = Table(title="What happened", title_justify="left")
    for heading in ("revision", "verdict", "reason"):
        found.add_column(heading, overflow="fold")
    for heading in ("time", "requests", "bad", "accuracy", "p50", "p99"):
        found.add_column(heading, justify="right", no_wrap=True)
    for act in acts:
        tally = tallies.get(act.hash, Tally())
        slow = act.metric == "latency" and act.outcome == "RolledBack"
        found.add_row(
            str(act.scene.number),
            act.outcome,
            act.reason or act.scene.title,
            f"{act.seconds:.0f} s" if act.seconds is not None else "-",
            str(tally.requests),
            str(tally.requests if slow else tally.failed),
            percent(tally.accuracy()),
            milliseconds(tally.quantile(0.5)),
            milliseconds(tally.quantile(0.99)),
        )
    return found


def percent(share: float | None) -> str:
    """Return a share as text."""
    return "-" if share is None else f"{100 * share:.1f} %"


def milliseconds(seconds: float | None) -> str:
    """Return a latency as text."""
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)
