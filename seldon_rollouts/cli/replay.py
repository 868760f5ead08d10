"""`seldon-rollouts replay`: a past window of two deployments before the judge, from what Prometheus kept."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from analysis.measure import Labels
from analysis.replay import ReplayError, Window
from analysis.replay import replay as judged
from analysis.spec import Arm, Comparison, Plan
from analysis.verdict import Finding, Judgement, Verdict
from controller import clock
from controller.api.meta import format_duration, parse_duration
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, UsageError
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import Format, Output, data, line
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at

EXIT = {Verdict.GOOD: 0, Verdict.BAD: 1, Verdict.INCONCLUSIVE: 3, Verdict.NO_DATA: 4, Verdict.ERROR: 4}
ROWS = 24
"""About how many rows of evidence are printed."""
NamespaceLabel = Annotated[str, typer.Option(help="What Prometheus calls the namespace of a scraped pod.")]
PodLabel = Annotated[str, typer.Option(help="What Prometheus calls a scraped pod.")]


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("replay")(replay)


def replay(
    begin: Annotated[str, typer.Option("--from", help="An ISO time such as 2026-05-04T10:00Z, or 2h for 2 h ago.")],
    end: Annotated[str, typer.Option("--to", help="The same; now when absent.")] = "0s",
    stable: Annotated[str, typer.Option(help="deployment_name of stable in the metrics.")] = "",
    canary: Annotated[str, typer.Option(help="deployment_name of what is judged.")] = "",
    itself: Annotated[
        str, typer.Option("--self", help="One deployment: half of its pods against the other half.")
    ] = "",
    namespace: Namespace = "",
    stable_service: Annotated[
        list[str] | None, typer.Option(help="destination_service_name at the gateway; again for more.")
    ] = None,
    canary_service: Annotated[list[str] | None, typer.Option(help="The same of what is judged.")] = None,
    warmup: Annotated[str, typer.Option(help="What is measured this soon after --from is dropped.")] = "60s",
    step: Annotated[str, typer.Option(help="How often the judge looks; at least the scrape interval.")] = "10s",
    prometheus_url: PrometheusUrl = "",
    prometheus_access: PrometheusAccess = "",
    prometheus_token: PrometheusToken = "",
    namespace_label: NamespaceLabel = "namespace",
    pod_label: PodLabel = "pod",
    output: Output = Format.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Judge a past window, from Prometheus. Ends with 0 good, 1 bad, 3 inconclusive, 4 without data, 2 when misused.

    The half hour before --from teaches what stable is like, as in a rollout.
    """
    if output not in (Format.TEXT, Format.JSON, Format.YAML):
        raise typer.BadParameter(f"-o {output} does not fit a replay; expected text, json or yaml")
    arms = _arms(namespace, (stable, stable_service or []), (canary, canary_service or []), itself)
    now = clock.now()
    start, until = moment("--from", begin, now), moment("--to", end, now)
    if not start < until <= now:
        raise typer.BadParameter(f"--from {start:%FT%TZ} must lie before --to {until:%FT%TZ}, and both in the past")
    provider = provider_at(prometheus_url, prometheus_access, prometheus_token)
    labels = Labels(namespace_label, pod_label)
    comparison = Comparison(
        key=(namespace, arms[1].deployment),
        stable=arms[0],
        canary=arms[1],
        plan=Plan(warmup=span("--warmup", warmup)),
        started_at=start,
    )
    try:
        window = asyncio.run(judged(provider, comparison, until, step=span("--step", step), labels=labels))
    except ReplayError as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not data(output, _written(comparison, window)):
        _show(comparison, window)
    raise typer.Exit(EXIT[window.last.verdict])


def span(option: str, text: str) -> timedelta:
    """Return a duration that a person gave."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text}: {error}") from None
    if not isinstance(found, timedelta):
        raise typer.BadParameter(f"{option} {text}: expected a duration such as 30s, 5m or 1h30m")
    return found


def moment(option: str, text: str, now: datetime) -> datetime:
    """Return an instant: an ISO time (UTC where no zone is said), or how long ago it was."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - span(option, text)
        except typer.BadParameter:
            raise typer.BadParameter(
                f"{option} {text}: expected an ISO time such as 2026-05-04T10:00Z, or how long ago, such as 2h"
            ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _arms(namespace: str, stable: tuple[str, list[str]], canary: tuple[str, list[str]], itself: str) -> tuple[Arm, Arm]:
    if itself:
        if stable[0] or canary[0] or stable[1] or canary[1]:
            raise typer.BadParameter("--self stands alone: leave out --stable, --canary and their services")
        return Arm(namespace, itself), Arm(namespace, itself)
    if not stable[0] or not canary[0]:
        raise typer.BadParameter("give --stable and --canary, or --self")
    if stable[0] == canary[0]:
        raise typer.BadParameter(f"--stable and --canary are both {stable[0]}: for its own halves give --self")
    return Arm(namespace, stable[0], tuple(stable[1])), Arm(namespace, canary[0], tuple(canary[1]))


def _about(comparison: Comparison) -> str:
    stable, canary = comparison.stable.deployment, comparison.canary.deployment
    return f"half of {canary}'s pods against the others" if stable == canary else f"{canary} against {stable}"


def _outcome(comparison: Comparison, window: Window) -> str:
    bad, good = window.first(Verdict.BAD), window.first(Verdict.GOOD)
    after = [format_duration(at - comparison.started_at) if at else "" for at in (bad, good)]
    if bad:
        return f"rolled back {after[0]} after the start, at {bad:%FT%TZ}"
    return f"good enough to promote {after[1]} after the start, at {good:%FT%TZ}" if good else "neither was decided"


def _show(comparison: Comparison, window: Window) -> None:
    last = window.last
    line(f"{_about(comparison)}, {comparison.started_at:%FT%TZ} to {last.updated_at or comparison.started_at:%FT%TZ}")
    line(f"{last.verdict}: {last.message}")
    if last.verdict is Verdict.NO_DATA:
        wanted = " and ".join(sorted({comparison.stable.deployment, comparison.canary.deployment}))
        line(f"looked for deployment_name {wanted} in namespace {comparison.stable.namespace}; see `doctor`")
        return
    line(_outcome(comparison, window))
    figures = Table("metric", "verdict", "canary", "stable", "requests", "worse", "promote", box=None, pad_edge=False)
    for one in last.findings:
        requests = f"{one.canary_requests:,} / {one.stable_requests:,}"
        worse, promote = _to_one(one.evidence, one.needed), _to_one(one.promote_evidence, one.promote_needed)
        figures.add_row(one.metric, one.verdict, _percent(one.canary), _percent(one.stable), requests, worse, promote)
    CONSOLE.print(figures)
    names = [one.metric for one in last.findings]
    headings = [f"{name} {side}" for name in names for side in ("worse", "promote")]
    course = Table("time", "verdict", *headings, box=None, pad_edge=False)
    for judgement in window.thinned(ROWS):
        course.add_row(*_row(judgement, names))
    CONSOLE.print(course)


def _row(judgement: Judgement, names: list[str]) -> list[str]:
    found = {one.metric: one for one in judgement.findings}
    cells = [f"{judgement.updated_at:%T}" if judgement.updated_at else "", str(judgement.verdict)]
    for name in names:
        one = found.get(name)
        cells += [f"{one.evidence:.3g}", f"{one.promote_evidence:.3g}"] if one else ["", ""]
    return cells


def _to_one(evidence: float, needed: float) -> str:
    return f"{evidence:.3g}:1 of {needed:.3g}:1"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"


def _written(comparison: Comparison, window: Window) -> dict[str, Any]:
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
        "metrics": [_figures(one) | {"message": one.message} for one in last.findings],
        "evidence": [
            {
                "at": _iso(one.updated_at),
                "verdict": str(one.verdict),
                "metrics": [_figures(each) for each in one.findings],
            }
            for one in window.thinned(ROWS)
        ],
    }


def _figures(one: Finding) -> dict[str, Any]:
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


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
