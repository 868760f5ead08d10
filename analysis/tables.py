"""Frozen columns of shared tables: what many are told at once is one array, and each of them keeps a part of it.

A state is some columns: a value that is equal to another bit by bit or not at all, and that nobody can change. Those
that were stepped together share a table, so that to step them again together costs one copy, and nothing for each.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


class Columns:
    """The columns from `start` to `stop` of a table: (number, column)."""

    __slots__ = ("start", "stop", "table")

    def __init__(self, table: Numbers, start: int, stop: int) -> None:
        self.table, self.start, self.stop = table, start, stop

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Columns):
            return NotImplemented
        return self.numbers.shape == other.numbers.shape and self.numbers.tobytes() == other.numbers.tobytes()

    def __hash__(self) -> int:
        return hash(self.numbers.tobytes())

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def numbers(self) -> Numbers:
        """What they hold; not to be written to."""
        return self.table[:, self.start : self.stop]

    def alone(self) -> "Columns":
        """The same in a table of their own: who is stepped no more keeps no others' numbers."""
        return frozen(self.numbers.copy())


def frozen(table: Numbers) -> Columns:
    """All columns of a table, which nobody writes to any more."""
    table.flags.writeable = False
    return Columns(table, 0, table.shape[1])


def split(table: Numbers, widths: Iterable[int]) -> list[Columns]:
    """The columns of a table, so many for each, which nobody writes to any more."""
    table.flags.writeable = False
    ends = [*accumulate(widths, initial=0)]
    return [Columns(table, start, stop) for start, stop in pairwise(ends)]


def beside(parts: Sequence[Columns]) -> Numbers:
    """A table of one's own, to write to, with these columns beside each other. There has to be one."""
    table, start = parts[0].table, 0
    for part in parts:
        if part.table is not table or part.start != start:
            return np.concatenate([part.numbers for part in parts], axis=1)
        start = part.stop
    return table[:, :start].copy()
