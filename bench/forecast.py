"""How much longer the judge takes to find an equal canary good than the bound: `python -m bench.forecast`.

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
    """Seconds that a judge needs with ln(1/beta) nats against the promote lines: of errors, and of each judged edge."""
    carried = [information(ERROR_LINES.promote, scenario.canary_errors, scenario.stable_errors, scenario.weight)]
    slow = {edge: slower(scenario, edge)[0] for edge in BUCKETS[scenario.buckets]}
    habits = Habits(scenario.rps, scenario.stable_errors, slow)
    edges = judged_edges(habits) if len(plan.metrics) > 1 else ()
    carried += [information(SLOW_LINES.promote, slow[edge], slow[edge], scenario.weight) for edge in edges]
    return math.log(plan.promote_needed) / (min(carried) * scenario.rps)


def good_after(scenario: Scenario, plan: Plan, seed: int) -> int:
    """Seconds until the canary was found good, LONGEST where it was not."""
    world = World(scenario, seed, latencies=len(plan.metrics) > 1)
    judge = Ours(world.history(60), plan=plan)
    while world.now < LONGEST:
        if judge.see(world.tick(scenario.weight)) == "good":
            return world.now
    return LONGEST


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    print("| equal canary | metrics | bound s | median s | ratio |\n|---|---|---|---|---|")
    for metrics in ((ErrorRate(),), (ErrorRate(), Latency())):
        plan = Plan(warmup=timedelta(0), metrics=metrics)
        for scenario in SCENARIOS:
            median = statistics.median([good_after(scenario, plan, seed) for seed in range(runs)])
            least = bound(scenario, plan)
            print(f"| {scenario.name} | {len(metrics)} | {least:.0f} | {median:.0f} | {median / least:.2f} |")


if __name__ == "__main__":
    main()
