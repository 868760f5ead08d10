"""Analyze: one run of a template from a terminal, with the same plans, limits and providers as in a cluster."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

from analysis.providers.access import OPEN, Access
from analysis.providers.asked.http import Http
from analysis.runs.arguments import Redactor
from analysis.runs.model import Run
from analysis.runs.run import begin, due, end, next_due, step
from controller.analysisruns.asking import Asker
from controller.analysisruns.plans import PlanError, Prepared, prepared
from controller.api.analysis import (
    AnalysisRunSpec,
    AnalysisTemplateSpec,
    Argument,
    TemplateRef,
)
from controller.api.joining import join
from controller.clock import now
from seldon_rollouts.documents import Document


class AnalyzeError(ValueError):
    """The files and arguments make no run. The text says what would be right."""


def run_of(found: Sequence[Document], name: str, given: Mapping[str, str]) -> AnalysisRunSpec:
    """Return the run of the template of a name, or of the only one that no other names.

    Raises:
        ValueError: there is none, or several, or it does not join.
    """
    kinds = {"AnalysisTemplate": False, "ClusterAnalysisTemplate": True}
    if nameless := next((one for one in found if one.kind in kinds and not one.name), None):
        raise AnalyzeError(f"{nameless.file}:{nameless.line()}: {nameless.kind} has no metadata.name")
    known = {
        TemplateRef(template_name=one.name, cluster_scope=kinds[one.kind]): AnalysisTemplateSpec.model_validate(
            one.object.get("spec") or {}
        )
        for one in found
        if one.kind in kinds
    }
    named = {inner for spec in known.values() for inner in spec.templates}
    roots = [one for one in known if (one.template_name == name if name else one not in named)]
    if len(roots) != 1:
        there = ", ".join(sorted(one.template_name for one in known)) or "none"
        raise AnalyzeError(f"{len(roots)} templates to choose from; name one with --template. In the files: {there}")
    arguments = [Argument(name=key, value=value) for key, value in given.items()]
    spec = join(roots, known.get, arguments)
    declared = {one.name for one in spec.args}
    if unknown := sorted(set(given) - declared):
        there = ", ".join(sorted(declared)) or "none"
        raise AnalyzeError(f"no template has an argument {unknown[0]!r}; there are {there}")
    for one in spec.args:
        if one.value is None:
            raise AnalyzeError(f"argument {one.name!r} comes from a cluster; give it with --arg {one.name}=...")
    return spec


def plans(spec: AnalysisRunSpec) -> tuple[Prepared, ...]:
    """Return what is measured.

    Raises:
        PlanError: it cannot be, or only within a cluster.
    """
    metrics = prepared(spec, {one.name: one.value for one in spec.args if one.value is not None})
    for one in metrics:
        if one.provider.job is not None:
            raise PlanError(f"metric {one.plan.name!r} is a Job, which needs a cluster: create an AnalysisRun there")
    return metrics


async def measured(
    metrics: Sequence[Prepared], prometheus_url: str, stop: asyncio.Event, door: Access = OPEN
) -> AsyncIterator[Run]:
    """Measure until the run ends or `stop` is set; give the run after every change.

    Args:
        metrics: what is measured.
        prometheus_url: where PromQL goes when a metric names no address.
        stop: ends the run.
        door: what that Prometheus asks for.
    """
    http = Http(now)
    asker, order = Asker(http, now, prometheus_url, door), [one.plan for one in metrics]
    by_name = {one.plan.name: one for one in metrics}
    run = begin(order, now())
    yield run
    try:
        while not run.phase.ended:
            ready = due(run, order, now())
            found = await asyncio.gather(*(asker.measure(by_name[plan.name], Redactor()) for plan in ready))
            run = step(run, order, [(plan.name, one) for plan, one in zip(ready, found, strict=True)], now())
            if stop.is_set():
                run = end(run, order, now(), "it was ended")
            yield run
            at = next_due(run, order)
            if at is not None and not run.phase.ended:
                await _sleep(at - now(), stop)
    finally:
        await http.close()


async def _sleep(wait: timedelta, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(max(wait.total_seconds(), 0)):
            await stop.wait()
    except TimeoutError:
        return
