"""What a judge sees of one tick."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.samples import ArmTick, Latencies, Pair

_NONE = Pair()


class View(NamedTuple):
    """One tick, with the source of the error counts already chosen."""

    at: int
    seconds: int
    judged: bool
    """False before the warm-up is over: such a tick teaches what stable is like, and judges nobody."""
    steps: int
    """How many step changes lie before this tick, after the warm-up."""
    copies: int
    """How many copies of the evidence were to be started before this tick."""
    errors: Pair
    stable: ArmTick
    canary: ArmTick
    refused: Pair = _NONE
    """Of the requests of `errors`, those that were answered as the client's fault."""
    share: float | None = None
    """The canary's share of live requests as configured, 0..1; None near a change of it and where none can be said."""

    def counts(self, edges: Sequence[float | None]) -> list[float]:
        """Of both arms, for each edge (seconds): requests and slower ones, as a pair has them, one after the other.

        Without an edge, failed ones. Edges are given for all or for none.
        """
        told = [edge for edge in edges if edge is not None]
        if not told:
            return [*self.errors] * len(edges)
        return _side_by_side(self.canary.latencies, self.stable.latencies, told)

    def halves(self, edges: Sequence[float | None]) -> list[float]:
        """The same of two halves of stable's pods."""
        told, (first, second) = [edge for edge in edges if edge is not None], self.stable.halves
        if not told:
            return [*first.served, *second.served] * len(edges)
        return _side_by_side(first.latencies, second.latencies, told)


def _side_by_side(one: Latencies, other: Latencies, edges: Sequence[float]) -> list[float]:
    found: list[float] = []
    for pair in zip(one.slower_at(edges), other.slower_at(edges), strict=True):
        for each in pair:
            found += each
    return found
