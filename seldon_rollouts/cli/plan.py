"""`seldon-rollouts plan`: what the judge can see at each weight of a rollout, from stable's traffic lately."""

import asyncio
from math import isfinite
from typing import Annotated, Any

import typer

from analysis import forecast as ahead
from analysis.checks import Check
from analysis.habits import habits
from analysis.measure import Labels, Measurer
from analysis.providers.provider import ProviderError
from analysis.spec import Arm
from analysis.spec import Plan as Judging
from analysis.usual import Habits
from controller import clock
from controller.api.strategy import CanaryStrategy
from seldon_rollouts.cli import finding, planned
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, Rollout, UsageError, run
from seldon_rollouts.cli.output import Format, Output, data
from seldon_rollouts.cli.past import plan_of, spec_of
from seldon_rollouts.cli.planned import WAIT, Planned, Stage, told
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at
from seldon_rollouts.cli.replay import NamespaceLabel, PodLabel, span
from seldon_rollouts.view.base import status_of

FEW = 10.0
"""Below so many canary requests a second the time is extended once, by as much again."""


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
    stable, canary, beside = _arms(rollout)
    now, window = clock.now(), span("--past", past)
    checks = [metric for metric in judged.metrics if isinstance(metric, Check)]
    try:
        asking = habits(measurer, stable, now - window, now, canary=canary, beside=beside, checks=checks)
        found = asyncio.run(asking)
    except ProviderError as error:
        raise UsageError(str(error)) from None
    if found is None:
        raise UsageError(
            f"Prometheus counted no request of deployment_name {stable.deployment} in namespace {stable.namespace} "
            f"in the last {past}: send some, look further back with --past, or see `doctor`"
        )
    seen = Planned(stable.deployment, found, judged, tuple(stages), tuple(advice(found, judged, stages)))
    if not data(output, planned.written(seen)):
        planned.show(seen)


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
    return _stages(canary), plan_of(spec)


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


def _arms(rollout: dict[str, Any]) -> tuple[Arm, Arm | None, bool]:
    """Return stable, the canary, and whether its requests come on top of stable's: copies do not."""
    status, namespace = status_of(rollout), rollout["metadata"]["namespace"]
    stable, canary = status.stable_revision, status.canary_revision
    if stable is None:
        raise UsageError("the rollout has no stable revision yet: plan again when its first revision serves")
    copies = status.weights.mirror > 0 or status.weights.control > 0
    return Arm(namespace, stable.name), None if canary is None else Arm(namespace, canary.name), not copies


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
    said = [f"at {first.percent:g} % an equal canary needs {told(needed)} and has {told(allowed)}: a person is asked"]
    larger = ahead.start(found, judged, first.allowed, first.percent / 100, evidence)
    if larger is not None:
        weights = ahead.better_weights([one.percent / 100 for one in stages], larger)
        said.append(f"better: weights: [{', '.join(f'{100 * share:g}' for share in weights)}]")
    copied = ahead.shadow(found, judged).promote  # a shadow's end needs all of it
    if copied < needed and (larger is None or copied < allowed):
        said.append(f"or first a shadow that gets a copy of every request: {told(copied)}, without any user's risk")
    if larger is None and isfinite(needed):
        said.append(f"or wait longer: analysis with maxDuration {_up(needed)}")
    return said


def _up(seconds: float) -> str:
    return f"{-(-int(seconds + 1) // 60)}m"
