"""What every signal is judged by, and the small sums that several of them share."""

from collections.abc import Iterable
from math import exp, log
from typing import NamedTuple

from analysis.judges import dispersion, sentences
from analysis.judges.wealth import Wealth
from analysis.samples import Count, Pair
from analysis.spec import Bar
from analysis.verdict import Finding, Verdict

_MOST = 1e290


class Terms(NamedTuple):
    """How much evidence a signal needs, and how many samples a good verdict."""

    needed: float
    bar: Bar

    @property
    def nats(self) -> float:
        """The evidence that is needed as a logarithm, with what the mixture of alternatives costs."""
        return log(self.needed) + 3

    def against(self, evidence: float) -> str:
        """How much speaks against the canary, and what has to."""
        return f"evidence {sentences.odds(evidence)} (needs {sentences.odds(self.needed)})"


class Weighed(NamedTuple):
    """What a check has that holds two shares against each other."""

    pair: Pair
    """All that was judged."""
    worse: float
    """Evidence that the shares are not as they should be, how many to one."""
    better: float
    """Evidence that they are."""
    phi: float


def found(metric: str, weighed: Weighed, terms: Terms, *, bad: bool) -> Finding:
    """What such a check says, still without its sentence: `canary` and `stable` are the two shares."""
    pair = weighed.pair
    promising, good = terms.bar.cleared(pair.canary_requests, better=weighed.better, worse=weighed.worse)
    verdict = Verdict.GOOD if good else Verdict.INCONCLUSIVE if pair.canary_requests else Verdict.NO_DATA
    return Finding(
        metric=metric,
        verdict=Verdict.BAD if bad else verdict,
        message="",
        canary=Count(pair.canary_requests, pair.canary_bad).share,
        stable=Count(pair.stable_requests, pair.stable_bad).share,
        evidence=weighed.worse,
        needed=terms.needed,
        promote_evidence=weighed.better,
        promote_needed=terms.bar.promote_needed,
        step_needed=terms.bar.step_needed,
        promising=promising,
        canary_requests=pair.canary_requests,
        stable_requests=pair.stable_requests,
        phi=weighed.phi,
    )


def because(finding: Finding, terms: Terms) -> str:
    """How a sentence ends: the evidence behind a finding, and what is needed."""
    if finding.verdict is Verdict.BAD:
        return terms.against(finding.evidence)
    return sentences.good_enough(finding.promote_evidence, good=finding.verdict is Verdict.GOOD, bar=terms.bar)


def paid(wealth: Wealth, gains: Iterable[float], *, phi: float, nats: float) -> Wealth:
    """One tick: the wealth of each alternative times min(s^(1/φ), e^cap), given ln s of each and how noisy it is.

    `nats` is the evidence that is needed: the cap lets no single tick decide.
    """
    temper, cap = float(dispersion.temper(phi)), nats / float(dispersion.ticks_to_decide(phi))
    parts = [min(old * exp(min(gain / temper, cap)), _MOST) for old, gain in zip(wealth.parts, gains, strict=True)]
    return Wealth(tuple(parts), wealth.reserve)
