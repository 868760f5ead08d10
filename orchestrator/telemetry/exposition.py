"""Prometheus' text of what was counted."""

from collections.abc import Iterable

from orchestrator.telemetry.families import Distribution, Labels, Shown

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def text(families: Iterable[Shown]) -> bytes:
    """All of it, as Prometheus reads it."""
    lines = [line for shown in families for line in _lines(shown)]
    lines.append("")
    return "\n".join(lines).encode()


def _lines(shown: Shown) -> Iterable[str]:
    yield f"# HELP {shown.name} {shown.text.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {shown.name} {shown.kind}"
    for labels, value in shown.series.items():
        if not isinstance(value, Distribution):
            yield _sample(shown.name, labels, value)
            continue
        if shown.kind == "histogram":
            total = 0
            for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
                total += count
                yield _sample(f"{shown.name}_bucket", (*labels, ("le", number(bound))), total)
        yield _sample(f"{shown.name}_sum", labels, value.sum)
        yield _sample(f"{shown.name}_count", labels, value.count)


def _sample(name: str, labels: Labels, value: float) -> str:
    if not labels:
        return f"{name} {number(value)}"
    inner = ",".join([f'{key}="{said.translate(_ESCAPES)}"' for key, said in labels])
    return f"{name}{{{inner}}} {number(value)}"


def number(value: float) -> str:
    """A number as Prometheus reads it."""
    if value == float("inf"):
        return "+Inf"
    if value == float("-inf"):
        return "-Inf"
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
