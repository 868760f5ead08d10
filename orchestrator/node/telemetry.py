"""What a model counts, by upstream's names and labels."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.node.errors import NodeRuntimeError
from orchestrator.telemetry.counting import Histogram
from orchestrator.telemetry.families import Distribution, Labels, Shown

# 50 bounds from 1 ms to 30 s, evenly spaced on a log scale.
TIMER_BOUNDS = tuple(round(0.001 * 30000 ** (step / 49), 6) for step in range(50))
_KINDS = {"COUNTER": "counter", "GAUGE": "gauge", "TIMER": "histogram"}
_LABEL_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_LABEL_REST = _LABEL_START | frozenset("0123456789")


def checked(metrics: Any) -> list[dict[str, Any]]:
    """Metrics as a model gives them, or an error that says which is none.

    Raises:
        NodeRuntimeError: one has no key, value or known type.
    """
    if not isinstance(metrics, list | tuple):
        raise NodeRuntimeError("metrics must be a list", 500, "MICROSERVICE_BAD_METRIC")
    found = []
    for metric in metrics:
        value = metric.get("value") if isinstance(metric, Mapping) else None
        good = isinstance(metric, Mapping) and metric.get("type") in _KINDS and isinstance(metric.get("key"), str)
        if not good or isinstance(value, bool) or not isinstance(value, int | float):
            info = f"bad metric {metric!r}: expected key, value and type, one of {', '.join(_KINDS)}"
            raise NodeRuntimeError(info, 500, "MICROSERVICE_BAD_METRIC")
        found.append(dict(metric))
    return found


class ModelMetrics:
    """The model's own counters, gauges and timers, and its rewards. Safe to use from several threads."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._lock = threading.Lock()
        self._kinds: dict[str, str] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._timers: dict[str, dict[Labels, Histogram]] = {}

    def update(self, metrics: Sequence[Mapping[str, Any]], method: str) -> None:
        """Take over the metrics of one answer, which `checked` has passed."""
        for metric in metrics:
            tags = metric.get("tags")
            self._record(metric["type"], metric["key"], metric["value"], method, tags or {})

    def reward(self, value: float) -> None:
        """Count one feedback and its reward."""
        self._record("COUNTER", "seldon_api_model_feedback", 1, "feedback", {})
        self._record("COUNTER", "seldon_api_model_feedback_reward", value, "feedback", {})

    def _record(self, kind: str, key: str, value: float, method: str, tags: Mapping[str, Any]) -> None:
        name = _name(key) + ("_total" if kind == "COUNTER" and not key.endswith("_total") else "")
        own = {_name(tag): str(text) for tag, text in tags.items()}
        labels = tuple({**self._labels, **own, "method": method}.items())
        with self._lock:
            if self._kinds.setdefault(name, kind) != kind:
                return  # one name cannot be two types; the first stays
            if kind == "TIMER":
                timer = self._timers.setdefault(name, {}).setdefault(labels, Histogram(TIMER_BOUNDS))
                timer.observe(value / 1000)
            elif kind == "GAUGE":
                self._values.setdefault(name, {})[labels] = value
            else:
                series = self._values.setdefault(name, {})
                series[labels] = series.get(labels, 0.0) + value

    def shown(self) -> Iterable[Shown]:
        """The metrics as they stand."""
        with self._lock:
            found = []
            for name, kind in self._kinds.items():
                series: dict[Labels, float | Distribution] = {**self._values.get(name, {})}
                series |= {labels: timer.shown() for labels, timer in self._timers.get(name, {}).items()}
                found.append(Shown(name, f"{kind.title()} of the model", _KINDS[kind], series))
        return found


def _name(text: str) -> str:
    """A name that Prometheus takes: other characters become underscores."""
    clean = "".join(letter if letter in _LABEL_REST else "_" for letter in text)
    return clean if clean and clean[0] in _LABEL_START else f"_{clean}"
