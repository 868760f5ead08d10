"""Plans: a run's spec with its arguments filled in, read into what the pure run and the providers understand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import re2
from pydantic import ValidationError

from analysis.expressions.condition import Conditions, conditions
from analysis.expressions.errors import ExpressionError
from analysis.runs.arguments import ArgumentError, filled
from analysis.runs.durations import duration
from analysis.runs.model import CONSECUTIVE_ERRORS, RETENTION, Plan
from controller.api.analysis import AnalysisRunSpec, DryRun, MeasurementRetention
from controller.api.faults import faults
from controller.api.metric import Metric, MetricProvider


class PlanError(ValueError):
    """A run cannot be measured as it is written. The text names the metric, the value and what would be right."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One metric, ready to be measured."""

    plan: Plan
    conditions: Conditions
    provider: MetricProvider


def prepared(spec: AnalysisRunSpec, arguments: Mapping[str, str]) -> tuple[Prepared, ...]:
    """Return a run's metrics with their arguments filled in.

    Raises:
        PlanError: one of them cannot be measured.
    """
    _match_something(spec.dry_run, spec.metrics, "dryRun")
    _match_something(spec.measurement_retention, spec.metrics, "measurementRetention")
    return tuple(_prepared(metric, spec, arguments) for metric in spec.metrics)


def _prepared(metric: Metric, spec: AnalysisRunSpec, arguments: Mapping[str, str]) -> Prepared:
    given = metric.model_dump(by_alias=True, mode="json", exclude_none=True)
    try:
        whole = Metric.model_validate(filled(given, arguments) | {"name": metric.name})
        read = conditions(whole.success_condition, whole.failure_condition, whole.no_data)
        return Prepared(_plan(whole, spec), read, whole.provider)
    except ValidationError as error:
        raise PlanError(f"metric {metric.name!r}: {next(faults(error, ()))}") from None
    except (ArgumentError, ExpressionError, ValueError) as error:
        raise PlanError(f"metric {metric.name!r}: {error}") from None


def _plan(metric: Metric, spec: AnalysisRunSpec) -> Plan:
    interval = _time("interval", metric.interval) if metric.interval is not None else None
    count = _whole(metric.count)
    failures = _whole(metric.failure_limit) or 0
    return Plan(
        name=metric.name,
        interval=interval,
        initial_delay=_time("initialDelay", metric.initial_delay or "0s"),
        count=count or (1 if interval is None else None),
        failure_limit=None if failures < 0 else failures,
        inconclusive_limit=_whole(metric.inconclusive_limit) or 0,
        consecutive_error_limit=_or(_whole(metric.consecutive_error_limit), CONSECUTIVE_ERRORS),
        consecutive_success_limit=_whole(metric.consecutive_success_limit) or 0,
        dry_run=any(matches(rule.metric_name, metric.name) for rule in spec.dry_run),
        retention=_retention(metric.name, spec.measurement_retention),
    )


def _time(field: str, text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise PlanError(f"{field} {error}") from None


def _retention(name: str, rules: Sequence[MeasurementRetention]) -> int:
    return next((rule.limit for rule in rules if matches(rule.metric_name, name)), RETENTION)


def _whole(value: int | str | None) -> int | None:
    return None if value is None else int(value)


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def matches(pattern: str, name: str) -> bool:
    """Say whether a regular expression (RE2) is a metric's whole name.

    Raises:
        PlanError: it is no regular expression.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).fullmatch(name) is not None
    except re2.error as error:
        raise PlanError(f"metricName {pattern!r} is no regular expression (RE2): {error}") from None


def _match_something(rules: Sequence[DryRun | MeasurementRetention], metrics: Sequence[Metric], what: str) -> None:
    for rule in rules:
        if not any(matches(rule.metric_name, metric.name) for metric in metrics):
            names = ", ".join(metric.name for metric in metrics)
            raise PlanError(f"{what} metricName {rule.metric_name!r} is no metric's; there are {names}")


def literal(spec: AnalysisRunSpec) -> dict[str, Any]:
    """Return the arguments whose values stand in the spec."""
    return {one.name: one.value for one in spec.args if one.value is not None}
