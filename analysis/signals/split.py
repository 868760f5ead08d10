"""traffic: do the requests arrive as the weight says? Evidence that the routing is not as configured.

With the weight w each of a tick's N requests goes to the canary with a probability θ. The null is a band: the odds of
θ lie within a factor `tolerance` of w's, so θ in [low, high]. An alternative a above `high` is a bet against `high`,

    ln s = n_C ln(a/high) + n_S ln((1-a)/(1-high)),

and one below `low` a bet against `low`. E[s] = (1 + (θ-high)(a-high)/(high(1-high)))^N ≤ 1 for every θ ≤ high, since
the bracket is at most 1; below likewise. Alternatives are factors of the odds, so they mean the same at every weight.
Ticks near a change of the weight are left out: the mesh takes some time, and a scrape is older than its tick.
"""

from dataclasses import dataclass, replace
from math import log

from analysis.checks import TrafficSplit
from analysis.judges import dispersion, sentences, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.view import View
from analysis.judges.wealth import Wealth
from analysis.samples import Pair
from analysis.signals.terms import Terms, paid
from analysis.spec import DOUBT
from analysis.verdict import Finding, Verdict

GRACE = 30
"""Seconds after a change of the weight that are not judged."""
_FACTORS = (1.25, 1.7, 3.0, 10.0)
_QUIET = Dispersion()
_NOTHING = wealth.begin([1 / (2 * len(_FACTORS))] * (2 * len(_FACTORS)), reserve=wealth.RESERVE)


@dataclass(frozen=True, slots=True)
class Split:
    """The state of the check."""

    metric: TrafficSplit
    wealth: Wealth = _NOTHING
    noise: Dispersion = _QUIET
    share: float | None = None
    """The weight, 0..1, of the last judged tick."""
    canary: int = 0
    requests: int = 0
    """Since the weight last changed."""
    judged: int = 0

    @property
    def evidence(self) -> float:
        """That the routing is not as configured, how many to one."""
        return self.wealth.evidence

    def step(self, view: View, terms: Terms) -> "Split":
        """One tick."""
        share = view.share
        canary, stable = _arrived(view)
        if not view.judged or share is None or not 0 < share < 1 or not canary + stable:
            return replace(self, noise=self.noise._replace(last=Pair()))
        same = share == self.share
        noise = self.noise if same else self.noise._replace(last=Pair())
        phi = float(dispersion.estimate(_QUIET, noise))
        gains = [canary * hit + stable * miss for hit, miss in bets(share, self.metric.tolerance)]
        return Split(
            self.metric,
            paid(self.wealth, gains, phi=phi, nats=terms.nats),
            dispersion.observed(noise, Pair(1, canary, 1, stable)),
            share,
            canary + (self.canary if same else 0),
            canary + stable + (self.requests if same else 0),
            self.judged + canary + stable,
        )

    def restart(self, number: int) -> "Split":
        """Look for a fault that begins now, too."""
        return replace(self, wealth=wealth.restart(self.wealth, number))

    def finding(self, terms: Terms, *, bad: bool) -> Finding:
        """What the check says."""
        seen = self.canary / self.requests if self.requests else None
        evidence = self.wealth.evidence
        verdict = Verdict.INCONCLUSIVE
        if bad:
            verdict = Verdict.BAD
        elif self.share is not None and self.judged >= terms.bar.min_samples and evidence < DOUBT:
            verdict = Verdict.GOOD
        return Finding(
            metric=self.metric.name,
            verdict=verdict,
            message=_sentence(self, verdict, terms),
            canary=seen,
            stable=None if seen is None else 1 - seen,
            evidence=evidence,
            needed=terms.needed,
            promote_evidence=1.0 if verdict is Verdict.GOOD else 0.0,
            promote_needed=1.0,
            canary_requests=self.canary,
            stable_requests=self.requests - self.canary,
            phi=float(dispersion.estimate(_QUIET, self.noise)),
        )


def bets(share: float, tolerance: float) -> list[tuple[float, float]]:
    """(ln of a request to the canary, ln of one to stable) for each alternative, above the band and below it."""
    found = []
    for sign in (1, -1):
        border = with_odds(share, tolerance**sign)
        for factor in _FACTORS:
            there = with_odds(share, (tolerance * factor) ** sign)
            found.append((log(there / border), log((1 - there) / (1 - border))))
    return found


def _sentence(split: Split, verdict: Verdict, terms: Terms) -> str:
    if split.share is None or not split.requests:
        return "traffic: no requests yet at a weight that a share can be held against"
    shares = f"{sentences.share(split.canary / split.requests)} of requests against a weight of"
    text = f"traffic: the canary takes {shares} {sentences.share(split.share)}, {split.requests:,} requests"
    if verdict is Verdict.BAD:
        return f"{text}, {terms.against(split.wealth.evidence)}: the routing is not as configured"
    return f"{text}, as configured" if verdict is Verdict.GOOD else f"{text}, not enough to tell"


def _arrived(view: View) -> tuple[int, int]:
    """Requests of canary and stable, as the gateway counted them where it counts."""
    canary, stable = view.canary.gateway, view.stable.gateway
    if canary is None and stable is None:
        return view.canary.served.requests, view.stable.served.requests
    return (canary.requests if canary else 0), (stable.requests if stable else 0)


def with_odds(share: float, factor: float) -> float:
    """The share whose odds are `factor` times those of a share, 0..1."""
    odds = factor * share / (1 - share)
    return odds / (1 + odds)
