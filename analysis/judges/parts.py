"""The parts of one metric: a comparison with stable, at one or several edges, and a ceiling of one's own."""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from analysis.judges import statement
from analysis.judges.statement import Past, Question, Statement
from analysis.judges.view import View
from analysis.samples import Pair
from analysis.spec import ErrorRate, Latency, Line, Lines, Metric

EXPECTED_ERRORS = 0.001
EXPECTED_SLOW = 0.02
ENOUGH_HISTORY = 200.0
"""Requests of stable that the choice of histogram edges needs."""
_FULLEST, _THINNEST, _WITHIN, _BEYOND = 0.6, 0.002, 5, 3


class Part(NamedTuple):
    """One statement of a metric, at a histogram edge (seconds) or for errors (None)."""

    edge: float | None
    weight: float
    """Its share of the metric's evidence that the canary is worse; 0 for a part that can only clear the canary."""
    clears: bool
    """Whether the canary is only good when this part says so."""
    ceiling: bool
    statement: Statement


@dataclass(frozen=True, slots=True)
class Judged:
    """One metric with its parts. A latency metric has none until stable's past has chosen the edges."""

    metric: Metric
    parts: tuple[Part, ...] = ()
    pasts: tuple[tuple[float, Past], ...] = ()

    @property
    def evidence(self) -> float:
        """That the canary is worse, how many to one."""
        return sum([part.weight * part.statement.worse.evidence for part in self.parts]) if self.parts else 1.0

    @property
    def promote_evidence(self) -> float:
        """That the canary is good enough, how many to one: the least of all parts."""
        return min([part.statement.better.evidence for part in self.parts if part.clears], default=1.0)

    @property
    def requests(self) -> Pair:
        """What was judged since the last step change."""
        return max([part.statement.recent for part in self.parts], default=Pair())


def begin(metric: Metric) -> Judged:
    """A metric before its first tick."""
    return Judged(metric, _error_parts(metric) if isinstance(metric, ErrorRate) else ())


def step(judged: Judged, view: View, *, needed: float) -> Judged:
    """One tick."""
    if isinstance(judged.metric, Latency) and not judged.parts:
        judged = _choose(judged.metric, judged.pasts, view) if view.judged else judged
        if not judged.parts:
            return Judged(judged.metric, (), _learn_edges(judged.pasts, view))
    parts = [part._replace(statement=_step_part(part, view, needed)) for part in judged.parts]
    return Judged(judged.metric, tuple(parts))


def restart(judged: Judged, number: int, *, step_changed: bool) -> Judged:
    """Look for regressions that begin now, too."""
    parts = [
        part._replace(statement=statement.restart(part.statement, number, step_changed=step_changed))
        for part in judged.parts
    ]
    return Judged(judged.metric, tuple(parts), judged.pasts)


def renew(judged: Judged) -> Judged:
    """Forget what speaks against a change that begins now."""
    parts = [part._replace(statement=statement.renew(part.statement)) for part in judged.parts]
    return Judged(judged.metric, tuple(parts), judged.pasts)


def _step_part(part: Part, view: View, needed: float) -> Statement:
    if part.edge is None:
        pair, halves = view.errors, view.error_halves
    else:
        pair = view.slower(part.edge)
        halves = Pair() if view.judged else view.slower_halves(part.edge)
    if not view.judged:
        return part.statement._replace(past=statement.learn(part.statement.past, pair, halves, judged=False))
    return statement.step(part.statement, pair, needed=needed)


def _error_parts(metric: ErrorRate) -> tuple[Part, ...]:
    compare = statement.ask(Question(metric.lines, EXPECTED_ERRORS), Past())
    if metric.max is None:
        return (Part(None, 1.0, True, False, compare),)
    ceiling = statement.ask(_ceiling(metric.max, EXPECTED_ERRORS), Past())
    return (Part(None, 0.5, True, False, compare), Part(None, 0.5, True, True, ceiling))


def _ceiling(most: float, expected: float) -> Question:
    return Question(Lines(rollback=Line(0, most), promote=Line(0, most)), expected)


def _learn_edges(pasts: tuple[tuple[float, Past], ...], view: View) -> tuple[tuple[float, Past], ...]:
    known = dict(pasts)
    for edge in view.stable.latencies.within:
        known[edge] = statement.learn(
            known.get(edge, Past()), view.slower(edge), view.slower_halves(edge), judged=view.judged
        )
    return tuple(sorted(known.items()))


def _choose(metric: Latency, pasts: tuple[tuple[float, Past], ...], view: View) -> Judged:
    """The parts for the edges that stable's past makes telling; none while stable's past is too short."""
    known = dict(pasts)
    if max([past.requests for past in known.values()], default=0.0) < ENOUGH_HISTORY:
        return Judged(metric, (), pasts)
    usable = [edge for edge in known if not view.canary.latencies.within or edge in view.canary.latencies.within]
    edges = choose_edges([(edge, known[edge].bad / max(1.0, known[edge].requests)) for edge in usable])
    half = 1.0 if metric.max is None else 0.5
    question = Question(metric.lines, EXPECTED_SLOW, alternatives=6)
    parts = [Part(edge, half / len(edges), True, False, statement.ask(question, known[edge])) for edge in edges]
    if metric.max is not None and metric.slower_than is not None:
        parts += _ceiling_parts(known, metric.slower_than.total_seconds(), metric.max)
    return Judged(metric, tuple(parts))


def choose_edges(shares: list[tuple[float, float]]) -> tuple[float, ...]:
    """Of (edge, stable's share slower than it): at most 5 that 0.2 % to 60 % exceed, and the next 3 above them.

    The thin ones matter: a new slow mode shows first where stable has nothing. Of more than 5 the highest are taken
    and the lowest of all, so that a shift of the whole distribution shows too.
    """
    within = [edge for edge, share in sorted(shares) if _THINNEST <= share <= _FULLEST]
    if len(within) > _WITHIN:
        within = [within[0], *within[1 - _WITHIN :]]
    beyond = [edge for edge, share in sorted(shares) if share < _THINNEST]
    return tuple(within + beyond[:_BEYOND])


def _ceiling_parts(known: dict[float, Past], slower_than: float, most: float) -> list[Part]:
    """A ceiling between two edges: the edge above it blames the canary, the edge below it clears the canary."""
    above = min([edge for edge in known if edge >= slower_than], default=None)
    below = max([edge for edge in known if edge <= slower_than], default=None)
    question = _ceiling(most, EXPECTED_SLOW)
    parts = []
    if above is not None:
        asked = statement.ask(question, known[above])
        parts.append(Part(above, 0.5, above == below, True, asked))
    if below is not None and below != above:
        parts.append(Part(below, 0.0, True, True, statement.ask(question, known[below])))
    if below is None and above is not None:
        parts.append(Part(-inf, 0.0, True, True, statement.ask(question, Past())))
    return parts
