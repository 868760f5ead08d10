"""`seldon-rollouts plan`: what the judge can see at each weight of a rollout, from stable's traffic lately."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite, log
from typing import Annotated, Any

import typer
from rich.table import Table

from analysis import forecast as ahead
from analysis.forecast import CATCH_OVERHEAD, CHANGES, PROMOTE_OVERHEAD, Change, Forecast
from analysis.habits import habits
from analysis.measure import Labels, Measurer
from analysis.providers.provider import ProviderError
from analysis.spec import ERROR_LINES, SLOW_LINES, Arm, Lines
from analysis.spec import Plan as Judging
from analysis.usual import Habits
from controller import clock
from controller.api.strategy import CanaryStrategy
from controller.rollout import judging
from seldon_rollouts.cli import finding
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, Rollout, UsageError, run
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import Format, Output, data, line
from seldon_rollouts.cli.past import spec_of
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at
from seldon_rollouts.cli.replay import NamespaceLabel, PodLabel, span
from seldon_rollouts.view.base import status_of

WAIT = timedelta(minutes=10)
"""How long an analysis step waits when its maxDuration is not said."""
FEW = 10.0
"""Below so many canary requests a second the time is extended once, by as much again."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A weight of the plan, and how many seconds the judge has there; None where a person decides."""

    percent: float
    allowed: float | None


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("plan")(plan)


def plan(
    name: Rollout,
    namespace: Namespace = "",
    prometheus_url: PrometheusUrl = "",
    prometheus_access: PrometheusAccess = "",
    prometheus_token: PrometheusToken = "",
    past: Annotated[str, typer.Option("--past", help="How much of stable's traffic is looked at.")] = "1h",
    namespace_label: NamespaceLabel = "namespace",
    pod_label: PodLabel = "pod",
    output: Output = Format.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Say how long the judge needs at each weight of a rollout, to promote and to catch changes, and what is better."""
    if output not in (Format.TEXT, Format.JSON, Format.YAML):
        raise typer.BadParameter(f"-o {output} does not fit a plan; expected text, json or yaml")
    provider = provider_at(prometheus_url, prometheus_access, prometheus_token)
    measurer = Measurer(provider, labels=Labels(namespace_label, pod_label))
    rollout = run(kubeconfig, context, lambda client: finding.rollout(client, namespace, name))
    stages, judged = asked(rollout)
    stable, canary = _arms(rollout)
    now, window = clock.now(), span("--past", past)
    try:
        found = asyncio.run(habits(measurer, stable, now - window, now, canary=canary))
    except ProviderError as error:
        raise UsageError(str(error)) from None
    if found is None:
        raise UsageError(
            f"Prometheus counted no request of deployment_name {stable.deployment} in namespace {stable.namespace} "
            f"in the last {past}: send some, look further back with --past, or see `doctor`"
        )
    weighed = {one.percent: ahead.forecast(found, judged, one.percent / 100) for one in stages}
    said = advice(found, judged, stages)
    if not data(output, _written(stable, found, judged, stages, weighed, said)):
        _show(stable, found, judged, stages, weighed, said)


def asked(rollout: dict[str, Any]) -> tuple[list[Stage], Judging]:
    """Return the weights of a canary with the time at each, and how it is judged.

    Raises:
        UsageError: it is no canary, or is judged otherwise than request by request.
    """
    spec = spec_of(rollout)
    shadow = spec.strategy.shadow
    canary = spec.strategy.canary if shadow is None else shadow.then
    if canary is None:
        raise UsageError("the rollout has no weights to plan: only strategy.canary and strategy.shadow.then have some")
    if spec.analysis.judge != "sequential":
        raise UsageError(f"analysis.judge is {spec.analysis.judge}: only sequential's times can be told ahead")
    judged = judging.plan(spec.analysis)
    if not judged.compared:
        raise UsageError("analysis.metrics has neither errorRate nor latency: only their times can be told ahead")
    return _stages(canary), judged


def _stages(canary: CanaryStrategy) -> list[Stage]:
    found: dict[float, float | None] = {}
    weight = 0.0
    for step in canary.plan():
        if step.set_weight is not None:
            weight = step.set_weight
            found.setdefault(weight, None)
        elif step.analysis is not None:
            found[weight] = (found.get(weight) or 0.0) + (step.analysis.max_duration or WAIT).total_seconds()
    stages = [Stage(percent, allowed) for percent, allowed in found.items() if 0 < percent < 100]
    if not stages:
        raise UsageError("the rollout's steps set no weight between 0 and 100")
    return stages


def _arms(rollout: dict[str, Any]) -> tuple[Arm, Arm | None]:
    """Return stable, and the canary whose requests come on top of stable's: not one that gets copies."""
    status, namespace = status_of(rollout), rollout["metadata"]["namespace"]
    stable, canary = status.stable_revision, status.canary_revision
    if stable is None:
        raise UsageError("the rollout has no stable revision yet: plan again when its first revision serves")
    copies = status.weights.mirror > 0 or status.weights.control > 0
    beside = None if canary is None or copies else Arm(namespace, canary.name)
    return Arm(namespace, stable.name), beside


def advice(found: Habits, judged: Judging, stages: list[Stage]) -> list[str]:
    """Return what would be better: nothing where an equal canary can be promoted in the time of the first step."""
    first = next((one for one in stages if one.allowed is not None), None)
    if first is None or first.allowed is None:
        return []
    rate = found.requests * first.percent / 100
    allowed = first.allowed * (2 if rate < FEW else 1)
    only = first is stages[-1]
    evidence = judged.promote_needed if only else judged.step_needed
    seen = ahead.forecast(found, judged, first.percent / 100)
    needed = seen.promote if only else seen.step
    if needed <= allowed:
        return []
    said = [f"at {first.percent:g} % an equal canary needs {_time(needed)} and has {_time(allowed)}: a person is asked"]
    larger = ahead.start(found, judged, first.allowed, first.percent / 100, evidence)
    if larger is not None:
        weights = ahead.better_weights([one.percent / 100 for one in stages], larger)
        said.append(f"better: weights: [{', '.join(f'{100 * share:g}' for share in weights)}]")
    copied = ahead.shadow(found, judged).promote  # a shadow's end needs all of it
    if copied < needed and (larger is None or copied < allowed):
        said.append(f"or first a shadow that gets a copy of every request: {_time(copied)}, without any user's risk")
    if larger is None and isfinite(needed):
        said.append(f"or wait longer: analysis with maxDuration {_up(needed)}")
    return said


def _up(seconds: float) -> str:
    return f"{-(-int(seconds + 1) // 60)}m"


def _time(seconds: float) -> str:
    if not isfinite(seconds):
        return "never"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def _label(change: Change, found: Habits) -> str:
    by = f"x{change.factor:g}" if change.factor != 1 else f"+{100 * change.points:g} points"
    if change.of == "errors":
        return f"catch errors {by} ({100 * change.share(found.errors):.3g} %)"
    edge = ahead.tail(found)
    return f"catch slow {by}" + (f" (slower than {1000 * edge:g} ms)" if edge is not None else " (no edge can tell)")


def _show(
    stable: Arm,
    found: Habits,
    judged: Judging,
    stages: list[Stage],
    weighed: dict[float, Forecast],
    said: list[str],
) -> None:
    line(f"{stable.deployment}: {found.requests:.3g} requests a second, {100 * found.errors:.3g} % failed")
    slow = [f"{100 * found.slow[edge]:.3g} % over {1000 * edge:g} ms" for edge in ahead.judged_edges(found)]
    line(f"slower: {', '.join(slow) or 'no histogram edge that latency could be judged at'}")
    table = Table("expected", *[f"{one.percent:g} %" for one in stages], box=None, pad_edge=False)
    table.add_row("time of the step", *["-" if one.allowed is None else _time(one.allowed) for one in stages])
    table.add_row("give an equal canary the next weight", *[_time(weighed[one.percent].step) for one in stages])
    table.add_row("promote an equal canary", *[_time(weighed[one.percent].promote) for one in stages])
    for number, change in enumerate(CHANGES):
        table.add_row(_label(change, found), *[_time(weighed[one.percent].caught[number]) for one in stages])
    for about, stable_share, lines in _compared(found):
        least = [_least(found, judged, one, stable_share, lines) for one in stages]
        table.add_row(f"smallest share found in the step: {about}", *[_percent(one) for one in least])
    CONSOLE.print(table)
    line("Each column is as if the rollout began there, after the warm-up. Never: the judge lets such a change pass.")
    line(
        f"This is the bound of all judges, times {CATCH_OVERHEAD:g} to catch and {PROMOTE_OVERHEAD:g} to promote, "
        "as measured in docs/judge.md; it is a median, and bursts make it longer."
    )
    for sentence in said:
        line(sentence)


def _compared(found: Habits) -> list[tuple[str, float, Lines]]:
    """Return what is compared: its name, stable's share, and the lines."""
    edges = [(f"slower than {1000 * edge:g} ms", found.slow[edge], SLOW_LINES) for edge in ahead.judged_edges(found)]
    return [("failed", found.errors, ERROR_LINES), *edges]


def _least(found: Habits, judged: Judging, stage: Stage, stable: float, lines: Lines) -> float | None:
    allowed = WAIT.total_seconds() if stage.allowed is None else stage.allowed
    seen = ahead.Look(stage.percent / 100, found.requests, allowed)
    return ahead.smallest(lines.rollback, stable, seen, log(judged.needed))


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.2g} %"


def _written(
    stable: Arm,
    found: Habits,
    judged: Judging,
    stages: list[Stage],
    weighed: dict[float, Forecast],
    said: list[str],
) -> dict[str, Any]:
    return {
        "stable": stable.deployment,
        "requestsPerSecond": found.requests,
        "errorShare": found.errors,
        "slowShares": {f"{edge:g}": found.slow[edge] for edge in ahead.judged_edges(found)},
        "weights": [
            {
                "percent": one.percent,
                "allowedSeconds": one.allowed,
                "stepSeconds": _finite(weighed[one.percent].step),
                "promoteSeconds": _finite(weighed[one.percent].promote),
                "caught": [
                    {
                        "of": change.of,
                        "factor": change.factor,
                        "points": 100 * change.points,
                        "seconds": _finite(weighed[one.percent].caught[number]),
                    }
                    for number, change in enumerate(CHANGES)
                ],
                "smallest": [
                    {"of": about, "stable": share, "share": _least(found, judged, one, share, lines)}
                    for about, share, lines in _compared(found)
                ],
            }
            for one in stages
        ],
        "advice": said,
    }


def _finite(seconds: float) -> float | None:
    """Return seconds for JSON; None is never."""
    return seconds if isfinite(seconds) else None
