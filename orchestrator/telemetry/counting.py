"""Counters that cost next to nothing until somebody asks for them."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from math import ceil, log2

from orchestrator.telemetry.families import Distribution, Shown, single

SCHEMA = 3
"""Of native histograms: eight buckets for each doubling, each 9 % wider than the one before."""
NOTHING = 2.0**-128
"""Up to this an observation is none."""
_EACH_DOUBLING = 2**SCHEMA


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

    def shown(self) -> Distribution:
        """As it stands."""
        return Distribution(tuple(self._bounds), list(self.counts), self.sum)


class FineHistogram(Histogram):
    """The same, with the counts of a native histogram beside them. Bucket i ends at 2^(i/8), as Prometheus has it."""

    __slots__ = ("_fine", "_nothing")

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self._fine: dict[int, int] = {}
        self._nothing = 0

    def observe(self, value: float) -> None:
        """Count one value, which is not negative."""
        super().observe(value)
        if value <= NOTHING:
            self._nothing += 1
            return
        index = ceil(log2(value) * _EACH_DOUBLING)
        self._fine[index] = self._fine.get(index, 0) + 1

    def shown(self) -> Distribution:
        """As it stands."""
        return Distribution(tuple(self._bounds), list(self.counts), self.sum, dict(self._fine), self._nothing)


class Family:
    """Histograms of one name, told apart by labels; with a summary of count and sum when `summary` names one.

    With `fine` they are native histograms, too.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        *,
        summary: str = "",
        fine: bool = False,
    ) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self.summary = summary
        self._kind = FineHistogram if fine else Histogram
        self._children: dict[tuple[str, ...], Histogram] = {}

    def child(self, *values: str) -> Histogram:
        """The histogram with these label values, in the order of the labels."""
        found = self._children.get(values)
        if found is None:
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has the labels {self.labels}, not {values}")
            found = self._children[values] = self._kind(self.bounds)
        return found

    def shown(self) -> Iterable[Shown]:
        """The histograms as they stand, and their summary."""
        series = {
            tuple(zip(self.labels, values, strict=True)): histogram.shown()
            for values, histogram in self._children.items()
        }
        yield Shown(self.name, self.text, "histogram", {**series})
        if self.summary:
            totals = {labels: Distribution((), [one.count], one.sum) for labels, one in series.items()}
            yield Shown(self.summary, self.text, "summary", {**totals})


class Reading:
    """A counter or gauge whose value is asked for when it is read."""

    def __init__(self, name: str, text: str, kind: str, value: Callable[[], float]) -> None:
        self._name = name
        self._text = text
        self._kind = kind
        self._value = value

    def shown(self) -> Iterable[Shown]:
        """The value of now."""
        yield single(self._name, self._text, self._kind, self._value())
