"""What pairing gains: answers to copies judged copy by copy, against two shares that are taken for independent.

`python -m bench.agreement` prints, for a stable that differs from itself so often, and a canary that answers otherwise
for some more requests, how many copies 100:1 takes on average: at the least with independent shares, at the least with
pairs, and with the check as it is (median of 60 seeded runs, ten copies a tick).
"""

import random
import statistics
from collections.abc import Sequence
from math import log, sqrt

from analysis.checks import ShadowAgreement
from analysis.judges import halfplane
from analysis.judges.view import View
from analysis.samples import ArmTick, Pair
from analysis.signals import agreement
from analysis.signals.agreement import LINES
from analysis.signals.terms import Terms
from analysis.spec import Bar

RUNS, MOST, A_TICK = 60, 40_000, 10
NAMES = ("disagree", "canary", "stable", "agree")
TERMS = Terms(100, Bar(20, 6, 100))


def joint(floor: float, extra: float) -> list[float]:
    """The chances of a copy: both pairs differ, the canary's alone, stable's alone, none.

    Two classes; stable answers the rarer one so often that two of its answers differ with the probability `floor`. The
    canary does the same, but for a part of the requests, which it answers the other way round.
    """
    rare = (1 - sqrt(1 - 2 * floor)) / 2
    found = [0.0] * 4
    for weight, canary in ((1 - extra, rare), (extra, 1 - rare)):
        for bits in range(8):
            first, second, ours = bits & 1, bits >> 1 & 1, bits >> 2
            chance = weight * (canary if ours else 1 - canary)
            chance *= (rare if first else 1 - rare) * (rare if second else 1 - rare)
            found[2 * (ours == first) + (first == second)] += chance
    return found


def independent(chances: Sequence[float]) -> float:
    """Nats of a copy, where the two shares were of independent requests."""
    line, canary, stable = LINES.rollback, chances[0] + chances[1], chances[0] + chances[2]
    near = halfplane.nearest(line, canary, stable, 1.0)
    if near is None:
        return 0.0
    return _divergence(canary, line.at(near)) + _divergence(stable, near)


def paired(chances: Sequence[float]) -> float:
    """Nats of a copy, with the best stake."""
    line = LINES.rollback
    most = 1 / (line.ratio + line.offset)
    worth = [agreement.gains([most * part / 1000], line, agreement.Table(*_scaled(chances)))[0] for part in range(999)]
    return max(worth) / 1e9


def needed(chances: Sequence[float], seed: int) -> int:
    """Copies until the check is bad."""
    dice, state = random.Random(seed), agreement.begin(ShadowAgreement())
    for copies in range(A_TICK, MOST, A_TICK):
        drawn = dice.choices(NAMES, chances, k=A_TICK)
        signals = {("compare", f"both/{name}"): float(drawn.count(name)) for name in NAMES}
        arms = {"stable": ArmTick(), "canary": ArmTick(signals=signals)}
        view = View(at=copies, seconds=10, judged=True, steps=0, copies=0, errors=Pair(), **arms)
        state = state.step(view, TERMS)
        if state.evidence >= TERMS.needed:
            return copies
    return MOST


def _scaled(chances: Sequence[float]) -> list[int]:
    return [round(1e9 * chance) for chance in chances]


def _divergence(one: float, other: float) -> float:
    other = max(other, 1e-12)
    return (one * log(one / other) if one else 0.0) + (1 - one) * log((1 - one) / (1 - other))


def main() -> None:
    """Print the table."""
    print("| stable differs from itself | the canary from stable | independent shares | pairs | the check, median |")
    print("|---|---|---|---|---|")
    for floor, extra in ((0.0, 0.05), (0.0, 0.14), (0.01, 0.05), (0.05, 0.05), (0.05, 0.14), (0.09, 0.14)):
        chances = joint(floor, extra)
        bounds = [f"{log(TERMS.needed) / nats:,.0f}" for nats in (independent(chances), paired(chances))]
        median = statistics.median(needed(chances, seed) for seed in range(RUNS))
        shares = f"{100 * (chances[0] + chances[2]):.3g} % | {100 * (chances[0] + chances[1]):.3g} %"
        print(f"| {shares} | {' | '.join(bounds)} | {median:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
