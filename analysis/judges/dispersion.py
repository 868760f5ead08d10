"""How much noisier than chance the traffic is: φ, learned from the past, for tempering.

Take two neighbouring ticks, and of each the bad requests of both arms (or of two halves of stable's pods). Given the
row and column sums of this 2x2 table the first cell is hypergeometric if each request fails by itself, however
different the arms are, as long as n_C/n_S stays the same: its squared deviation X² has the expectation V, the
hypergeometric variance. So Σ w·X²/V / Σ w estimates φ without a bias from a real difference, a common incident or
the diurnal wave. The weight w = min(1, V) lets ticks with hardly any bad request count as little as they know.

Before the run two estimates are made of stable alone: between two halves of its pods, and from tick to tick of all of
it (which counts common incidents as noise and so errs upwards). The lower one shifts the prior.

Any φ ≥ 1 and any cap from the past keep a bet valid: E[min(s^(1/φ), e^cap)] ≤ E[s]^(1/φ) ≤ 1 (Jensen).
"""

from collections.abc import Iterable
from math import sqrt
from typing import NamedTuple

from analysis.samples import Pair

PRIOR = 1.5
"""φ before anything is known."""
PRIOR_WEIGHT = 6.0
"""How many ticks the prior is worth."""
CALM, RESTLESS = 1.25, 1.75
"""Below the first an estimate is not told from chance; above the second the noise is certain."""


class Dispersion(NamedTuple):
    """The sums behind one estimate of φ, and the tick that the next one is compared with."""

    excess: float = 0.0
    weight: float = 0.0
    last: Pair = Pair()


def observe(seen: Dispersion, pair: Pair) -> Dispersion:
    """Learn from one more tick."""
    last = seen.last
    canary, stable = pair.canary_bad + last.canary_bad, pair.stable_bad + last.stable_bad
    total = canary + stable
    here = pair.canary_bad + pair.stable_bad
    if not (canary and stable and here and here != total):
        return Dispersion(seen.excess, seen.weight, pair)
    cross = pair.canary_requests * last.stable_requests
    across = last.canary_requests * pair.stable_requests
    if not (0.75 * across < cross < across / 0.75):
        return Dispersion(seen.excess, seen.weight, pair)
    variance = here * (total - here) * canary * stable / (total * total * (total - 1))
    # The same share is expected in both ticks; a slightly different n_C/n_S moves the expectation.
    odds = (cross / across) ** (stable / total)
    expected = canary * here * odds / (here * odds + total - here)
    weight = min(1.0, variance)
    deviation = pair.canary_bad - expected
    return Dispersion(seen.excess + weight * deviation * deviation / variance, seen.weight + weight, pair)


def observe_time(seen: Dispersion, pair: Pair) -> Dispersion:
    """Learn from stable alone, from tick to tick.

    Of the bad requests of two neighbouring ticks each falls into this one with the probability n/(n + n before).
    """
    last = seen.last
    total, requests = pair.stable_bad + last.stable_bad, pair.stable_requests + last.stable_requests
    if not (total and pair.stable_requests and last.stable_requests):
        return Dispersion(seen.excess, seen.weight, pair)
    part = pair.stable_requests / requests
    variance = total * part * (1 - part)
    weight = min(1.0, variance)
    deviation = pair.stable_bad - total * part
    return Dispersion(seen.excess + weight * deviation * deviation / variance, seen.weight + weight, pair)


def estimate(history: Iterable[Dispersion], run: Dispersion) -> float:
    """φ from the past, at least 1. The history's lower estimate shifts the prior, the run overrules it."""
    return min([_estimate(one, run) for one in history])


def _estimate(history: Dispersion, run: Dispersion) -> float:
    prior = (PRIOR_WEIGHT * PRIOR + history.excess) / (PRIOR_WEIGHT + history.weight)
    mean = (PRIOR_WEIGHT * prior + run.excess) / (PRIOR_WEIGHT + run.weight)
    return max(1.0, mean) * (1 + 1 / sqrt(PRIOR_WEIGHT + history.weight + run.weight))


def temper(estimated: float) -> float:
    """The φ to temper with: none below CALM, all from 1.5 on, and in between on the straight line that joins them."""
    if estimated >= 2 * CALM - 1:
        return estimated
    return max(1.0, 2 * estimated - (2 * CALM - 1))


def ticks_to_decide(estimated: float) -> float:
    """How many ticks of overwhelming evidence a verdict takes at least: 2 in calm traffic, 5 in restless."""
    return 2 + 3 * min(1.0, max(0.0, (estimated - CALM) / (RESTLESS - CALM)))
