"""How a replayed window is told: in sentences and tables for people, and as data for programs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table

from analysis.checks import PredictionDrift, Reward
from analysis.replay import Window
from analysis.spec import Comparison
from analysis.verdict import Finding, Judgement, Verdict
from controller.api.meta import format_duration
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import line

ROWS = 24
"""About how many rows of evidence are printed."""


def show(comparison: Comparison, window: Window) -> None:
    """Print what the judge would have said, for people."""
    last = window.last
    line(f"{_about(comparison)}, {comparison.started_at:%FT%TZ} to {last.updated_at or comparison.started_at:%FT%TZ}")
    line(f"{last.verdict}: {last.message}")
    for sentence in (*_missing(comparison, last), *_left(window)):
        line(sentence)
    if last.verdict is Verdict.NO_DATA and not any(one.canary_requests for one in last.findings):
        return
    line(_outcome(comparison, window))
    for sentence in _asides(comparison, window):
        line(sentence)
    CONSOLE.print(_figures(last))
    CONSOLE.print(_course(window))


def _about(comparison: Comparison) -> str:
    stable, canary = comparison.stable.deployment, comparison.canary.deployment
    return f"half of {canary}'s pods against the others" if stable == canary else f"{canary} against {stable}"


def _missing(comparison: Comparison, last: Judgement) -> Iterator[str]:
    """What the metrics lack."""
    if last.verdict is Verdict.NO_DATA:
        wanted = " and ".join(sorted({comparison.stable.deployment, comparison.canary.deployment}))
        yield f"looked for deployment_name {wanted} in namespace {comparison.stable.namespace}; see `doctor`"
    if last.preflight is not None and last.preflight.message:
        yield f"missing: {last.preflight.message}"


def _left(window: Window) -> Iterator[str]:
    for one in window.left:
        hint = " (give --weight)" if "not known" in one.why else ""
        yield f"not replayed: {one.metric}: {one.why}{hint}"


def _outcome(comparison: Comparison, window: Window) -> str:
    bad, good = window.first(Verdict.BAD), window.first(Verdict.GOOD)
    if bad:
        return f"rolled back {_after(comparison, bad)}"
    return f"good enough to promote {_after(comparison, good)}" if good else "neither was decided"


def _after(comparison: Comparison, at: datetime) -> str:
    seconds = round((at - comparison.started_at).total_seconds())
    return f"{format_duration(timedelta(seconds=seconds))} after the start, at {at:%FT%TZ}"


def _asides(comparison: Comparison, window: Window) -> Iterator[str]:
    """What the metrics say that roll nothing back, the bad ones since when."""
    for one in window.last.findings:
        if one.action == "abort":
            continue
        spoke = window.spoke(one.metric)
        if spoke is None or spoke[0] is None:
            yield f"{one.metric} ({one.action}): {one.verdict}: {one.message}"
        else:
            does = "a person would have been asked" if one.action == "pause" else "it would have warned"
            yield f"{one.metric} ({one.action}): {does} {_after(comparison, spoke[0])}: {spoke[1].message}"


def _figures(last: Judgement) -> Table:
    table = Table("metric", "verdict", "canary", "stable", "requests", "worse", "promote", box=None, pad_edge=False)
    for one in last.findings:
        requests = f"{one.canary_requests:,} / {one.stable_requests:,}"
        worse, promote = _to_one(one.evidence, one.needed), _to_one(one.promote_evidence, one.promote_needed)
        table.add_row(one.metric, one.verdict, *map(_of(one), (one.canary, one.stable)), requests, worse, promote)
    return table


def _of(one: Finding) -> Callable[[float | None], str]:
    """How the figures of a metric are written: shares as percent, mean rewards and the index of drift as they are."""
    bare = one.metric in (Reward().name, PredictionDrift().name)

    def written(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.3g}" if bare else f"{100 * value:.3g} %"

    return written


def _course(window: Window) -> Table:
    """How the evidence went: that the canary is worse / that it is good enough."""
    names = [one.metric for one in window.last.findings]
    table = Table("time", "verdict", *[f"{name}: worse / good" for name in names], box=None, pad_edge=False)
    for judgement in window.thinned(ROWS):
        found = {one.metric: f"{one.evidence:.3g} / {one.promote_evidence:.3g}" for one in judgement.findings}
        at = f"{judgement.updated_at:%T}" if judgement.updated_at else ""
        table.add_row(at, judgement.verdict, *[found.get(name, "") for name in names])
    return table


def _to_one(evidence: float, needed: float) -> str:
    return f"{evidence:.3g}:1 of {needed:.3g}:1"


def written(comparison: Comparison, window: Window) -> dict[str, Any]:
    """Return the same for programs."""
    last, bad, good = window.last, window.first(Verdict.BAD), window.first(Verdict.GOOD)
    return {
        "stable": comparison.stable.deployment,
        "canary": comparison.canary.deployment,
        "halves": comparison.stable == comparison.canary,
        "from": _iso(comparison.started_at),
        "to": _iso(last.updated_at),
        "verdict": str(last.verdict),
        "message": last.message,
        "rolledBackAt": _iso(bad),
        "goodAt": _iso(good),
        "missing": last.preflight.message if last.preflight is not None else "",
        "notReplayed": [{"metric": one.metric, "why": one.why} for one in window.left],
        "metrics": [
            _finding(one)
            | {"action": one.action, "required": one.required, "message": one.message, "badAt": _bad_at(window, one)}
            for one in last.findings
        ],
        "evidence": [
            {
                "at": _iso(one.updated_at),
                "verdict": str(one.verdict),
                "metrics": [_finding(each) for each in one.findings],
            }
            for one in window.thinned(ROWS)
        ],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "verdict": str(one.verdict),
        "canary": one.canary,
        "stable": one.stable,
        "canaryRequests": one.canary_requests,
        "stableRequests": one.stable_requests,
        "evidence": one.evidence,
        "needed": one.needed,
        "promoteEvidence": one.promote_evidence,
        "promoteNeeded": one.promote_needed,
    }


def _bad_at(window: Window, one: Finding) -> str | None:
    spoke = window.spoke(one.metric)
    return None if spoke is None else _iso(spoke[0])


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
