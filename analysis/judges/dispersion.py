"""How much noisier than chance the traffic is: φ, learned from the past, for tempering.

Take two neighbouring ticks, and of each the bad requests of both arms (or of two halves of stable's pods). Given the
row and column sums of this 2x2 table the first cell is hypergeometric if each request fails by itself, however
different the arms are, as long as n_C/n_S stays the same: its squared deviation X² has the expectation V, the
hypergeometric variance. So Σ w·X²/V / Σ w estimates φ without a bias from a real difference, a common incident or
the diurnal wave. The weight w = min(1, V) lets ticks with hardly any bad request count as little as they know.

Before the run two estimates are made of stable alone: between two halves of its pods, and from tick to tick of all of
it (which counts common incidents as noise and so errs upwards). The lower one shifts the prior.

Any φ ≥ 1 and any cap from the past keep a bet valid: E[min(s^(1/φ), e^cap)] ≤ E[s]^(1/φ) ≤ 1 (Jensen).

What was seen is six numbers: Σ w·X²/V, Σ w, and the tick that the next one is compared with (canary's requests and
bad ones, stable's). Functions take arrays whose first axis is these numbers, and whose second is statements.
"""

from typing import Any, NamedTuple

import numpy as np

from analysis.samples import Pair
from analysis.tables import Numbers

PRIOR = 1.5
"""φ before anything is known."""
PRIOR_WEIGHT = 6.0
"""How many ticks the prior is worth."""
CALM, RESTLESS = 1.25, 1.75
"""Below the first an estimate is not told from chance; above the second the noise is certain."""


class Dispersion(NamedTuple):
    """The six numbers of one estimate by itself."""

    excess: float = 0.0
    weight: float = 0.0
    last: Pair = Pair()


def observed(seen: Dispersion, pair: Pair) -> Dispersion:
    """Learn from one more tick."""
    numbers = np.array([[seen.excess], [seen.weight], *[[each] for each in seen.last]], dtype=np.float64)
    observe(numbers, np.array(pair, dtype=np.float64).reshape(-1, 1))
    return Dispersion(float(numbers[0, 0]), float(numbers[1, 0]), pair)


def observe(seen: Numbers, pair: Numbers) -> None:
    """Learn from one more tick, in place. `pair` is (canary's requests and bad ones, stable's) by statement."""
    last = seen[2:].copy()
    seen[2:] = pair
    canary, stable, here = pair[1] + last[1], pair[3] + last[3], pair[1] + pair[3]
    cross, across = pair[0] * last[2], last[0] * pair[2]
    total = canary + stable
    telling = (canary > 0) & (stable > 0) & (here > 0) & (here != total) & (total > 1)
    telling &= (0.75 * across < cross) & (cross < across / 0.75)
    at = telling.nonzero()[0]
    if not at.size:
        return
    canary, stable, here, total, cross, across = (each[at] for each in (canary, stable, here, total, cross, across))
    variance = here * (total - here) * canary * stable / (total * total * (total - 1))
    # The same share is expected in both ticks; a slightly different n_C/n_S moves the expectation.
    odds = (cross / across) ** (stable / total)
    expected = canary * here * odds / (here * odds + total - here)
    weight = np.minimum(1.0, variance)
    deviation = pair[1][at] - expected
    seen[0][at] += weight * deviation * deviation / variance
    seen[1][at] += weight


def observe_time(seen: Numbers, pair: Numbers) -> None:
    """Learn from stable alone, from tick to tick, in place.

    Of the bad requests of two neighbouring ticks each falls into this one with the probability n/(n + n before).
    """
    last = seen[2:].copy()
    seen[2:] = pair
    total, requests = pair[3] + last[3], pair[2] + last[2]
    at = ((total > 0) & (pair[2] > 0) & (last[2] > 0)).nonzero()[0]
    if not at.size:
        return
    total, part = total[at], pair[2][at] / requests[at]
    variance = total * part * (1 - part)
    weight = np.minimum(1.0, variance)
    deviation = pair[3][at] - total * part
    seen[0][at] += weight * deviation * deviation / variance
    seen[1][at] += weight


def estimate(history: Any, run: Any) -> Any:
    """φ from the past, at least 1; of both only Σ w·X²/V and Σ w count. History shifts the prior, the run overrules."""
    prior = (PRIOR_WEIGHT * PRIOR + history[0]) / (PRIOR_WEIGHT + history[1])
    mean = (PRIOR_WEIGHT * prior + run[0]) / (PRIOR_WEIGHT + run[1])
    return np.maximum(1.0, mean) * (1 + 1 / np.sqrt(PRIOR_WEIGHT + history[1] + run[1]))


def temper(estimated: Any) -> Any:
    """The φ to temper with: none below CALM, all from 1.5 on, and in between on the straight line that joins them."""
    between = np.maximum(1.0, 2 * estimated - (2 * CALM - 1))
    return np.where(estimated >= 2 * CALM - 1, estimated, between)


def ticks_to_decide(estimated: Any) -> Any:
    """How many ticks of overwhelming evidence a verdict takes at least: 2 in calm traffic, 5 in restless."""
    return 2 + 3 * np.minimum(1.0, np.maximum(0.0, (estimated - CALM) / (RESTLESS - CALM)))
