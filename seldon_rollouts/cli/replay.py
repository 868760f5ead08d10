"""`seldon-rollouts replay`: a past window of two deployments before the judge, from what Prometheus kept."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from analysis.checks import TrafficSplit
from analysis.measure import Labels
from analysis.replay import ReplayError
from analysis.replay import replay as judged
from analysis.spec import Arm, Comparison, Plan, Shift
from analysis.verdict import Verdict
from controller import clock
from controller.api.meta import parse_duration
from seldon_rollouts.cli import finding, names, past, replayed
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, UsageError, run
from seldon_rollouts.cli.output import Format, Output, data
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at

EXIT = {Verdict.GOOD: 0, Verdict.BAD: 1, Verdict.INCONCLUSIVE: 3, Verdict.NO_DATA: 4, Verdict.ERROR: 4}
NamespaceLabel = Annotated[str, typer.Option(help="What Prometheus calls the namespace of a scraped pod.")]
PodLabel = Annotated[str, typer.Option(help="What Prometheus calls a scraped pod.")]


Begin = Annotated[
    str,
    typer.Option(
        "--from",
        help="An ISO time such as 2026-05-04T10:00Z, or 2h for 2 h ago; of a rollout's canary under way, when its "
        "judgement began if absent.",
    ),
]
End = Annotated[str, typer.Option("--to", help="The same; now when absent.")]
Stable = Annotated[str, typer.Option(help="deployment_name of stable in the metrics.")]
Canary = Annotated[str, typer.Option(help="deployment_name of what is judged.")]
Itself = Annotated[str, typer.Option("--self", help="One deployment: half of its pods against the other half.")]
Asked = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Judge with this rollout's analysis; stable and canary are its own where none are given.",
        autocompletion=names.rollouts,
    ),
]
File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="A YAML file to take the rollout from.", exists=True, dir_okay=False),
]
Weight = Annotated[
    float | None,
    typer.Option(help="The canary's percent of live requests all this time, which the check `traffic` needs."),
]
StableService = Annotated[
    list[str] | None, typer.Option(help="destination_service_name at the gateway; again for more.")
]
CanaryService = Annotated[list[str] | None, typer.Option(help="The same of what is judged.")]
Warmup = Annotated[
    str, typer.Option(help="What is measured this soon after --from is dropped; as the rollout has it, else 60s.")
]
Step = Annotated[str, typer.Option(help="How often the judge looks; at least the scrape interval.")]


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("replay")(replay)


def replay(
    begin: Begin = "",
    end: End = "0s",
    stable: Stable = "",
    canary: Canary = "",
    itself: Itself = "",
    rollout: Asked = "",
    file: File = None,
    weight: Weight = None,
    namespace: Namespace = "",
    stable_service: StableService = None,
    canary_service: CanaryService = None,
    warmup: Warmup = "",
    step: Step = "10s",
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

    Without a rollout failed requests and latency are judged, with the default plan. The half hour before --from
    teaches what stable is like, as in a rollout. Where a metric that pauses was bad, a good end is 3, too.
    """
    if output not in (Format.TEXT, Format.JSON, Format.YAML):
        raise typer.BadParameter(f"-o {output} does not fit a replay; expected text, json or yaml")
    if file is not None:
        known = past.told(past.in_file(file, rollout, namespace))
    elif rollout:
        known = past.told(run(kubeconfig, context, lambda client: finding.rollout(client, namespace, rollout)))
    else:
        known = past.Told(Plan())
    if stable or canary or itself:
        known = past.Told(known.plan)  # steps and weights are about other revisions
    pair = (stable or known.stable, stable_service or []), (canary or known.canary, canary_service or [])
    arms = _arms(namespace, *pair, itself)
    start, until = _between(begin, end, known.started_at)
    provider = provider_at(prometheus_url, prometheus_access, prometheus_token)
    if weight is not None:
        known = replace(known, shifts=(_weight(weight, known.plan, start, halved=bool(itself)),))
    comparison = Comparison(
        key=(namespace, arms[1].deployment),
        stable=arms[0],
        canary=arms[1],
        plan=replace(known.plan, warmup=span("--warmup", warmup)) if warmup else known.plan,
        started_at=start,
        restarts=tuple(at for at in known.restarts if at > start),
        shifts=known.shifts,
    )
    provider, labels = (
        provider_at(prometheus_url, prometheus_access, prometheus_token),
        Labels(namespace_label, pod_label),
    )
    try:
        window = asyncio.run(judged(provider, comparison, until, step=span("--step", step), labels=labels))
    except ReplayError as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise typer.BadParameter(f"--step {step}: {error}, such as --step 10s") from None
    if not data(output, replayed.written(comparison, window)):
        replayed.show(comparison, window)
    verdict = window.last.verdict
    raise typer.Exit(EXIT[Verdict.INCONCLUSIVE if verdict is Verdict.GOOD and window.asks else verdict])


def _between(begin: str, end: str, started_at: datetime | None) -> tuple[datetime, datetime]:
    """Return when a window begins and ends."""
    now = clock.now()
    if not begin and started_at is None:
        raise typer.BadParameter("give --from: an ISO time such as 2026-05-04T10:00Z, or how long ago, such as 2h")
    start = started_at if not begin and started_at is not None else moment("--from", begin, now)
    until = moment("--to", end, now)
    if not start < until <= now:
        raise typer.BadParameter(f"--from {start:%FT%TZ} must lie before --to {until:%FT%TZ}, and both in the past")
    return start, until


def _weight(percent: float, plan: Plan, start: datetime, *, halved: bool) -> Shift:
    """Return the weight that a person knows."""
    if halved:
        raise typer.BadParameter(f"--weight {percent:g}: halves of one deployment have no weight; leave it out")
    if not 0 < percent < 100:
        raise typer.BadParameter(f"--weight {percent:g}: expected a percent above 0 and below 100, such as 10")
    if not any(isinstance(metric, TrafficSplit) for metric in plan.metrics):
        raise typer.BadParameter(
            f"--weight {percent:g}: only the check `traffic` looks at it, and the plan has none; leave it out, or give "
            "a rollout (-f, --rollout) with `traffic: {}` among its analysis.metrics"
        )
    return Shift(at=start, share=percent / 100)


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
        raise typer.BadParameter("give --stable and --canary, or --self, or the --rollout of a canary under way")
    if stable[0] == canary[0]:
        raise typer.BadParameter(f"--stable and --canary are both {stable[0]}: for its own halves give --self")
    return Arm(namespace, stable[0], tuple(stable[1])), Arm(namespace, canary[0], tuple(canary[1]))
