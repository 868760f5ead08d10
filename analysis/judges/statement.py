"""One question about one kind of bad request: is the canary beyond the rollback line, is it within the promote line?"""

from math import log1p
from typing import NamedTuple

from analysis.judges import dispersion, halfplane, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.wealth import Bets, Wealth
from analysis.samples import Count, Pair
from analysis.spec import Line, Lines

NEARNESS = ((0.0, 0.8), (0.35, 0.2))
"""Alternatives for a good canary, with weights: as good as stable, or a part of the way to the promote line."""

WEIGHTS = (12, 20, 24, 18, 10, 7, 5, 4)
"""Of eight shares that a bad canary may have, the smallest first."""

_MEMORY = 0.997
"""What a tick keeps of the past: half is forgotten in 231 ticks."""
_MOST = 0.98


class Past(NamedTuple):
    """What is known of a kind of bad request before a tick: stable's decayed counts, and the noise."""

    requests: float = 0.0
    bad: float = 0.0
    pods: Dispersion = Dispersion()
    """Of two halves of stable's pods, before the run."""
    time: Dispersion = Dispersion()
    """Of stable from tick to tick, before the run: incidents common to all pods are in it, so it errs upwards."""
    run: Dispersion = Dispersion()

    def share(self, expected: float) -> float:
        """Stable's share of bad requests; `expected` stands in for half a bad request while nothing is known."""
        return min(_MOST, max(1e-7, (self.bad + 0.5) / (self.requests + 0.5 / expected)))

    @property
    def phi(self) -> float:
        """How much noisier than chance."""
        return dispersion.estimate((self.pods, self.time), self.run)


def learn(past: Past, pair: Pair, halves: Pair, *, judged: bool) -> Past:
    """The past after one more tick. `halves` are two halves of stable's pods; only judged ticks compare the arms."""
    return Past(
        past.requests * _MEMORY + pair.stable_requests,
        past.bad * _MEMORY + pair.stable_bad,
        past.pods if judged else dispersion.observe(past.pods, halves),
        past.time if judged else dispersion.observe_time(past.time, pair),
        dispersion.observe(past.run, pair) if judged else past.run,
    )


class Question(NamedTuple):
    """What is asked: which lines, and the share of bad requests to expect while nothing is known."""

    lines: Lines
    expected: float
    alternatives: int = 8
    """How many shares a bad canary may have."""


class Statement(NamedTuple):
    """The evidence on one question. Bets stay frozen until the base or the traffic ratio has moved."""

    question: Question
    past: Past
    worse: Wealth
    better: Wealth
    worse_bets: Bets = Bets()
    better_bets: Bets = Bets()
    base: float = 0.0
    ratio: float = 0.0
    total: Pair = Pair()
    recent: Pair = Pair()
    """Since the last step change."""


def ask(question: Question, past: Past) -> Statement:
    """A statement without evidence yet."""
    return Statement(
        question,
        past,
        worse=wealth.begin(weights(question), reserve=wealth.RESERVE),
        better=wealth.begin([weight for _, weight in NEARNESS]),
    )


def step(statement: Statement, pair: Pair, *, needed: float) -> Statement:
    """One judged tick: bet with what the past knows, then learn from the tick."""
    question, past, worse, better, worse_bets, better_bets, base, ratio, total, recent = statement
    ceiling = question.lines.rollback.ratio == 0
    canary, stable = Count(pair[0], pair[1]), Count(pair[2], pair[3])
    if ceiling:  # looks at the canary alone
        stable = Count(max(1, stable.requests), stable.bad)
    if canary.requests and stable.requests:
        now = canary.requests / stable.requests
        lever = now if ceiling else 1 / now
        share = past.share(question.expected)
        fresh = 0.8 * base < share < 1.25 * base and 0.5 * ratio < now < 2 * ratio
        if not (fresh and worse_bets.fit(lever) and better_bets.fit(now)):
            base, ratio = share, now
            worse_bets, better_bets = place(question, base, ratio)
        estimated = past.phi
        phi, cap = dispersion.temper(estimated), needed / dispersion.ticks_to_decide(estimated)
        leader, follower = (canary, stable) if ceiling else (stable, canary)
        worse = wealth.play(worse, worse_bets, leader, follower, phi=phi, cap=cap)
        better = wealth.play(better, better_bets, canary, stable, phi=phi, cap=cap / 2)
    past = learn(past, pair, Pair(), judged=True)
    return Statement(
        question, past, worse, better, worse_bets, better_bets, base, ratio, total.plus(pair), recent.plus(pair)
    )


def restart(statement: Statement, number: int, *, step_changed: bool) -> Statement:
    """Look for a regression that begins now, too: the copy with this number."""
    recent = Pair() if step_changed else statement.recent
    return statement._replace(worse=wealth.restart(statement.worse, number), recent=recent)


def renew(statement: Statement) -> Statement:
    """Forget what speaks against a change that begins now."""
    return statement._replace(worse=wealth.renew(statement.worse, weights(statement.question)))


def weights(question: Question) -> list[float]:
    """How the alternatives of a bad canary are weighted: of a disaster one tick outweighs a small weight."""
    each = WEIGHTS if question.alternatives == len(WEIGHTS) else [1.0] * question.alternatives
    return [weight / sum(each) for weight in each]


def place(question: Question, base: float, ratio: float) -> tuple[Bets, Bets]:
    """Bets against both lines, for stable's share `base` and ticks with about `ratio` = n_C/n_S."""
    rollback, promote = question.lines.rollback, question.lines.promote
    worse = [halfplane.worse(rollback, share, base, ratio) for share in bad_shares(question, base)]
    better = [halfplane.better(promote, share, base, ratio) for share in good_shares(promote, base)]
    return wealth.place(worse, 1 / ratio if rollback.ratio else ratio), wealth.place(better, ratio)


def bad_shares(question: Question, base: float) -> tuple[float, ...]:
    """Shares of bad requests that a bad canary may have where stable's is `base`: all above the line.

    Their distances from the line are geometric, from what is just worth finding to a disaster.
    """
    border = min(_MOST, question.lines.rollback.at(base))
    least, most = min(0.3 * border, 0.05), 0.4
    factor = (most / least) ** (1 / (question.alternatives - 1))
    return tuple([min(border + least * factor**number, 0.95) for number in range(question.alternatives)])


def good_shares(line: Line, base: float) -> tuple[float, ...]:
    """Shares of bad requests that a good canary may have where stable's is `base`: all below the line."""
    border = line.at(base)
    if line.ratio == 0:
        start = min(base, border / 2)
        return tuple([start + (border - start) * nearness for nearness, _ in NEARNESS])
    return tuple([base + (border - base) * nearness for nearness, _ in NEARNESS])


def needed_requests(statement: Statement, nats: float) -> int | None:
    """About how many more canary requests earn `nats` of promote evidence, if the canary is as good as stable."""
    if not statement.better_bets.each:
        return None
    placed, base, ratio = statement.better_bets.each[0], statement.base, statement.ratio
    mine = base * placed.hit + (1 - base) * placed.miss
    theirs = base * log1p(placed.rise * ratio) + (1 - base) * log1p(-placed.fall * ratio)
    each = (mine + theirs / ratio) / dispersion.temper(statement.past.phi)
    return max(1, round(nats / each)) if each > 0 else None
