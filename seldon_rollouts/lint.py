"""Lint: templates, runs and rollouts looked at offline, as strictly as the controllers will. Pure, over documents."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from analysis.providers.asked import path, promql
from analysis.providers.asked.answer import AskError
from analysis.runs.arguments import references
from controller.analysisruns.plans import PlanError, literal, matches, prepared
from controller.api.analysis import AnalysisRun, AnalysisRunSpec, AnalysisTemplate, ClusterAnalysisTemplate, TemplateRef
from controller.api.joining import JoinError, join
from controller.api.rollout import SeldonRollout
from controller.clock import now
from controller.errors import InvalidSpecError
from controller.rollout import judging, revisions
from seldon_rollouts import joined, services
from seldon_rollouts.documents import Document

KINDS: dict[str, type[BaseModel]] = {
    "AnalysisTemplate": AnalysisTemplate,
    "ClusterAnalysisTemplate": ClusterAnalysisTemplate,
    "AnalysisRun": AnalysisRun,
    "SeldonRollout": SeldonRollout,
}
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
        try:
            value = model.model_validate({"spec": document.object.get("spec") or {}})
        except ValidationError as error:
            problems += _invalid(document, error)
            continue
        problems += [
            Problem(document.file, document.line(one.path), one.message, one.warning)
            for one in services.asked(document, found)
        ]
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
        elif isinstance(value, SeldonRollout):
            problems += _rollout(document, value)
            rollouts.append((document, value))
    for reference, (document, _) in parsed.items():
        problems += _joined(reference, document, {one: value for one, (_, value) in parsed.items()})
    specs = {reference: value.spec for reference, (_, value) in parsed.items()}
    for document, rollout in rollouts:
        for one in joined.looked_at(document, rollout, specs, found):
            problems.append(Problem(document.file, document.line(one.path), one.message, one.warning))
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def _shape(document: Document) -> Iterator[Problem]:
    """Look whether it is an object at all, and has a name where it is ours."""
    if not document.kind:
        yield Problem(document.file, document.line(), "expected a Kubernetes object, with its kind")
    elif document.kind in KINDS and not document.name:
        yield Problem(document.file, document.line(("metadata",)), f"a {document.kind} has metadata.name")


def _invalid(document: Document, error: ValidationError) -> Iterator[Problem]:
    found = error.errors()
    for one in found:
        path = one["loc"]
        if one["type"] == "too_short" and any(each["loc"][: len(path)] == path != each["loc"] for each in found):
            continue  # there are items, and what is wrong with them is told
        said = str(one["msg"]).removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            said = "there is no such field; check its spelling"
        yield Problem(document.file, document.line(path), f"{'.'.join(map(str, path))}: {said}")


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
    except (PlanError, AskError, ValidationError) as error:
        yield Problem(document.file, document.line(place), str(error))


def _run(document: Document, spec: AnalysisRunSpec) -> Iterator[Problem]:
    given = {one.name: "1" for one in spec.args} | literal(spec)
    try:
        prepared(spec, given)
    except PlanError as error:
        yield Problem(document.file, document.line(("spec",)), str(error))


def _rollout(document: Document, rollout: SeldonRollout) -> Iterator[Problem]:
    try:
        revisions.check_template((document.object.get("spec") or {}).get("template") or {})
        judging.plan(rollout.spec.analysis)
    except (InvalidSpecError, ValueError) as error:
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
