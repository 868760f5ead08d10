"""Joining: templates, and those that they name, to the frozen spec of one run. Pure; the caller knows the templates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.api.analysis import (
    AnalysisRunSpec,
    AnalysisTemplateSpec,
    Argument,
    DryRun,
    MeasurementRetention,
    TemplateRef,
)
from controller.api.metric import Metric

Find = Callable[[TemplateRef], AnalysisTemplateSpec | None]
"""Returns the template that a reference means; None when there is none."""
MOST_TEMPLATES = 200


class JoinError(ValueError):
    """The templates do not make a run. The text names the template and what would be right."""


class MissingTemplateError(JoinError):
    """A template is not there: it may come."""


@dataclass(slots=True)
class _Joined:
    metrics: dict[str, Metric] = field(default_factory=dict)
    arguments: dict[str, Argument] = field(default_factory=dict)
    dry_run: list[DryRun] = field(default_factory=list)
    retention: list[MeasurementRetention] = field(default_factory=list)
    seen: set[TemplateRef] = field(default_factory=set)


def called(reference: TemplateRef) -> str:
    """Name a template in a sentence."""
    return f"{'ClusterAnalysisTemplate' if reference.cluster_scope else 'AnalysisTemplate'} {reference.template_name!r}"


def join(
    references: Iterable[TemplateRef],
    find: Find,
    arguments: Sequence[Argument] = (),
    *,
    dry_run: Sequence[DryRun] = (),
    retention: Sequence[MeasurementRetention] = (),
) -> AnalysisRunSpec:
    """Return the run that some templates make with these arguments. A template that is named twice joins once.

    Raises:
        MissingTemplateError: one of them is not there.
        JoinError: they go in a circle, two metrics have one name, or an argument has no value.
    """
    joined = _Joined()
    for reference in references:
        _add(reference, find, joined, ())
    return finished(
        joined.metrics, joined.arguments, arguments, [*joined.dry_run, *dry_run], [*joined.retention, *retention]
    )


def finished(
    metrics: Mapping[str, Metric],
    declared: Mapping[str, Argument],
    given: Sequence[Argument],
    dry_run: Sequence[DryRun],
    retention: Sequence[MeasurementRetention],
) -> AnalysisRunSpec:
    """Return the run of some metrics; arguments that no template declares are left out, as Argo Rollouts does.

    Raises:
        JoinError: an argument has neither a value nor a source.
    """
    values = {one.name: one for one in given}
    chosen = []
    for name, one in declared.items():
        argument = values.get(name, one)
        if argument.value is None and argument.value_from is None:
            raise JoinError(f"argument {name!r} has no value: give it in args, or a default in its template")
        chosen.append(argument)
    if not metrics:
        raise JoinError("the templates have no metric")
    return AnalysisRunSpec(
        metrics=tuple(metrics.values()),
        args=tuple(chosen),
        dry_run=tuple(dict.fromkeys(dry_run)),
        measurement_retention=tuple(dict.fromkeys(retention)),
    )


def _add(reference: TemplateRef, find: Find, joined: _Joined, path: tuple[TemplateRef, ...]) -> None:
    if reference in path:
        circle = " -> ".join(called(one) for one in (*path[path.index(reference) :], reference))
        raise JoinError(f"templates go in a circle: {circle}")
    if reference in joined.seen:
        return
    joined.seen.add(reference)
    if len(joined.seen) > MOST_TEMPLATES:
        raise JoinError(f"more than {MOST_TEMPLATES} templates join; expected fewer")
    template = find(reference)
    if template is None:
        asked = f", which {called(path[-1])} names," if path else ""
        raise MissingTemplateError(f"there is no {called(reference)}{asked}: create it, or correct the name")
    for metric in template.metrics:
        if metric.name in joined.metrics:
            raise JoinError(f"metric {metric.name!r} of {called(reference)} is in another template, too: rename one")
        joined.metrics[metric.name] = metric
    for argument in template.args:
        _declare(argument, reference, joined)
    joined.dry_run += template.dry_run
    joined.retention += template.measurement_retention
    for inner in template.templates:
        _add(inner, find, joined, (*path, reference))


def _declare(argument: Argument, reference: TemplateRef, joined: _Joined) -> None:
    known = joined.arguments.get(argument.name)
    bare = argument.value is None and argument.value_from is None
    if known is None or (known.value is None and known.value_from is None):
        joined.arguments[argument.name] = argument
    elif not bare and known != argument:
        raise JoinError(
            f"argument {argument.name!r} of {called(reference)} has another default than in another template: give one"
        )
