"""One question about one kind of bad request, and where to bet on its answers."""

from typing import NamedTuple

from analysis.judges import halfplane, wealth
from analysis.judges.wealth import Bets
from analysis.spec import Line, Lines

NEARNESS = ((0.0, 0.8), (0.35, 0.2))
"""Alternatives for a good canary, with weights: as good as stable, or a part of the way to the promote line."""
WEIGHTS = (10, 20, 36, 16, 8, 5, 3, 2)
"""Of eight shares that a bad canary may have, the smallest first. They sum to 1 whatever they are, so they cost no
validity; the third, some three times the line, is where rare errors become worth a rollback.
"""
MOST = 0.98
"""No share is thought to be higher."""


class Question(NamedTuple):
    """What is asked: which lines, and the share of bad requests to expect while nothing is known."""

    lines: Lines
    expected: float
    alternatives: int = 8
    """How many shares a bad canary may have."""

    @property
    def ceiling(self) -> bool:
        """Whether it looks at the canary alone."""
        return self.lines.rollback.ratio == 0


def weights(alternatives: int) -> list[float]:
    """How the alternatives of a bad canary are weighted: of a disaster one tick outweighs a small weight."""
    each = WEIGHTS if alternatives == len(WEIGHTS) else [1.0] * alternatives
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
    border = min(MOST, question.lines.rollback.at(base))
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
