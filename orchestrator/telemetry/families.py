"""What was counted, as it stood when somebody asked: it can be added up, and sent from one process to another."""

from collections.abc import Iterable

import msgspec

Labels = tuple[tuple[str, str], ...]

_EARLIEST = frozenset({"process_start_time_seconds"})  # of several processes the first one's, not the sum


class Distribution(msgspec.Struct):
    """Observations up to each bound, and behind the last of them; a summary has no bounds and one count.

    `fine` has those of a native histogram by the index of their bucket, and `nothing` those of about zero.
    """

    bounds: tuple[float, ...]
    counts: list[int]
    sum: float
    fine: dict[int, int] | None = None
    nothing: int = 0

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)

    def with_those_of(self, other: "Distribution") -> "Distribution":
        """Both together; the bounds are the same."""
        counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        fine = None
        if self.fine is not None and other.fine is not None:
            fine = dict(self.fine)
            for index, count in other.fine.items():
                fine[index] = fine.get(index, 0) + count
        return Distribution(self.bounds, counts, self.sum + other.sum, fine, self.nothing + other.nothing)


class Shown(msgspec.Struct):
    """One metric with all its series: `kind` is counter, gauge, histogram or summary."""

    name: str
    text: str
    kind: str
    series: dict[Labels, float | Distribution]


def single(name: str, text: str, kind: str, value: float, labels: Labels = ()) -> Shown:
    """A metric with one series."""
    return Shown(name, text, kind, {labels: value})


def added(several: Iterable[Iterable[Shown]]) -> list[Shown]:
    """The metrics of several processes as if they were one: sums, of gauges too."""
    found: dict[str, Shown] = {}
    for shown in [one for each in several for one in each]:
        total = found.setdefault(shown.name, Shown(shown.name, shown.text, shown.kind, {}))
        for labels, value in shown.series.items():
            before = total.series.get(labels)
            total.series[labels] = value if before is None else _both(shown.name, before, value)
    return list(found.values())


def _both(name: str, one: float | Distribution, other: float | Distribution) -> float | Distribution:
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        return one.with_those_of(other)
    assert not isinstance(one, Distribution)
    assert not isinstance(other, Distribution)
    return min(one, other) if name in _EARLIEST else one + other


def lasting(shown: Iterable[Shown]) -> list[Shown]:
    """What stays of a process that has ended: all that only rises."""
    return [one for one in shown if one.kind != "gauge"]
