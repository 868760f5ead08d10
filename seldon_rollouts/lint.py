"""Lint: templates, runs and rollouts looked at offline, as strictly as the controllers will. Pure, over documents."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from analysis.providers.asked import path, promql
from analysis.providers.asked.answer import AskError
from analysis.runs.arguments import references
from controller.admission.review import opinion
from controller.analysisruns.plans import PlanError, literal, matches, prepared
from controller.api import crds
from controller.api.analysis import AnalysisRun, AnalysisRunSpec, AnalysisTemplate, ClusterAnalysisTemplate, TemplateRef
from controller.api.deployment import SeldonDeployment
from controller.api.faults import faults, written
from controller.api.joining import JoinError, join
from controller.api.rollout import SeldonRollout
from controller.clock import now
from controller.deployment.configuration import Configuration
from seldon_rollouts import joined, services, unknown
from seldon_rollouts.documents import Document

KINDS: dict[str, type[BaseModel]] = {
    "AnalysisTemplate": AnalysisTemplate,
    "ClusterAnalysisTemplate": ClusterAnalysisTemplate,
    "AnalysisRun": AnalysisRun,
    "SeldonDeployment": SeldonDeployment,
    "SeldonRollout": SeldonRollout,
}
_VERSIONS = {each.name: tuple(f"{each.group}/{version}" for version in each.versions) for each in crds.KINDS}
_ARGO = "argoproj.io"
"""Its AnalysisTemplates are looked at as ours: what they mean here is what a person who migrates asks."""
_PARTS = re.compile(r"[^.\[\]]+")
_CODES = {"AnalysisTemplate": False, "ClusterAnalysisTemplate": True}


class Problem(NamedTuple):
    """What is wrong, and where."""

    file: str
    line: int
    message: str
    warning: bool = False


def lint(found: Sequence[Document]) -> list[Problem]:
    """Return what is wrong with some objects, in the order of the files. Kinds that are not ours are passed over."""
    parsed: dict[TemplateRef, tuple[Document, AnalysisTemplate | ClusterAnalysisTemplate]] = {}
    rollouts: list[tuple[Document, SeldonRollout]] = []
    problems: list[Problem] = []
    for document in found:
        model = KINDS.get(document.kind)
        problems += _shape(document)
        if model is None:
            continue
        spec = document.object.get("spec") or {}
        strangers = list(unknown.fields(document.kind, spec))
        problems += _at(document, (one._replace(message=f"{written(one.path)}: {one.message}") for one in strangers))
        try:
            value = model.model_validate({"spec": spec})
        except ValidationError as error:
            problems += _invalid(document, error)
            continue
        problems += _at(document, services.asked(document, found))
        if isinstance(value, AnalysisTemplate | ClusterAnalysisTemplate):
            reference = TemplateRef(template_name=document.name or "?", cluster_scope=_CODES[document.kind])
            if reference in parsed:
                problems.append(
                    Problem(document.file, document.line(), f"{document.kind} {document.name!r} is given twice")
                )
            parsed[reference] = document, value
            problems += _template(document, value)
        elif isinstance(value, AnalysisRun):
            problems += _run(document, value.spec)
        else:
            problems += _reviewed(document)
        if isinstance(value, SeldonRollout):
            problems += _at(document, _falling(value))
            rollouts.append((document, value))
    for reference, (document, _) in parsed.items():
        problems += _joined(reference, document, {one: value for one, (_, value) in parsed.items()})
    specs = {reference: value.spec for reference, (_, value) in parsed.items()}
    for document, rollout in rollouts:
        problems += _at(document, joined.looked_at(document, rollout, specs, found))
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def _at(document: Document, found: Iterable[joined.Found]) -> Iterator[Problem]:
    return (Problem(document.file, document.line(one.path), one.message, one.warning) for one in found)


def _shape(document: Document) -> Iterator[Problem]:
    """Look whether it is an object at all, of a kind and version that is served, and has a name where it is ours."""
    if not document.kind:
        yield Problem(document.file, document.line(), "expected a Kubernetes object, with its kind")
        return
    version = str(document.object.get("apiVersion") or "")
    group = version.partition("/")[0]
    if document.kind in KINDS:
        if not document.name:
            yield Problem(document.file, document.line(("metadata",)), f"a {document.kind} has metadata.name")
        served = _VERSIONS[document.kind]
        if version not in served and not (group == _ARGO and document.kind.startswith("Analysis")):
            said = f"apiVersion: {version!r} is not valid; a {document.kind} is of {' or '.join(served)}"
            yield Problem(document.file, document.line(("apiVersion",)), said)
    elif group in {each.group for each in crds.KINDS}:
        said = f"kind: there is no {document.kind} in {group}{unknown.like(document.kind, KINDS)}"
        yield Problem(document.file, document.line(("kind",)), said)


def _invalid(document: Document, error: ValidationError) -> Iterator[Problem]:
    for one in faults(error, ()):
        if one.kind != "extra_forbidden":  # told by the definition, with what is like it
            yield Problem(document.file, document.line(one.path), str(one))


def _reviewed(document: Document) -> Iterator[Problem]:
    """Say what the webhook would of a SeldonDeployment or a SeldonRollout, its template included."""
    group = str(document.object.get("apiVersion") or "").partition("/")[0]
    found = opinion({"group": group, "kind": document.kind}, document.object, Configuration())
    for message, warning in (*((each, False) for each in found.problems), *((each, True) for each in found.warnings)):
        yield Problem(document.file, document.line(_place(message)), message, warning)


def _place(message: str) -> tuple[str | int, ...]:
    """Return the path that a sentence begins with."""
    return tuple(int(part) if part.isdigit() else part for part in _PARTS.findall(message.split(": ", 1)[0]))


def _falling(rollout: SeldonRollout) -> Iterator[joined.Found]:
    """Warn of a weight below the one before it: users who had the new version are given the old one again."""
    canary = rollout.spec.strategy.canary if rollout.spec.strategy else None
    before = None
    for index, step in enumerate((canary.steps if canary else None) or ()):
        if step.set_weight is None:
            continue
        if before is not None and step.set_weight < before:
            said = f"steps[{index}].setWeight: {step.set_weight:g} comes after {before:g}: users go back to stable here"
            yield joined.Found(("spec", "strategy", "canary", "steps", index), said, warning=True)
        before = step.set_weight


def _template(document: Document, template: AnalysisTemplate | ClusterAnalysisTemplate) -> Iterator[Problem]:
    """Look at the metrics as a run with every argument given would."""
    spec = template.spec
    declared = {one.name for one in spec.args}
    used: set[str] = set()
    for index, metric in enumerate(spec.metrics):
        used |= set(references(metric.model_dump(by_alias=True, exclude_none=True)))
        yield from _metric(document, spec.model_dump(exclude_none=True, by_alias=True), index)
    if not spec.templates:
        for name in sorted(used - declared):
            yield Problem(
                document.file, document.line(("spec", "args")), f"{{{{args.{name}}}}} is used, and args has no {name!r}"
            )
        for index, one in enumerate(spec.args):
            if one.name not in used:
                place = document.line(("spec", "args", index))
                yield Problem(document.file, place, f"argument {one.name!r} is used by no metric", warning=True)


def _metric(document: Document, spec: dict[str, object], index: int) -> Iterator[Problem]:
    """Read one metric's conditions, path and range; what hangs on an argument is read when the run is."""
    metrics = spec["metrics"]
    metric = metrics[index] if isinstance(metrics, list | tuple) else {}
    given = dict.fromkeys(references(metric), "1")
    place = ("spec", "metrics", index)
    try:
        alone = AnalysisRunSpec.model_validate({"metrics": [metric]})
        (one,) = prepared(alone, given)
        if one.provider.web is not None and one.provider.web.json_path:
            path.compiled(one.provider.web.json_path)
        asked = one.provider.prometheus
        if asked is not None and asked.range_query is not None:
            for field in (asked.range_query.start, asked.range_query.end):
                promql.instant(field, now())
    except ValidationError as error:
        yield Problem(document.file, document.line(place), str(next(faults(error))))
    except (PlanError, AskError) as error:
        yield Problem(document.file, document.line(place), str(error))


def _run(document: Document, spec: AnalysisRunSpec) -> Iterator[Problem]:
    given = {one.name: "1" for one in spec.args} | literal(spec)
    try:
        prepared(spec, given)
    except PlanError as error:
        yield Problem(document.file, document.line(("spec",)), str(error))


def _joined(
    reference: TemplateRef,
    document: Document,
    known: dict[TemplateRef, AnalysisTemplate | ClusterAnalysisTemplate],
) -> Iterator[Problem]:
    """Join a template with those that it names, and look at the rules that need all metrics."""
    template = known[reference].spec
    place = document.line(("spec", "templates") if template.templates else ("spec",))
    arguments = [
        one.model_copy(update={"value": "1"})
        for each in known.values()
        for one in each.spec.args
        if one.value is None and one.value_from is None
    ]
    try:
        whole = join([reference], lambda one: known[one].spec if one in known else None, arguments)
        patterns = [rule.metric_name for rule in whole.dry_run]
        patterns += [rule.metric_name for rule in whole.measurement_retention]
        for pattern in patterns:
            if not any(matches(pattern, metric.name) for metric in whole.metrics):
                yield Problem(document.file, place, f"metricName {pattern!r} is no metric's")
    except (JoinError, PlanError) as error:
        yield Problem(document.file, place, str(error))
