"""shadowAgreement: does the canary answer copies otherwise than stable, more often than stable differs from itself?

Of each compared copy two things are known: whether the canary's answer differs from stable's (D_C, 0 or 1), and whether
two answers of stable differ from each other (D_S). Both have stable's first answer in common, so they are no two arms
of independent requests. Copy by copy a bet pays

    s = 1 + λ·(D_C - R·D_S - d),   0 ≤ λ < 1/(R + d),

and E[s] = 1 + λ·(θ_C - R·θ_S - d) ≤ 1 wherever θ_C ≤ R·θ_S + d, however the two hang together. ∎ No other bet is
better: by the duality of linear programs every payment with E[s] ≤ 1 for all such joint distributions is at most one of
these. With R = 1 and d = 0 it is the exact test of McNemar: only copies count of which one of the two differs. Against
the promote line the bracket is turned: s = 1 + μ·(R·D_S + d - D_C), 0 ≤ μ < 1/(1 - d). A ceiling is the line R = 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import log1p
from typing import NamedTuple

from analysis.checks import ShadowAgreement
from analysis.judges import dispersion, sentences, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.question import Question, bad_shares
from analysis.judges.view import View
from analysis.judges.wealth import Wealth
from analysis.samples import ArmTick, Pair
from analysis.signals.terms import Terms, Weighed, because, found, paid
from analysis.spec import Line, Lines, ceiling
from analysis.verdict import Finding

LINES = Lines(rollback=Line(1.25, 0.01), promote=Line(1.5, 0.03))
_STAKES = (0.04, 0.08, 0.15, 0.25, 0.4, 0.55, 0.75, 0.95)
"""Of the most that may be staked, that the canary differs too often."""
_SAFE = ((0.1, 0.1), (0.25, 0.15), (0.5, 0.25), (0.95, 0.5))
"""The same that it does not, with weights: where nothing differs the largest wins most."""
_QUIET = Dispersion()
_NONE = Pair()


class Table(NamedTuple):
    """Copies by what differed: both pairs of answers, the canary's alone, stable's alone, and none."""

    both: int = 0
    canary: int = 0
    stable: int = 0
    neither: int = 0

    @property
    def pair(self) -> Pair:
        """The shares of the two pairs of answers."""
        total = sum(self)
        return Pair(total, self.both + self.canary, total, self.both + self.stable)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The state of the check."""

    metric: ShadowAgreement
    worse: Wealth
    better: Wealth
    noise: Dispersion = _QUIET
    total: Pair = _NONE

    @property
    def lines(self) -> Lines:
        """What the canary's pairs are held against."""
        most = self.metric.max
        return LINES if most is None else ceiling(most)

    @property
    def evidence(self) -> float:
        """That the canary differs too often, how many to one."""
        return self.worse.evidence

    @property
    def phi(self) -> float:
        """How much noisier than chance."""
        return float(dispersion.estimate(_QUIET, self.noise))

    def step(self, view: View, terms: Terms) -> "Agreement":
        """One tick. Pairs are counted by who asks, the canary's orchestrators."""
        table = counted(self.metric, view.canary)
        noise = self.noise
        if table.canary or table.stable:
            noise = dispersion.observed(noise, Pair(sum(table), table.canary, sum(table), table.stable))
        if not view.judged or not any(table):
            return replace(self, noise=noise)
        phi, lines = self.phi, self.lines
        return Agreement(
            self.metric,
            paid(self.worse, gains(stakes(lines.rollback), lines.rollback, table), phi=phi, nats=terms.nats),
            paid(self.better, gains(safe_stakes(lines.promote), lines.promote, table), phi=phi, nats=terms.nats / 2),
            noise,
            self.total.plus(table.pair),
        )

    def restart(self, number: int) -> "Agreement":
        """Look for a difference that begins now, too."""
        return replace(self, worse=wealth.restart(self.worse, number))

    def finding(self, terms: Terms, *, bad: bool) -> Finding:
        """What the check says."""
        alone = self.metric.max is not None
        pair = Pair(*self.total[:2]) if alone else self.total
        said = found(self.metric.name, Weighed(pair, self.evidence, self.better.evidence, self.phi), terms, bad=bad)
        return replace(said, message=_sentence(self, said, terms))


def begin(metric: ShadowAgreement) -> Agreement:
    """The check before its first tick."""
    worse = wealth.begin([1 / len(_STAKES)] * len(_STAKES), reserve=wealth.RESERVE)
    return Agreement(metric, worse, wealth.begin([weight for _, weight in _SAFE]))


def counted(metric: ShadowAgreement, canary: ArmTick) -> Table:
    """The copies of one tick; a ceiling looks at the canary's pairs alone, and takes those without stable's, too."""
    if metric.max is not None:
        differ, agree = (canary.counted("compare", f"canary/{result}") for result in ("disagree", "agree"))
        return Table(canary=differ, neither=agree)
    return Table(*[canary.counted("compare", f"both/{result}") for result in ("disagree", "canary", "stable", "agree")])


def stakes(line: Line) -> list[float]:
    """λ of each alternative. Against a ceiling they are those that an alternative share calls for."""
    if line.ratio == 0:
        shares = bad_shares(Question(Lines(line, line), line.offset), 0.0)
        return [(share - line.offset) / (line.offset * (1 - line.offset)) for share in shares]
    return [part / (line.ratio + line.offset) for part in _STAKES]


def safe_stakes(line: Line) -> list[float]:
    """-μ of each alternative."""
    return [-part / (1 - line.offset) for part, _ in _SAFE]


def gains(staked: Iterable[float], line: Line, table: Table) -> list[float]:
    """ln s of one tick, for each stake."""
    ratio, offset = line.ratio, line.offset
    told = (1 - ratio - offset, 1 - offset, -ratio - offset, -offset)
    return [
        sum([count * log1p(stake * value) for count, value in zip(table, told, strict=True) if count])
        for stake in staked
    ]


def _sentence(state: Agreement, said: Finding, terms: Terms) -> str:
    if said.canary is None:
        return "answers that differ from stable's: no copy was compared"
    most = state.metric.max
    against = f"at most {sentences.share(most)}" if most is not None else ""
    if said.stable is not None:
        against = f"{sentences.share(said.stable)} between two of its own"
    text = f"answers that differ from stable's: {sentences.share(said.canary)} against {against}"
    return f"{text}, {said.canary_requests:,} pairs, {because(said, terms)}"
