"""One question about one kind of bad request: is the canary beyond the rollback line, is it within the promote line?"""

from collections.abc import Iterable
from math import log1p
from typing import NamedTuple

from analysis.judges import dispersion, halfplane, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.halfplane import Bet
from analysis.judges.wealth import Wealth
from analysis.samples import Count, Pair
from analysis.spec import Line, Lines

ODDS = (1.15, 1.35, 1.7, 2.2, 3.0, 4.5, 8.0, 16.0)
"""Alternatives for a bad canary: the odds of the line's share, times these."""
STEPS = (0.002, 0.005, 0.01, 0.03, 0.10)
"""Alternatives for a bad canary: the line's share, plus these."""
NEARNESS = (0.0, 0.35)
"""Alternatives for a good canary: as good as stable, or this part of the way towards the promote line."""

_MEMORY = 0.98
"""What a tick keeps of the past: half is forgotten in 34 ticks."""
_MOST = 0.98


class Past(NamedTuple):
    """What is known of a kind of bad request before a tick: stable's decayed counts, and the noise."""

    requests: float = 0.0
    bad: float = 0.0
    history: Dispersion = Dispersion()
    run: Dispersion = Dispersion()

    def share(self, expected: float) -> float:
        """Stable's share of bad requests; `expected` stands in for half a bad request while nothing is known."""
        return min(_MOST, max(1e-7, (self.bad + 0.5) / (self.requests + 0.5 / expected)))

    @property
    def phi(self) -> float:
        """How much noisier than chance."""
        return dispersion.estimate(self.history, self.run)


def learn(past: Past, pair: Pair, halves: Pair, *, judged: bool) -> Past:
    """The past after one more tick. `halves` are two halves of stable's pods; only judged ticks compare the arms."""
    return Past(
        past.requests * _MEMORY + pair.stable_requests,
        past.bad * _MEMORY + pair.stable_bad,
        past.history if judged else dispersion.observe(past.history, halves),
        dispersion.observe(past.run, pair) if judged else past.run,
    )


class Question(NamedTuple):
    """What is asked: which lines, and the share of bad requests to expect before anything is known."""

    lines: Lines
    expected: float


class Statement(NamedTuple):
    """The evidence on one question. Bets stay frozen until the base or the traffic ratio has moved."""

    question: Question
    past: Past
    worse: Wealth
    better: Wealth
    worse_bets: tuple[Bet | None, ...] = ()
    better_bets: tuple[Bet | None, ...] = ()
    base: float = 0.0
    ratio: float = 0.0
    total: Pair = Pair()
    recent: Pair = Pair()
    """Since the last restart."""


def ask(question: Question, past: Past) -> Statement:
    """A statement without evidence yet."""
    return Statement(
        question,
        past,
        worse=wealth.begin(len(ODDS) + len(STEPS), reserve=0.5),
        better=wealth.begin(len(NEARNESS)),
    )


def step(statement: Statement, pair: Pair, *, cap: float) -> Statement:
    """One judged tick: bet with what the past knows, then learn from the tick."""
    question, past, worse, better, worse_bets, better_bets, base, ratio, total, recent = statement
    ceiling = question.lines.rollback.ratio == 0
    canary, stable = Count(pair[0], pair[1]), Count(pair[2], pair[3])
    if ceiling and canary.requests:
        stable = Count(max(1, stable.requests), stable.bad)
    if canary.requests and stable.requests:
        now = canary.requests / stable.requests
        share = past.share(question.expected)
        if not (0.8 * base < share < 1.25 * base and 0.5 * ratio < now < 2 * ratio and _fit(statement, now)):
            base, ratio = share, now
            worse_bets, better_bets = place(question.lines, base, ratio)
        phi = past.phi
        leader, follower = (canary, stable) if ceiling else (stable, canary)
        worse = wealth.play(worse, worse_bets, leader, follower, phi=phi, cap=cap)
        better = wealth.play(better, better_bets, canary, stable, phi=phi, cap=cap)
    past = learn(past, pair, Pair(), judged=True)
    return Statement(
        question, past, worse, better, worse_bets, better_bets, base, ratio, total.plus(pair), recent.plus(pair)
    )


def restart(statement: Statement, number: int) -> Statement:
    """Look for a regression that begins now, too."""
    return statement._replace(worse=wealth.restart(statement.worse, number), recent=Pair())


def place(lines: Lines, base: float, ratio: float) -> tuple[tuple[Bet | None, ...], tuple[Bet | None, ...]]:
    """Bets against both lines, for stable's share `base` and ticks with about `ratio` = n_C/n_S."""
    worse = [halfplane.worse(lines.rollback, share, base, ratio) for share in bad_shares(lines.rollback, base)]
    better = [halfplane.better(lines.promote, share, base, ratio) for share in good_shares(lines.promote, base)]
    return _usable(worse, 1 / ratio), _usable(better, ratio)


def _usable(bets: Iterable[Bet | None], lever: float) -> tuple[Bet | None, ...]:
    return tuple([placed if placed is None or halfplane.fits(placed, lever) else None for placed in bets])


def _fit(statement: Statement, ratio: float) -> bool:
    lever = 1 / ratio
    for placed in statement.worse_bets:
        if placed is not None and not halfplane.fits(placed, lever):
            return False
    return all(placed is None or halfplane.fits(placed, ratio) for placed in statement.better_bets)


def bad_shares(line: Line, base: float) -> tuple[float, ...]:
    """Shares of bad requests that a bad canary may have where stable's is `base`: all above the line."""
    border = min(_MOST, line.at(base))
    odds = border / (1 - border)
    times = [odds * factor / (1 + odds * factor) for factor in ODDS]
    return tuple([min(share, 0.95) for share in (*times, *[border + more for more in STEPS])])


def good_shares(line: Line, base: float) -> tuple[float, ...]:
    """Shares of bad requests that a good canary may have where stable's is `base`: all below the line."""
    border = line.at(base)
    if line.ratio == 0:
        start = min(base, border / 2)
        return tuple([start + (border - start) * nearness for nearness in NEARNESS])
    return tuple([base + (border - base) * nearness for nearness in NEARNESS])


def needed_requests(statement: Statement, nats: float) -> int | None:
    """About how many more canary requests earn `nats` of promote evidence, if the canary is as good as stable."""
    placed = statement.better_bets[0] if statement.better_bets else None
    base, ratio = statement.base, statement.ratio
    if placed is None or not halfplane.fits(placed, ratio):
        return None
    mine = base * placed.hit + (1 - base) * placed.miss
    theirs = base * log1p(placed.rise * ratio) + (1 - base) * log1p(-placed.fall * ratio)
    each = (mine + theirs / ratio) / statement.past.phi
    return max(1, round(nats / each)) if each > 0 else None
