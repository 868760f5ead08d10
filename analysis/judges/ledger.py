"""The numbers of many statements side by side: one tick of all of them is a few operations on arrays.

A statement's numbers are a column of a table, which is stepped in place. Each number of the result depends on its own
column alone, and is the same however many columns go with it.
"""

from collections.abc import Sequence

import numpy as np

from analysis.judges import dispersion, wealth
from analysis.judges.question import MOST, NEARNESS, WEIGHTS, Question, place, weights
from analysis.tables import Columns, Flags, Numbers, frozen

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
# Its part of the metric's evidence that the canary is worse, and whether the metric is only good when this says so.
WEIGHT, CLEARS = 88, 89
WIDTH = 90
NO_PAST = np.zeros((PAST, 1))


def begin(question: Question, past: Numbers = NO_PAST, *, weight: float = 1.0, clears: bool = True) -> Columns:
    """The column of a statement without evidence yet; `past` are its first numbers."""
    table = np.zeros((WIDTH, 1))
    table[:PAST], table[WEIGHT], table[CLEARS] = past, weight, clears
    table[EXPECTED], table[ALTERNATIVES], table[CEILING] = question.expected, question.alternatives, question.ceiling
    table[WORSE] = (1 - wealth.RESERVE) * _weights(table)
    table[RESERVE] = wealth.RESERVE
    table[BETTER, 0] = [weight for _, weight in NEARNESS]
    _sum_up(table)
    return frozen(table)


def restart(rows: Columns, number: int, *, step_changed: bool) -> Columns:
    """Start the copy with this number, from 1 on, in each column."""
    table = rows.numbers.copy()
    share = wealth.copy_weight(number)
    table[WORSE] += np.where(_weights(table) > 0, share / table[ALTERNATIVES], 0.0)
    table[RESERVE] -= share
    if step_changed:
        table[RECENT] = 0
    _sum_up(table)
    return frozen(table)


def judge(
    table: Numbers, pairs: Numbers, questions: Sequence[Question], *, needed: Numbers, renewed: bool = False
) -> None:
    """One judged tick of statements, in place: bet with what the past knows, then learn from the tick.

    Args:
        table: of statements with these questions.
        pairs: what each of them counted: canary's requests and bad ones, stable's.
        questions: what each of them asks.
        needed: the evidence, in nats, that the cap of a tick is a part of.
        renewed: forget first what speaks against a change that begins now.
    """
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
    _sum_up(table)
    learn(table, pairs)


def learn(table: Numbers, pairs: Numbers, halves: Numbers | None = None) -> None:
    """What a tick teaches of stable and of the noise, in place: of statements, or of pasts alone.

    `halves` is what two halves of stable's pods counted in a tick before the run.
    """
    table[REQUESTS] = table[REQUESTS] * _MEMORY + pairs[2]
    table[BAD] = table[BAD] * _MEMORY + pairs[3]
    if halves is None:
        dispersion.observe(table[RUN], pairs)
    else:
        dispersion.observe(table[PODS], halves)
        dispersion.observe_time(table[TIME], pairs)


def share(table: Numbers) -> Numbers:
    """Stable's share of bad requests; the expected one stands in for half a bad request while nothing is known."""
    found: Numbers = np.minimum(MOST, np.maximum(1e-7, (table[BAD] + 0.5) / (table[REQUESTS] + 0.5 / table[EXPECTED])))
    return found


def phi(table: Numbers) -> Numbers:
    """How much noisier than chance."""
    run = table[RUN]
    found: Numbers = np.minimum(dispersion.estimate(table[PODS], run), dispersion.estimate(table[TIME], run))
    return found


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


def _weights(table: Numbers) -> Numbers:
    """The weight of each alternative of each statement: (alternative, statement)."""
    found = np.zeros((_WORSE, table.shape[1]))
    for alternatives in set(table[ALTERNATIVES].tolist()):
        number = int(alternatives)
        found[:number, table[ALTERNATIVES] == alternatives] = np.array(weights(number))[:, None]
    return found


def _sum_up(table: Numbers) -> None:
    """The evidence, in place, added up in the same order for any number of columns."""
    for into, parts in ((WORSE_EVIDENCE, table[WORSE]), (BETTER_EVIDENCE, table[BETTER])):
        total = parts[0].copy()
        for each in parts[1:]:
            total += each
        table[into] = total
    table[WORSE_EVIDENCE] += table[RESERVE]
