"""Counters that cost next to nothing until they are read, and Prometheus' text of them."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class Histogram:
    """Counts of observations up to each bound, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Family:
    """Histograms of one name, told apart by labels; with a summary of count and sum when `summary` names one."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float], *, summary: str = ""
    ) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self.summary = summary
        self._children: dict[tuple[str, ...], Histogram] = {}

    def child(self, *values: str) -> Histogram:
        """The histogram with these label values, in the order of the labels."""
        found = self._children.get(values)
        if found is None:
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has the labels {self.labels}, not {values}")
            found = self._children[values] = Histogram(self.bounds)
        return found

    def lines(self) -> Iterable[str]:
        """The family's text, line by line."""
        yield from head(self.name, self.text, "histogram")
        for values, histogram in self._children.items():
            labels = dict(zip(self.labels, values, strict=True))
            total = 0
            for bound, count in zip((*self.bounds, float("inf")), histogram.counts, strict=True):
                total += count
                yield sample(f"{self.name}_bucket", {**labels, "le": number(bound)}, total)
            yield sample(f"{self.name}_sum", labels, histogram.sum)
            yield sample(f"{self.name}_count", labels, total)
        if not self.summary:
            return
        yield from head(self.summary, self.text, "summary")
        for values, histogram in self._children.items():
            labels = dict(zip(self.labels, values, strict=True))
            yield sample(f"{self.summary}_sum", labels, histogram.sum)
            yield sample(f"{self.summary}_count", labels, sum(histogram.counts))


class Reading:
    """A counter or gauge whose value is asked for when it is read."""

    def __init__(self, name: str, text: str, kind: str, value: Callable[[], float]) -> None:
        self._name = name
        self._text = text
        self._kind = kind
        self._value = value

    def lines(self) -> Iterable[str]:
        """The reading's text, line by line."""
        yield from head(self._name, self._text, self._kind)
        yield sample(self._name, {}, self._value())


def head(name: str, text: str, kind: str) -> Iterable[str]:
    """The two lines before a metric's samples."""
    yield f"# HELP {name} {text.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """One sample's line."""
    if not labels:
        return f"{name} {number(value)}"
    inner = ",".join([f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items()])
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
