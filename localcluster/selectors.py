"""Label selectors: which objects a Service, a ReplicaSet or a Deployment means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, empty when it has none."""
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether labels fit a LabelSelector (matchLabels and matchExpressions); an empty selector fits nothing here."""
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        return False
    if not covers(selector.get("matchLabels") or {}, labels):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or ())


def covers(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have every wanted pair."""
    return all(labels.get(name) == value for name, value in wanted.items())


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, operator = labels.get(rule["key"]), rule["operator"]
    match operator:
        case "In":
            return value in (rule.get("values") or ())
        case "NotIn":  # codespell:ignore notin
            return value not in (rule.get("values") or ())
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            known = "In, NotIn, Exists, DoesNotExist"  # codespell:ignore notin
            raise ValueError(f"matchExpressions: operator {operator!r} is not one of {known}")
