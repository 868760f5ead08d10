"""How much longer the judge takes than its strongest alternative alone would: `python -m bench.forecast`.

To find an equal canary promising and good, and a worse one bad; and the same of the typed checks. The figures behind
CATCH_OVERHEAD and PROMOTE_OVERHEAD of analysis/forecast.py, and OVERHEAD of analysis/outlook.py.
"""

import argparse
import math
import statistics
from datetime import timedelta

from analysis.checks import Check, ClientErrorRate, OutlierRate, PredictionDrift, Reward, ShadowAgreement, TrafficSplit
from analysis.forecast import PROMOTE_OVERHEAD, compared_by, forecast, judged_edges
from analysis.information import Worse, counted_until
from analysis.outlook import told
from analysis.spec import ErrorRate, Latency, Plan
from analysis.usual import Answers, Counted, Habits
from analysis.verdict import Verdict
from bench.checked import Case, plan, said_after
from bench.contenders import Ours
from bench.scenarios import FIXED
from bench.traces import BUCKETS, Scenario, World, slower

EQUAL = (
    Scenario(name="1 %, 20 rps, 5 %", rps=20, stable_errors=0.01, canary_errors=0.01),
    Scenario(name="1 %, 20 rps, 10 %", rps=20, stable_errors=0.01, canary_errors=0.01, weight=0.1),
    Scenario(name="0.1 %, 20 rps, 5 %", rps=20),
    Scenario(name="5 %, 20 rps, 5 %", rps=20, stable_errors=0.05, canary_errors=0.05),
    Scenario(name="0.1 %, 4 rps, 50 %", rps=4, weight=0.5),
    Scenario(name="1 %, 100 rps, 5 %", stable_errors=0.01, canary_errors=0.01),
)
WORSE = (
    *[
        each
        for each in FIXED
        if each.bad and each.noise == 1 and not (each.onset or each.faults) and each.rps * each.weight > 1
    ],
    Scenario(name="5 to 6.5 %, 1000 rps, 10 %", rps=1000, stable_errors=0.05, canary_errors=0.065, weight=0.1),
    Scenario(name="5 to 6 %, 1000 rps, 10 %", rps=1000, stable_errors=0.05, canary_errors=0.06, weight=0.1),
    Scenario(name="1 to 1.5 %, 100 rps, 10 %", stable_errors=0.01, canary_errors=0.015, weight=0.1),
    Scenario(name="2 to 10 %, 20 rps, 10 %", rps=20, stable_errors=0.02, canary_errors=0.1, weight=0.1),
)
LONGEST = 3600


def _few(number: int) -> dict[str, float]:
    """Classes of which each is half as frequent as the one before."""
    weights = [2.0**-each for each in range(number)]
    return {f"class-{each}": weight / sum(weights) for each, weight in enumerate(weights)}


def _counted(check: Check, rate: float, share: float, weight: float, **more: float) -> Case:
    habits = Habits(rate, 0.0, {}, {check.name: Counted(rate, share)})
    name = f"{check.name}: {100 * share:g} %, {rate:g} a second, {100 * weight:g} %"
    return Case(name + "".join([f", {key} {value:g}" for key, value in more.items()]), check, habits, weight, **more)


def _answered(number: int, rate: float, weight: float) -> Case:
    name = f"predictionDrift: {number} classes, {rate:g} a second, {100 * weight:g} %"
    return Case(name, PredictionDrift(), Habits(rate, 0.0, {}, answers=Answers(rate, _few(number))), weight)


CASES = (
    *[
        _counted(ClientErrorRate(), *each)
        for each in ((20, 0.02, 0.05), (20, 0.02, 0.5), (5, 0.2, 0.1), (50, 0.002, 0.1))
    ],
    _counted(ClientErrorRate(max=0.05), 20, 0.02, 0.1),
    *[_counted(OutlierRate(), *each) for each in ((20, 0.01, 0.1), (20, 0.05, 0.5), (5, 0.1, 0.25))],
    *[_counted(Reward(), *each) for each in ((20, 0.1, 0.1), (20, 0.3, 0.5), (5, 0.05, 0.25))],
    _counted(Reward(), 20, 0.3, 0.25, spread=0.3),
    *[_counted(ShadowAgreement(), 2, floor, 0.5) for floor in (0.0, 0.01, 0.05, 0.09)],
    _counted(ShadowAgreement(max=0.1), 2, 0.01, 0.5),
    *[
        Case(f"traffic: {rate:g} a second, {100 * weight:g} %", TrafficSplit(), Habits(rate, 0.0, {}), weight)
        for rate, weight in ((5, 0.05), (20, 0.05), (1, 0.5), (5, 0.25))
    ],
    *[_answered(*each) for each in ((2, 5, 0.1), (3, 5, 0.5), (10, 5, 0.1), (10, 20, 0.5), (30, 20, 0.1))],
)


def usual(scenario: Scenario) -> Habits:
    """What is usual in a scenario."""
    return Habits(
        scenario.rps,
        scenario.stable_errors,
        {edge: slower(scenario, edge)[1] for edge in BUCKETS[scenario.buckets]},
    )


def alone(scenario: Scenario, asked: Plan) -> float:
    """Seconds until the strongest alternative alone finds the canary worse."""
    habits, found = usual(scenario), [math.inf]
    for metric in asked.compared:
        edges = judged_edges(habits)
        question, weight = compared_by(asked, metric, len(edges))
        pairs = [(scenario.canary_errors, scenario.stable_errors)]
        pairs = pairs if isinstance(metric, ErrorRate) else [slower(scenario, edge) for edge in edges]
        stakes = [Worse(question, pair[1], scenario.weight, weight=weight).of(pair[0]) for pair in pairs]
        found += [counted_until(each, asked.needed) for each in stakes]
    return min(found) / scenario.rps


def found_after(scenario: Scenario, asked: Plan, seed: int) -> tuple[int, int, int]:
    """Seconds until the canary was promising, good, and bad; LONGEST where it was not."""
    world = World(scenario, seed, latencies=len(asked.metrics) > 1)
    judge, promising, good = Ours(world.history(60), plan=asked), LONGEST, LONGEST
    while world.now < LONGEST:
        said = judge.see(world.tick(scenario.weight))
        promising = min(promising, world.now) if judge.promising else promising
        if said == "bad":
            return promising, good, world.now
        good = min(good, world.now) if said == "good" else good
        if not scenario.bad and good < LONGEST:
            break
    return promising, good, LONGEST


def checks(runs: int) -> None:
    """Print the table of the typed checks."""
    print("| check | what | asked | alone s | median s | ratio |\n|---|---|---|---|---|---|")
    for case in CASES:
        asked = plan(case)
        seen = told(case.metric, case.habits, asked, case.weight)
        rows = [(one.words, one.canary, Verdict.BAD, asked.needed, [one.stakes]) for one in seen.changes]
        if seen.equal:
            equal = case.habits.counted[case.metric.name].share
            rows.append(("equal", equal, Verdict.GOOD, asked.promote_needed, list(seen.equal)))
        for words, canary, wanted, needed, stakes in rows:
            least = max([counted_until(each, needed) for each in stakes]) / seen.rate
            if math.isinf(least):
                continue  # it passes the check
            median = statistics.median([said_after(case, canary, wanted, seed) for seed in range(runs)])
            _row(f"{case.name} | {words} | {needed:.3g}:1", least, median)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--checks", action="store_true", help="the typed checks alone")
    asked = parser.parse_args()
    if not asked.checks:
        judge(asked.runs)
    checks(asked.runs)


def judge(runs: int) -> None:
    """Print the table of failed requests and latency."""
    print("| canary | metrics | asked | alone s | median s | ratio |\n|---|---|---|---|---|---|")
    for metrics in ((ErrorRate(),), (ErrorRate(), Latency())):
        asked = Plan(warmup=timedelta(0), metrics=metrics)
        for scenario in EQUAL:
            times = zip(*[found_after(scenario, asked, seed) for seed in range(runs)], strict=True)
            told_ahead = forecast(usual(scenario), asked, scenario.weight)
            expected = ((asked.step_needed, told_ahead.step), (asked.promote_needed, told_ahead.promote))
            for (needed, after), found in zip(expected, times, strict=False):
                about = f"equal: {scenario.name} | {len(metrics)} | {needed:.3g}:1"
                _row(about, after / PROMOTE_OVERHEAD, statistics.median(found))
        for scenario in WORSE:
            if scenario.latency and len(metrics) == 1:
                continue
            bad = statistics.median([found_after(scenario, asked, seed)[2] for seed in range(runs)])
            _row(f"{scenario.name} | {len(metrics)} | {asked.needed:.3g}:1", alone(scenario, asked), bad)


def _row(about: str, least: float, median: float) -> None:
    print(f"| {about} | {least:.0f} | {median:.0f} | {median / least:.2f} |", flush=True)


if __name__ == "__main__":
    main()
