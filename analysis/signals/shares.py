"""outlierRate and clientErrorRate: shares of two arms, judged by the half-plane bets on failed requests.

outlierRate asks both ways, since inputs are dealt at random: more outliers on the canary than on stable, and fewer.
clientErrorRate asks one way: a canary that refuses less than stable does is nobody's worry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from analysis.checks import ClientErrorRate, OutlierRate
from analysis.judges import sentences, statement
from analysis.judges.question import Question
from analysis.judges.statement import Statement
from analysis.judges.view import View
from analysis.samples import ArmTick, Count, Pair
from analysis.signals.terms import Terms, Weighed, because, found
from analysis.spec import Line, Lines, ceiling
from analysis.verdict import Finding, Verdict

SHARE_LINES = Lines(rollback=Line(1.25, 0.005), promote=Line(1.5, 0.02))
_EXPECTED = 0.01
_NONE = Pair()
Metric = OutlierRate | ClientErrorRate


class Words(NamedTuple):
    """How a sentence speaks of what a check counts."""

    subject: str
    unit: str
    nothing: str
    """Why the canary has no share."""
    hint: str
    """What to look at where it is bad."""


_WORDS: Mapping[type, Words] = {
    OutlierRate: Words(
        "rows marked as outliers",
        "rows",
        "the canary's orchestrators count none",
        ": both get the same inputs, so look at the routing and at what prepares inputs",
    ),
    ClientErrorRate: Words(
        "requests refused as the client's fault",
        "requests",
        "the canary has had no requests",
        ": both have the same clients, so look at which inputs the canary takes",
    ),
}


class Side(NamedTuple):
    """One question about the two shares; `swapped` asks it of stable."""

    weight: float
    swapped: bool
    statement: Statement


@dataclass(frozen=True, slots=True)
class Shares:
    """The state of the check."""

    metric: Metric
    sides: tuple[Side, ...]
    total: Pair = _NONE

    @property
    def evidence(self) -> float:
        """That the shares are not as they should be, how many to one."""
        return sum([side.weight * side.statement.worse for side in self.sides])

    @property
    def promote_evidence(self) -> float:
        """That they are, how many to one: the least of all questions."""
        return min([side.statement.better for side in self.sides])

    def step(self, view: View, terms: Terms) -> "Shares":
        """One tick."""
        pair = counted(self.metric, view)
        sides = tuple([side._replace(statement=_step(side, pair, view, terms)) for side in self.sides])
        if not view.judged:
            return replace(self, sides=sides)
        return Shares(self.metric, sides, self.total.plus(pair))

    def restart(self, number: int) -> "Shares":
        """Look for a difference that begins now, too."""
        sides = [side._replace(statement=statement.restart(side.statement, number)) for side in self.sides]
        return replace(self, sides=tuple(sides))

    def finding(self, terms: Terms, *, bad: bool) -> Finding:
        """What the check says."""
        phi = max([side.statement.phi for side in self.sides])
        weighed = Weighed(self.total, self.evidence, self.promote_evidence, phi)
        said = found(self.metric.name, weighed, terms, bad=bad)
        return replace(said, message=_sentence(self, said, terms))


def begin(metric: Metric) -> Shares:
    """The check before its first tick."""
    own = [] if metric.max is None else [_side(ceiling(metric.max))]
    fewer = [_side(SHARE_LINES, swapped=True)] if isinstance(metric, OutlierRate) else []
    return Shares(metric, _weighted([_side(SHARE_LINES), *fewer, *own]))


def counted(metric: Metric, view: View) -> Pair:
    """What one tick counted of a check."""
    if isinstance(metric, ClientErrorRate):
        return view.refused
    return Pair(*rows(view.canary), *rows(view.stable))


def _side(lines: Lines, *, swapped: bool = False) -> Side:
    return Side(1.0, swapped, statement.ask(Question(lines, _EXPECTED, alternatives=6)))


def _weighted(sides: list[Side]) -> tuple[Side, ...]:
    return tuple([side._replace(weight=1 / len(sides)) for side in sides])


def _step(side: Side, pair: Pair, view: View, terms: Terms) -> Statement:
    asked = Pair(pair[2], pair[3], pair[0], pair[1]) if side.swapped else pair
    if not view.judged:
        return statement.learn(side.statement, asked)
    return statement.step(side.statement, asked, needed=terms.nats)


def rows(arm: ArmTick) -> Count:
    """Rows of a tick, and those that are marked as outliers."""
    counted = arm.counted("row")
    return Count(counted, min(counted, arm.counted("outlier")))


def _sentence(shares: Shares, said: Finding, terms: Terms) -> str:
    words = _WORDS[type(shares.metric)]
    if said.canary is None:
        return f"{words.subject}: {words.nothing}"
    against = f", and no {words.unit} on stable to compare with"
    if said.stable is not None:
        against = f" against {sentences.share(said.stable)} on stable"
    hint = words.hint if said.verdict is Verdict.BAD else ""
    text = f"{words.subject}: {sentences.share(said.canary)}{against}, {said.canary_requests:,} {words.unit}"
    return f"{text}, {because(said, terms)}{hint}"
