"""How much longer than the bound the judge takes to find an equal canary promising, and good: `-m bench.forecast`.

The figures behind PROMOTE_OVERHEAD of analysis/forecast.py.
"""

import argparse
import math
import statistics
from datetime import timedelta

from analysis.forecast import Habits, information, judged_edges
from analysis.spec import ERROR_LINES, SLOW_LINES, ErrorRate, Latency, Plan
from bench.contenders import Ours
from bench.traces import BUCKETS, Scenario, World, slower

SCENARIOS = (
    Scenario(name="1 %, 20 rps, 5 %", rps=20, stable_errors=0.01, canary_errors=0.01),
    Scenario(name="1 %, 20 rps, 10 %", rps=20, stable_errors=0.01, canary_errors=0.01, weight=0.1),
    Scenario(name="0.1 %, 20 rps, 5 %", rps=20),
    Scenario(name="5 %, 20 rps, 5 %", rps=20, stable_errors=0.05, canary_errors=0.05),
    Scenario(name="0.1 %, 4 rps, 50 %", rps=4, weight=0.5),
    Scenario(name="1 %, 100 rps, 5 %", stable_errors=0.01, canary_errors=0.01),
)
LONGEST = 3600


def bound(scenario: Scenario, plan: Plan) -> float:
    """Seconds that a judge needs for a nat against the promote lines: of errors, and of each judged edge."""
    carried = [information(ERROR_LINES.promote, scenario.canary_errors, scenario.stable_errors, scenario.weight)]
    slow = {edge: slower(scenario, edge)[0] for edge in BUCKETS[scenario.buckets]}
    habits = Habits(scenario.rps, scenario.stable_errors, slow)
    edges = judged_edges(habits) if len(plan.metrics) > 1 else ()
    carried += [information(SLOW_LINES.promote, slow[edge], slow[edge], scenario.weight) for edge in edges]
    return 1 / (min(carried) * scenario.rps)


def found_after(scenario: Scenario, plan: Plan, seed: int) -> tuple[int, int]:
    """Seconds until the canary was promising, and until it was found good; LONGEST where it was not."""
    world = World(scenario, seed, latencies=len(plan.metrics) > 1)
    judge, promising = Ours(world.history(60), plan=plan), LONGEST
    while world.now < LONGEST:
        good = judge.see(world.tick(scenario.weight)) == "good"
        if judge.promising:
            promising = min(promising, world.now)
        if good:
            return promising, world.now
    return promising, LONGEST


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    print("| equal canary | metrics | asked | bound s | median s | ratio |\n|---|---|---|---|---|---|")
    for metrics in ((ErrorRate(),), (ErrorRate(), Latency())):
        plan = Plan(warmup=timedelta(0), metrics=metrics)
        for scenario in SCENARIOS:
            times = zip(*[found_after(scenario, plan, seed) for seed in range(runs)], strict=True)
            for needed, found in zip((plan.step_needed, plan.promote_needed), times, strict=True):
                median, least = statistics.median(found), math.log(needed) * bound(scenario, plan)
                row = f"{scenario.name} | {len(metrics)} | {needed:.3g}:1 | {least:.0f} | {median:.0f}"
                print(f"| {row} | {median / least:.2f} |", flush=True)


if __name__ == "__main__":
    main()
