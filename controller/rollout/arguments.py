"""Arguments: from the templates that a rollout names to a run, with every value that the rollout knows. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

import re2

from controller.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec, Argument, TemplateRef
from controller.api.joining import JoinError, called, join
from controller.api.rollout import RolloutStatus
from controller.api.templates import FromTemplates
from controller.rollout.observed import Observed

_PART = re.compile(r"\.?(?:([A-Za-z0-9_-]+)|\['([^']+)'\]|\[\"([^\"]+)\"\]|\[([0-9]+)\])")


def run_spec(obs: Observed, status: RolloutStatus, analysis: FromTemplates) -> AnalysisRunSpec:
    """Return the run that some templates make for the running revision. Secrets stay references.

    Raises:
        ValueError: a template is missing or not valid, they do not join, or an argument has no value.
    """

    def find(reference: TemplateRef) -> AnalysisTemplateSpec | None:
        found = obs.templates.get(reference)
        if isinstance(found, str):
            raise JoinError(f"{called(reference)} is not valid: {found}")
        return found

    joined = join(
        analysis.templates,
        find,
        analysis.args,
        dry_run=analysis.dry_run,
        retention=analysis.measurement_retention,
    )
    return joined.model_copy(update={"args": tuple(_resolved(obs, status, one) for one in joined.args)})


def _resolved(obs: Observed, status: RolloutStatus, argument: Argument) -> Argument:
    source = argument.value_from
    if source is None or source.secret_key_ref is not None:
        return argument
    if source.field_ref is not None:
        return Argument(name=argument.name, value=field(obs.live, source.field_ref.field_path, argument.name))
    latest = source.pod_template_hash_value == "Latest"
    revision = status.canary_revision if latest else status.stable_revision
    if revision is None:
        raise JoinError(f"argument {argument.name!r}: there is no {'canary' if latest else 'stable'} revision")
    return Argument(name=argument.name, value=revision.hash)


def field(live: Mapping[str, Any], path: str, name: str) -> str:
    """Return a field of the rollout as text, for the argument of this name.

    Raises:
        JoinError: there is no such field, or it is no text or number.
    """
    value: Any = {key: live.get(key) or {} for key in ("metadata", "spec")}
    at = 0
    while at < len(path):
        part = _PART.match(path, at)
        if part is None:
            raise JoinError(f"argument {name!r}: {path!r} is no path such as metadata.labels['team']")
        at = part.end()
        key = next(text for text in part.groups() if text is not None)
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        else:
            raise JoinError(f"argument {name!r}: the rollout has no field {path!r}")
    if isinstance(value, Mapping | list) or value is None:
        raise JoinError(f"argument {name!r}: field {path!r} of the rollout is no text or number")
    return value if isinstance(value, str) else json.dumps(value)


def endless(spec: AnalysisRunSpec) -> str:
    """Return the name of a metric that decides and that only a failure ends; empty where every one has an end."""
    for metric in spec.metrics:
        ends = metric.interval is None or metric.count is not None or metric.consecutive_success_limit is not None
        if not ends and not any(_matches(rule.metric_name, metric.name) for rule in spec.dry_run):
            return metric.name
    return ""


def _matches(pattern: str, name: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).fullmatch(name) is not None
    except re2.error:
        return False  # the run itself says so
