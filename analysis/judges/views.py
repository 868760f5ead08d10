"""What judges see of one tick of many comparisons: each has a number, from 0 on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.arms import Outcomes
from analysis.judges.view import View
from analysis.samples import Half, Pair
from analysis.tables import Flags, Numbers, Places
from analysis.tally import Tally

Edges = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """One tick of all, with the source of the error counts already chosen."""

    tallies: Sequence[Tally]
    judged: Flags
    """False before the warm-up is over: such a tick teaches what stable is like, and judges nobody."""
    steps: Sequence[int]
    """How many step changes lie before this tick, after the warm-up."""
    copies: Sequence[int]
    """How many copies of the evidence were to be started before this tick."""
    outcomes: Outcomes
    rows: Numbers
    """All tallies' rows, one after the other."""
    starts: Places
    """Where each of them begins."""
    share: Callable[[int], float | None]
    """The canary's share of live requests as configured, 0..1; None near a change of it and where none can be said."""
    _halves: dict[int, tuple[Half, Half]] = field(default_factory=dict)

    def pairs(self, numbers: Sequence[int], edges: Sequence[Edges]) -> Numbers:
        """What some comparisons counted at some edges (seconds), or of errors: pairs by edge, one after the other."""
        each = [self.tallies[number].shape.pairs(mine) for number, mine in zip(numbers, edges, strict=True)]
        places = np.concatenate(each, axis=1)
        places += np.repeat(self.starts[numbers], [len(mine) for mine in edges])
        found: Numbers = self.rows[places]
        found[1] = np.maximum(found[0] - found[1], 0)
        found[3] = np.maximum(found[2] - found[3], 0)
        return found

    def halves(self, numbers: Sequence[int], edges: Sequence[Edges]) -> Numbers:
        """The same of two halves of stable's pods."""
        found: list[float] = []
        for number, mine in zip(numbers, edges, strict=True):
            if number not in self._halves:
                self._halves[number] = self.tallies[number].halves()
            first, second = self._halves[number]
            for edge in mine:
                found += [*first.counted(edge), *second.counted(edge)]
        return np.array(found, dtype=np.float64).reshape(-1, 4).T.copy()

    def view(self, number: int) -> View:
        """The view of one comparison by itself."""
        tally = self.tallies[number]
        stable, canary = tally.arms
        return View(
            at=tally.at,
            seconds=tally.seconds,
            judged=bool(self.judged[number]),
            steps=self.steps[number],
            copies=self.copies[number],
            errors=_pair(self.outcomes.failed[:, number]),
            stable=stable,
            canary=canary,
            refused=_pair(self.outcomes.refused[:, number]),
            share=self.share(number),
        )


def _pair(numbers: Numbers) -> Pair:
    canary, canary_bad, stable, stable_bad = numbers.tolist()
    return Pair(int(canary), int(canary_bad), int(stable), int(stable_bad))
