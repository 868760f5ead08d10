"""One question about one kind of bad request: is the canary beyond the rollback line, is it within the promote line?

A statement reads what its row of the ledger says.
"""

from math import log1p
from struct import Struct
from typing import NamedTuple

import numpy as np

from analysis.judges import dispersion, ledger
from analysis.judges.dispersion import Numbers
from analysis.judges.ledger import Ask
from analysis.judges.question import MOST, Question
from analysis.samples import Pair

_PAIR, _NUMBER = Struct("4d"), Struct("d")
SIZE = 8 * ledger.WIDTH
"""Bytes of a row."""


class Statement(NamedTuple):
    """The evidence on one question."""

    question: Question
    row: bytes

    @property
    def worse(self) -> float:
        """Evidence that the canary is worse, how many to one."""
        return self._number(ledger.WORSE_EVIDENCE)

    @property
    def better(self) -> float:
        """Evidence that the canary is good enough, how many to one."""
        return self._number(ledger.BETTER_EVIDENCE)

    @property
    def total(self) -> Pair:
        """What was judged."""
        return self._pair(ledger.TOTAL)

    @property
    def recent(self) -> Pair:
        """What was judged since the last step change."""
        return self._pair(ledger.RECENT)

    @property
    def share(self) -> float:
        """Stable's share of bad requests, from the past."""
        requests, bad = self._number(ledger.REQUESTS), self._number(ledger.BAD)
        return min(MOST, max(1e-7, (bad + 0.5) / (requests + 0.5 / self.question.expected)))

    @property
    def known(self) -> float:
        """How many of stable's requests `share` rests on; the older ones count less."""
        return self._number(ledger.REQUESTS)

    @property
    def phi(self) -> float:
        """How much noisier than chance."""
        return float(ledger.phi(self.column)[0])

    @property
    def column(self) -> Numbers:
        """The row as a column of the ledger's tables."""
        return np.frombuffer(self.row).reshape(-1, 1)

    def _number(self, column: int) -> float:
        (found,) = _NUMBER.unpack_from(self.row, 8 * column)
        return float(found)

    def _pair(self, columns: slice) -> Pair:
        canary, canary_bad, stable, stable_bad = _PAIR.unpack_from(self.row, 8 * columns.start)
        return Pair(int(canary), canary_bad, int(stable), stable_bad)


def ask(question: Question, past: bytes = ledger.NO_PAST) -> Statement:
    """A statement without evidence yet."""
    return Statement(question, ledger.begin(question, past))


def step(statement: Statement, pair: Pair, *, needed: float, renewed: bool = False) -> Statement:
    """One judged tick: bet with what the past knows, then learn from the tick.

    `renewed` forgets first what speaks against a change that begins now.
    """
    asked = Ask(statement.row, pair, (), (statement.question,), judged=True, needed=needed, renewed=renewed)
    return Statement(statement.question, ledger.answer([asked])[0].numbers)


def learn(statement: Statement, pair: Pair) -> Statement:
    """One tick before the run."""
    return Statement(statement.question, ledger.answer([Ask(statement.row, pair, Pair())])[0].numbers)


def restart(statement: Statement, number: int) -> Statement:
    """Look for a regression that begins now, too: the copy with this number."""
    return Statement(statement.question, ledger.restart(statement.row, number, step_changed=False))


def needed_requests(statement: Statement, nats: float) -> int | None:
    """About how many more canary requests earn `nats` of promote evidence, if the canary is as good as stable."""
    column = statement.column
    base, ratio = float(column[ledger.BASE, 0]), float(column[ledger.RATIO, 0])
    if not ratio:
        return None
    hit, miss, rise, fall = column[ledger.BETTER_BETS].reshape(4, -1)[:, 0].tolist()
    mine = base * hit + (1 - base) * miss
    theirs = base * log1p(rise * ratio) + (1 - base) * log1p(-fall * ratio)
    each = (mine + theirs / ratio) / float(dispersion.temper(statement.phi))
    return max(1, round(nats / each)) if each > 0 else None
