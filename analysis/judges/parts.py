"""The parts of one metric: a comparison with stable, at one or several edges, and a ceiling of one's own."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from analysis import tables
from analysis.judges import ledger
from analysis.judges.question import Question
from analysis.judges.statement import Statement
from analysis.judges.views import Edges, Views
from analysis.samples import Pair
from analysis.spec import ErrorRate, Latency, Line, Lines, Metric
from analysis.tables import Columns, Numbers
from analysis.tally import Shape

EXPECTED_ERRORS = 0.001
EXPECTED_SLOW = 0.02
ENOUGH_HISTORY = 200.0
"""Requests of stable that the choice of histogram edges needs."""
_FULLEST, _THINNEST, _WITHIN, _BEYOND = 0.6, 0.002, 5, 3
_NO_PASTS = tables.frozen(np.zeros((ledger.PAST, 0)))


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
    parts: tuple[Part, ...]
    edges: Edges
    """Of the parts; while there are none, all that stable's histogram has shown."""
    columns: Columns
    """The numbers of the parts, in their order; while there are none, what is known of each edge."""
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
        at = self.columns.start + number
        return Statement(self.parts[number].question, Columns(self.columns.table, at, at + 1))

    @property
    def past(self) -> tuple[tuple[float, float, float], ...]:
        """While there are no parts: each edge, with stable's requests and the slower ones; the older count less."""
        if self.parts:
            return ()
        known = zip(self.edges, *self.columns.numbers[[ledger.REQUESTS, ledger.BAD]].tolist(), strict=True)
        return tuple([(edge, requests, slower) for edge, requests, slower in known if edge is not None])

    def alone(self) -> "Judged":
        """The same, sharing its numbers with nobody."""
        return self._replace(columns=self.columns.alone())


def begin(metric: Metric) -> Judged:
    """A metric before its first tick."""
    if isinstance(metric, ErrorRate):
        parts = _error_parts(metric)
        return _begun(metric, parts, [ledger.NO_PAST] * len(parts))
    return Judged(metric, (), (), _NO_PASTS)


def _begun(metric: Metric, parts: Sequence[Part], pasts: Sequence[Numbers]) -> Judged:
    columns = [
        ledger.begin(part.question, past, weight=part.weight, clears=part.clears)
        for part, past in zip(parts, pasts, strict=True)
    ]
    edges = tuple([part.edge for part in parts])
    [found] = _read([Judged(metric, tuple(parts), edges, columns[0])], tables.beside(columns))
    return found


def _read(metrics: Sequence[Judged], table: Numbers) -> list[Judged]:
    """Metrics with what their columns say, which stand one after the other in the table."""
    columns = tables.split(table, [len(judged.parts) for judged in metrics])
    starts = [each.start for each in columns]
    owners = np.repeat(np.arange(len(metrics)), [len(each) for each in columns])
    worse = np.bincount(owners, table[ledger.WEIGHT] * table[ledger.WORSE_EVIDENCE]).tolist()  # it adds in their order
    clearing = np.where(table[ledger.CLEARS] > 0, table[ledger.BETTER_EVIDENCE], np.inf)
    better = np.minimum.reduceat(clearing, starts)
    better[np.isinf(better)] = 1  # where nothing can clear the canary
    samples = np.maximum.reduceat(table[ledger.RECENT.start], starts).astype(np.int64).tolist()
    return [
        Judged(judged.metric, judged.parts, judged.edges, *said)
        for judged, *said in zip(metrics, columns, worse, better.tolist(), samples, strict=True)
    ]


def step_all(
    metrics: Sequence[Judged], views: Views, numbers: Sequence[int], *, needed: Sequence[float], renewed: bool = False
) -> list[Judged]:
    """One tick of many metrics: each is of the comparison with its number, and needs so much evidence, in nats."""
    found = list(metrics)
    groups: dict[tuple[bool, bool], list[int]] = {}
    for at, judged in enumerate(views.judged[numbers].tolist()):
        if not found[at].parts:
            found[at] = _met(found[at], views.tallies[numbers[at]].shape, choosing=judged)
        if found[at].parts or views.tallies[numbers[at]].shape.stable.within:
            groups.setdefault((judged, bool(found[at].parts)), []).append(at)
    for (judged, has_parts), group in groups.items():
        mine, theirs = [found[at] for at in group], [numbers[at] for at in group]
        table = tables.beside([metric.columns for metric in mine])
        pairs = views.pairs(theirs, [metric.edges for metric in mine])
        if judged and has_parts:
            questions = [part.question for metric in mine for part in metric.parts]
            caps = np.repeat([needed[at] for at in group], [len(metric.parts) for metric in mine])
            ledger.judge(table, pairs, questions, needed=caps, renewed=renewed)
        else:
            halves = None if judged else views.halves(theirs, [metric.edges for metric in mine])
            ledger.learn(table, pairs, halves)
        stepped = _read(mine, table) if has_parts else _kept(mine, table)
        for at, metric in zip(group, stepped, strict=True):
            found[at] = metric
    return found


def restart(judged: Judged, number: int, *, step_changed: bool) -> Judged:
    """Look for regressions that begin now, too."""
    if not judged.parts:
        return judged
    columns = ledger.restart(judged.columns, number, step_changed=step_changed)
    return _read([judged], columns.numbers.copy())[0]


def _met(judged: Judged, shape: Shape, *, choosing: bool) -> Judged:
    """A metric without parts before a tick: with those that can be chosen now, or with the edges it has not met yet."""
    if choosing:
        judged = _choose(judged, shape)
    if judged.parts or shape.stable.within.keys() <= set(judged.edges):
        return judged
    known = dict(zip(judged.edges, judged.columns.numbers.T, strict=True))
    edges = tuple(sorted({*shape.stable.within, *[edge for edge in judged.edges if edge is not None]}))
    past = [known.get(edge, ledger.NO_PAST[:, 0]) for edge in edges]
    return judged._replace(edges=edges, columns=tables.frozen(np.array(past).T.copy()))


def _kept(metrics: Sequence[Judged], table: Numbers) -> list[Judged]:
    """Metrics without parts, with what is known of their edges."""
    columns = tables.split(table, [len(judged.edges) for judged in metrics])
    return [judged._replace(columns=mine) for judged, mine in zip(metrics, columns, strict=True)]


def _error_parts(metric: ErrorRate) -> tuple[Part, ...]:
    compare = Question(metric.lines, EXPECTED_ERRORS)
    if metric.max is None:
        return (Part(None, 1.0, True, False, compare),)
    ceiling = _ceiling(metric.max, EXPECTED_ERRORS)
    return (Part(None, 0.5, True, False, compare), Part(None, 0.5, True, True, ceiling))


def _ceiling(most: float, expected: float) -> Question:
    return Question(Lines(rollback=Line(0, most), promote=Line(0, most)), expected)


def _choose(judged: Judged, shape: Shape) -> Judged:
    """The parts for the edges that stable's past makes telling; none while stable's past is too short."""
    metric, seen = judged.metric, judged.past
    if max([requests for _, requests, _ in seen], default=0.0) < ENOUGH_HISTORY or not isinstance(metric, Latency):
        return judged
    usable = [past for past in seen if not shape.canary.within or past[0] in shape.canary.within]
    edges = choose_edges([(edge, slower / max(1.0, requests)) for edge, requests, slower in usable])
    half = 1.0 if metric.max is None else 0.5
    question = Question(metric.lines, EXPECTED_SLOW, alternatives=6)
    parts = [Part(edge, half / len(edges), True, False, question) for edge in edges]
    if metric.max is not None and metric.slower_than is not None:
        parts += _ceiling_parts([edge for edge, _, _ in seen], metric.slower_than.total_seconds(), metric.max)
    known = {edge: judged.columns.numbers[:, [number]] for number, (edge, _, _) in enumerate(seen)}
    return _begun(metric, parts, [known.get(part.edge or 0.0, ledger.NO_PAST) for part in parts]) if parts else judged


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
