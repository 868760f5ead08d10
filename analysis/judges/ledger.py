"""The numbers of many statements side by side: one tick of all of them is a few operations on arrays.

A statement's numbers are one row of 64-bit floats, kept as bytes: a frozen value that is equal to another bit by bit
or not at all. `answer` steps the rows of any number of judges together. Each number of the result depends on its own
row alone, and is the same however many rows go with it.
"""

from collections.abc import Generator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np

from analysis.judges import dispersion, wealth
from analysis.judges.dispersion import Flags, Numbers
from analysis.judges.question import MOST, NEARNESS, WEIGHTS, Question, place, weights

_WORSE, _BETTER = len(WEIGHTS), len(NEARNESS)
_MEMORY = 0.997
"""What a tick keeps of the past: half is forgotten in 231 ticks."""

# The past: stable's decayed counts, and the noise between two halves of its pods and from tick to tick before the run,
# and between the arms in the run.
REQUESTS, BAD, PODS, TIME, RUN = 0, 1, slice(2, 8), slice(8, 14), slice(14, 20)
PAST = 20
"""How many numbers the past is."""
# What is asked, and the wealth of each alternative.
EXPECTED, ALTERNATIVES, CEILING = 20, 21, 22
WORSE, RESERVE, BETTER = slice(23, 31), 31, slice(32, 34)
# The bets, frozen until the base or the traffic ratio has moved.
BASE, RATIO, WORSE_STEEPEST, BETTER_STEEPEST = 34, 35, 36, 37
WORSE_BETS, BETTER_BETS = slice(38, 70), slice(70, 78)
# What was judged, in all and since the last step change; and the evidence.
TOTAL, RECENT, WORSE_EVIDENCE, BETTER_EVIDENCE = slice(78, 82), slice(82, 86), 86, 87
WIDTH = 88
_LOOKED_AT = (WORSE_EVIDENCE, BETTER_EVIDENCE, RECENT.start)
NO_PAST = bytes(8 * PAST)


T = TypeVar("T")


class Rows(NamedTuple):
    """Some rows, and of each of them what is looked at after every tick."""

    numbers: bytes
    worse: Sequence[float] = ()
    """The evidence that the canary is worse, of each row; nothing for pasts alone."""
    better: Sequence[float] = ()
    """That it is good enough."""
    recent: Sequence[float] = ()
    """Canary requests that were judged since the last step change."""


class Ask(NamedTuple):
    """One tick for some rows, each with what it counted: rows of pasts alone, or of statements with their questions.

    `counts` and `halves` (of stable's pods; what was counted before the run alone) are the four numbers of a pair for
    each row, one after the other. Without questions, and before the run, the rows only learn.
    """

    rows: bytes
    counts: Sequence[float]
    halves: Sequence[float] = ()
    questions: tuple[Question, ...] = ()
    judged: bool = False
    needed: float = 0.0
    """The evidence, in nats, that the cap of a tick is a part of."""
    renewed: bool = False
    """Forget first what speaks against a change that begins now."""


Steps = Generator[list[Ask], list[Rows], T]
"""A step that asks the ledger on its way: it is sent the answers, and returns what it leads to."""


_Sent = Mapping[int, list[Rows] | None]


def together(steps: Sequence[Steps[T]]) -> list[T]:
    """Take all steps at once: what they ask at the same time is answered by the same operations."""
    found: dict[int, T] = {}
    waiting: dict[int, list[Ask]] = {}
    _send(steps, dict.fromkeys(range(len(steps))), waiting, found)
    while waiting:
        answers = answer([ask for asks in waiting.values() for ask in asks])
        sent, start = {}, 0
        for number, asks in waiting.items():
            sent[number] = answers[start : start + len(asks)]
            start += len(asks)
        waiting = {}
        _send(steps, sent, waiting, found)
    return [found[number] for number in range(len(steps))]


def _send(
    steps: Sequence[Steps[T]],
    sent: _Sent,
    waiting: dict[int, list[Ask]],
    found: dict[int, T],
) -> None:
    for number, answers in sent.items():
        try:
            waiting[number] = steps[number].send(answers)  # type: ignore[arg-type] # None starts a generator
        except StopIteration as end:
            found[number] = end.value


def begin(question: Question, past: bytes = NO_PAST) -> bytes:
    """The row of a statement without evidence yet."""
    table = np.zeros((WIDTH, 1))
    table[:PAST, 0] = np.frombuffer(past)
    table[EXPECTED], table[ALTERNATIVES], table[CEILING] = question.expected, question.alternatives, question.ceiling
    table[WORSE] = (1 - wealth.RESERVE) * _weights(table)
    table[RESERVE] = wealth.RESERVE
    table[BETTER, 0] = [weight for _, weight in NEARNESS]
    return _rows(_summed(table))


def restart(rows: bytes, number: int, *, step_changed: bool) -> bytes:
    """Start the copy with this number, from 1 on, in each row."""
    table = _table([rows], WIDTH)
    share = wealth.copy_weight(number)
    table[WORSE] += np.where(_weights(table) > 0, share / table[ALTERNATIVES], 0.0)
    table[RESERVE] -= share
    if step_changed:
        table[RECENT] = 0
    return _rows(_summed(table))


def read(numbers: bytes) -> Rows:
    """What rows of statements say."""
    each = memoryview(numbers).cast("d")
    return Rows(numbers, *[each[number::WIDTH].tolist() for number in _LOOKED_AT])


def answer(asks: Sequence[Ask]) -> list[Rows]:
    """The rows after the tick."""
    found: list[Rows] = [Rows(b"")] * len(asks)
    groups: dict[tuple[int, bool, bool], list[int]] = {}
    for number, ask in enumerate(asks):
        if ask.counts:
            width = len(ask.rows) // (2 * len(ask.counts))
            groups.setdefault((width, ask.judged, ask.renewed), []).append(number)
    for (width, judged, renewed), numbers in groups.items():
        group = [asks[number] for number in numbers]
        table = _table([ask.rows for ask in group], width)
        pairs = _pairs([ask.counts for ask in group])
        if judged and width == WIDTH:
            needed = np.repeat([ask.needed for ask in group], [len(ask.questions) for ask in group])
            questions = [question for ask in group for question in ask.questions]
            _judge(table, pairs, needed, questions, renewed=renewed)
        if judged:
            _learn(table, pairs)
        else:
            _learn_before(table, pairs, _pairs([ask.halves for ask in group]))
        rows, start = _rows(table), 0
        said = [table[number].tolist() if width == WIDTH else [] for number in _LOOKED_AT]
        for number, ask in zip(numbers, group, strict=True):
            end = start + len(ask.counts) // 4
            mine = rows[8 * width * start : 8 * width * end]
            found[number] = Rows(mine, *[each[start:end] for each in said])
            start = end
    return found


def share(table: Numbers) -> Numbers:
    """Stable's share of bad requests; the expected one stands in for half a bad request while nothing is known."""
    found: Numbers = np.minimum(MOST, np.maximum(1e-7, (table[BAD] + 0.5) / (table[REQUESTS] + 0.5 / table[EXPECTED])))
    return found


def phi(table: Numbers) -> Numbers:
    """How much noisier than chance."""
    run = table[RUN]
    found: Numbers = np.minimum(dispersion.estimate(table[PODS], run), dispersion.estimate(table[TIME], run))
    return found


def _judge(table: Numbers, pairs: Numbers, needed: Numbers, questions: Sequence[Question], *, renewed: bool) -> None:
    """Bet with what the past knows, and count what was judged, in place."""
    if renewed:
        table[WORSE] = np.maximum(table[WORSE], _weights(table))
        table[RESERVE] = 0
    canary, stable, ceiling = pairs[:2], pairs[2:].copy(), table[CEILING] > 0
    stable[0] = np.where(ceiling, np.maximum(1, stable[0]), stable[0])  # a ceiling looks at the canary alone
    playing = ((canary[0] > 0) & (stable[0] > 0)).nonzero()[0]
    if playing.size == len(questions):
        _play(table, canary, stable, ceiling, needed, questions)
    elif playing.size:
        part = table[:, playing]
        asked = [questions[number] for number in playing]
        _play(part, canary[:, playing], stable[:, playing], ceiling[playing], needed[playing], asked)
        table[:, playing] = part
    table[TOTAL] += pairs
    table[RECENT] += pairs
    _summed(table)


def _play(
    table: Numbers, canary: Numbers, stable: Numbers, ceiling: Flags, needed: Numbers, questions: Sequence[Question]
) -> None:
    ratio, base = canary[0] / stable[0], share(table)
    lever = np.where(ceiling, ratio, 1 / ratio)
    fresh = (0.8 * table[BASE] < base) & (base < 1.25 * table[BASE])
    fresh &= (0.5 * table[RATIO] < ratio) & (ratio < 2 * table[RATIO])
    fresh &= wealth.fit(table[WORSE_STEEPEST], lever) & wealth.fit(table[BETTER_STEEPEST], ratio)
    for number in (~fresh).nonzero()[0].tolist():
        _place(table, number, questions[number], float(base[number]), float(ratio[number]))
    estimated = phi(table)
    tempered, cap = dispersion.temper(estimated), needed / dispersion.ticks_to_decide(estimated)
    leader, follower = np.where(ceiling, canary, stable), np.where(ceiling, stable, canary)
    count = len(questions)
    bets = table[WORSE_BETS].reshape(4, _WORSE, count)
    table[WORSE] = wealth.play(table[WORSE], bets, leader, follower, phi=tempered, cap=cap)
    bets = table[BETTER_BETS].reshape(4, _BETTER, count)
    table[BETTER] = wealth.play(table[BETTER], bets, canary, stable, phi=tempered, cap=cap / 2)


def _place(table: Numbers, number: int, question: Question, base: float, ratio: float) -> None:
    worse, better = place(question, base, ratio)
    table[BASE, number], table[RATIO, number] = base, ratio
    table[WORSE_STEEPEST, number], table[BETTER_STEEPEST, number] = worse.steepest, better.steepest
    bets = np.zeros((4, _WORSE))
    bets[:, : len(worse.each)] = np.array(worse.each).T
    table[WORSE_BETS, number] = bets.ravel()
    table[BETTER_BETS, number] = np.array(better.each).T.ravel()


def _learn(table: Numbers, pairs: Numbers) -> None:
    """The past after a judged tick, in place."""
    _fade(table, pairs)
    dispersion.observe(table[RUN], pairs)


def _learn_before(table: Numbers, pairs: Numbers, halves: Numbers) -> None:
    """The past after a tick before the run, in place."""
    _fade(table, pairs)
    dispersion.observe(table[PODS], halves)
    dispersion.observe_time(table[TIME], pairs)


def _fade(table: Numbers, pairs: Numbers) -> None:
    table[REQUESTS] = table[REQUESTS] * _MEMORY + pairs[2]
    table[BAD] = table[BAD] * _MEMORY + pairs[3]


def _weights(table: Numbers) -> Numbers:
    """The weight of each alternative of each row: (alternative, row)."""
    found = np.zeros((_WORSE, table.shape[1]))
    for alternatives in set(table[ALTERNATIVES].tolist()):
        number = int(alternatives)
        found[:number, table[ALTERNATIVES] == alternatives] = np.array(weights(number))[:, None]
    return found


def _summed(table: Numbers) -> Numbers:
    """The table with its evidence, added up in the same order for any number of rows."""
    for into, parts in ((WORSE_EVIDENCE, table[WORSE]), (BETTER_EVIDENCE, table[BETTER])):
        total = parts[0].copy()
        for each in parts[1:]:
            total += each
        table[into] = total
    table[WORSE_EVIDENCE] += table[RESERVE]
    return table


def _pairs(counts: Sequence[Sequence[float]]) -> Numbers:
    """By number of the pair, and by row."""
    return np.array([*chain.from_iterable(counts)], dtype=np.float64).reshape(-1, 4).T.copy()


def _table(rows: Sequence[bytes], width: int) -> Numbers:
    return np.frombuffer(b"".join(rows)).reshape(-1, width).T.copy()


def _rows(table: Numbers) -> bytes:
    return table.T.tobytes()
