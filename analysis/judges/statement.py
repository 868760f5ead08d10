"""One question about one kind of bad request: is the canary beyond the rollback line, is it within the promote line?

A statement reads what its column of the ledger says.
"""

from math import log1p
from typing import NamedTuple

import numpy as np

from analysis.judges import dispersion, ledger
from analysis.judges.question import MOST, Question
from analysis.samples import Pair
from analysis.tables import Columns, Numbers, frozen


class Statement(NamedTuple):
    """The evidence on one question."""

    question: Question
    column: Columns

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
        return float(ledger.phi(self.column.numbers)[0])

    def _number(self, number: int) -> float:
        return float(self.column.table[number, self.column.start])

    def _pair(self, numbers: slice) -> Pair:
        canary, canary_bad, stable, stable_bad = self.column.table[numbers, self.column.start].tolist()
        return Pair(int(canary), canary_bad, int(stable), stable_bad)


def ask(question: Question) -> Statement:
    """A statement without evidence yet."""
    return Statement(question, ledger.begin(question))


def step(statement: Statement, pair: Pair, *, needed: float, renewed: bool = False) -> Statement:
    """One judged tick: bet with what the past knows, then learn from the tick.

    `renewed` forgets first what speaks against a change that begins now.
    """
    table = statement.column.numbers.copy()
    ledger.judge(table, _column(pair), [statement.question], needed=np.array([needed]), renewed=renewed)
    return Statement(statement.question, frozen(table))


def learn(statement: Statement, pair: Pair) -> Statement:
    """One tick before the run."""
    table = statement.column.numbers.copy()
    ledger.learn(table, _column(pair), _column(Pair()))
    return Statement(statement.question, frozen(table))


def restart(statement: Statement, number: int) -> Statement:
    """Look for a regression that begins now, too: the copy with this number."""
    return Statement(statement.question, ledger.restart(statement.column, number, step_changed=False))


def _column(pair: Pair) -> Numbers:
    return np.array(pair, dtype=np.float64).reshape(4, 1)


def needed_requests(statement: Statement, nats: float) -> int | None:
    """About how many more canary requests earn `nats` of promote evidence, if the canary is as good as stable."""
    column = statement.column.numbers
    base, ratio = float(column[ledger.BASE, 0]), float(column[ledger.RATIO, 0])
    if not ratio:
        return None
    hit, miss, rise, fall = column[ledger.BETTER_BETS].reshape(4, -1)[:, 0].tolist()
    mine = base * hit + (1 - base) * miss
    theirs = base * log1p(rise * ratio) + (1 - base) * log1p(-fall * ratio)
    each = (mine + theirs / ratio) / float(dispersion.temper(statement.phi))
    return max(1, round(nats / each)) if each > 0 else None
