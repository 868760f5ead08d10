"""What every signal is judged by, and the small sums that several of them share."""

from collections.abc import Iterable
from math import exp, log
from typing import NamedTuple

from analysis.judges.wealth import Wealth
from analysis.spec import Bar
from analysis.verdict import Verdict

_MOST = 1e290


class Terms(NamedTuple):
    """How much evidence a signal needs, and how many samples a good verdict."""

    needed: float
    bar: Bar

    @property
    def nats(self) -> float:
        """The evidence that is needed as a logarithm, with what the mixture of alternatives costs."""
        return log(self.needed) + 3


def reached(*, bad: bool, counted: object, good: bool) -> Verdict:
    """What a signal comes to: bad outweighs all, without anything counted there is no data."""
    if bad:
        return Verdict.BAD
    if not counted:
        return Verdict.NO_DATA
    return Verdict.GOOD if good else Verdict.INCONCLUSIVE


def paid(wealth: Wealth, gains: Iterable[float], *, phi: float, cap: float) -> Wealth:
    """One tick: the wealth of each alternative times min(s^(1/φ), e^cap), given ln s of each."""
    parts = [min(old * exp(min(gain / phi, cap)), _MOST) for old, gain in zip(wealth.parts, gains, strict=True)]
    return Wealth(tuple(parts), wealth.reserve)
