"""The parts of one metric: a comparison with stable, at one or several edges, and a ceiling of one's own."""

from math import inf
from typing import NamedTuple

from analysis.judges import ledger
from analysis.judges.ledger import Ask, Rows
from analysis.judges.question import Question
from analysis.judges.statement import SIZE, Statement
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
    question: Question


class Judged(NamedTuple):
    """One metric with its parts. A latency metric has none until stable's past has chosen the edges."""

    metric: Metric
    parts: tuple[Part, ...] = ()
    rows: bytes = b""
    """The numbers of the parts, in their order."""
    pasts: tuple[tuple[float, bytes], ...] = ()
    """By histogram edge: what is known of it, until the edges are chosen."""
    evidence: float = 1.0
    """That the canary is worse, how many to one."""
    promote_evidence: float = 1.0
    """That the canary is good enough, how many to one: the least of all parts."""
    samples: int = 0
    """Canary requests that were judged since the last step change."""

    @property
    def requests(self) -> Pair:
        """What was judged since the last step change."""
        return max([self.statement(number).recent for number in range(len(self.parts))], default=Pair())

    def statement(self, number: int) -> Statement:
        """The statement of the part with this number, from 0 on."""
        return Statement(self.parts[number].question, self.rows[number * SIZE : (number + 1) * SIZE])


def _judged(metric: Metric, parts: tuple[Part, ...], rows: Rows) -> Judged:
    """A metric with what its rows say; one without parts says nothing."""
    if not parts:
        return Judged(metric)
    return Judged(
        metric,
        parts,
        rows.numbers,
        evidence=sum([part.weight * each for part, each in zip(parts, rows.worse, strict=True)]),
        promote_evidence=min([each for part, each in zip(parts, rows.better, strict=True) if part.clears], default=1.0),
        samples=int(max(rows.recent)),
    )


def begin(metric: Metric) -> Judged:
    """A metric before its first tick."""
    if isinstance(metric, ErrorRate):
        parts = _error_parts(metric)
        return _judged(metric, parts, ledger.read(b"".join([ledger.begin(part.question) for part in parts])))
    return Judged(metric)


def ask(judged: Judged, view: View, *, needed: float, renewed: bool = False) -> tuple[Judged, Ask]:
    """What one tick asks the ledger; the metric takes the answer with `told`."""
    if view.judged and not judged.parts and isinstance(judged.metric, Latency):
        judged = _choose(judged.metric, judged.pasts, view)
    if not judged.parts:
        return judged, _learn_edges(judged.pasts, view)
    edges = [part.edge for part in judged.parts]
    if not view.judged:
        return judged, Ask(judged.rows, view.counts(edges), view.halves(edges))
    questions = tuple([part.question for part in judged.parts])
    return judged, Ask(judged.rows, view.counts(edges), (), questions, judged=True, needed=needed, renewed=renewed)


def told(judged: Judged, view: View, rows: Rows) -> Judged:
    """The metric with what the ledger answered."""
    if judged.parts:
        return _judged(judged.metric, judged.parts, rows)
    size, known = 8 * ledger.PAST, dict(judged.pasts)
    for number, edge in enumerate(view.stable.latencies.within):
        known[edge] = rows.numbers[number * size : (number + 1) * size]
    return Judged(judged.metric, pasts=tuple(sorted(known.items())))


def restart(judged: Judged, number: int, *, step_changed: bool) -> Judged:
    """Look for regressions that begin now, too."""
    if not judged.parts:
        return judged
    rows = ledger.read(ledger.restart(judged.rows, number, step_changed=step_changed))
    return _judged(judged.metric, judged.parts, rows)


def _error_parts(metric: ErrorRate) -> tuple[Part, ...]:
    compare = Question(metric.lines, EXPECTED_ERRORS)
    if metric.max is None:
        return (Part(None, 1.0, True, False, compare),)
    ceiling = _ceiling(metric.max, EXPECTED_ERRORS)
    return (Part(None, 0.5, True, False, compare), Part(None, 0.5, True, True, ceiling))


def _ceiling(most: float, expected: float) -> Question:
    return Question(Lines(rollback=Line(0, most), promote=Line(0, most)), expected)


def _learn_edges(pasts: tuple[tuple[float, bytes], ...], view: View) -> Ask:
    known, edges = dict(pasts), list(view.stable.latencies.within)
    rows = b"".join([known.get(edge, ledger.NO_PAST) for edge in edges])
    return Ask(rows, view.counts(edges), () if view.judged else view.halves(edges), judged=view.judged)


def _choose(metric: Latency, pasts: tuple[tuple[float, bytes], ...], view: View) -> Judged:
    """The parts for the edges that stable's past makes telling; none while stable's past is too short."""
    known = dict(pasts)
    seen = {edge: tuple(memoryview(past).cast("d")[: ledger.BAD + 1]) for edge, past in pasts}
    if max([requests for requests, _ in seen.values()], default=0.0) < ENOUGH_HISTORY:
        return Judged(metric, pasts=pasts)
    usable = [edge for edge in known if not view.canary.latencies.within or edge in view.canary.latencies.within]
    edges = choose_edges([(edge, seen[edge][ledger.BAD] / max(1.0, seen[edge][ledger.REQUESTS])) for edge in usable])
    half = 1.0 if metric.max is None else 0.5
    question = Question(metric.lines, EXPECTED_SLOW, alternatives=6)
    parts = [Part(edge, half / len(edges), True, False, question) for edge in edges]
    if metric.max is not None and metric.slower_than is not None:
        parts += _ceiling_parts(list(known), metric.slower_than.total_seconds(), metric.max)
    rows = [ledger.begin(part.question, known.get(part.edge or 0.0, ledger.NO_PAST)) for part in parts]
    return _judged(metric, tuple(parts), ledger.read(b"".join(rows)))


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


def _ceiling_parts(edges: list[float], slower_than: float, most: float) -> list[Part]:
    """A ceiling between two edges: the edge above it blames the canary, the edge below it clears the canary."""
    above = min([edge for edge in edges if edge >= slower_than], default=None)
    below = max([edge for edge in edges if edge <= slower_than], default=None)
    question = _ceiling(most, EXPECTED_SLOW)
    parts = []
    if above is not None:
        parts.append(Part(above, 0.5, above == below, True, question))
    if below is not None and below != above:
        parts.append(Part(below, 0.0, True, True, question))
    if below is None and above is not None:
        parts.append(Part(-inf, 0.0, True, True, question))
    return parts
