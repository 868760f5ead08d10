"""How often judges roll back good canaries, how soon they find bad ones, and what that costs: `make bench-judges`.

Every judge sees the same seeded traffic. Run `python -m bench.judges --help` for the choices; `--runs 200` gives the
figures of docs/judge.md.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from analysis.judges import halfplane
from analysis.samples import Tick
from analysis.spec import ERROR_LINES, SLOW_LINES, Line, Plan
from bench import contenders as c
from bench import goals, plots, progressive
from bench.scenarios import FIXED, PROGRESSIVE
from bench.traces import BUCKETS, TICK, Scenario, World, slower

MINUTES = 30


def peers(scenario: Scenario) -> dict[str, c.Contender]:
    """All judges beside ours, new for one run."""
    point = c.latency_point if scenario.latency else c.error_point
    found: dict[str, c.Contender] = {
        "Flagger docs": c.Windowed(c.both(c.success(0.99), c.p99_within(0.5)), interval=60, limit=4),
        "Flagger tuned": c.Windowed(tuned(scenario), interval=60, limit=4),
        "Flagger 2x": c.Windowed(c.relative(2.0, latency=bool(scenario.latency)), interval=60, limit=4),
        "Argo 95 %": c.Windowed(c.success(0.95), interval=300, limit=3),
        "Argo 99 %": c.Windowed(c.success(0.99), interval=60, limit=0),
        "Kayenta": c.Kayenta(point),
        "Kayenta once": c.Kayenta(point, every=MINUTES),
        "z-test": c.Peeking(),
        "mSPRT": c.MixtureSprt(spread=max(1e-4, scenario.stable_errors)),
        "DKW": c.Bands(latency=bool(scenario.latency)),
    }
    border = nearest(scenario, ERROR_LINES.rollback, scenario.canary_errors, scenario.stable_errors)
    if border is not None:
        found["oracle"] = c.Oracle(scenario.canary_errors, scenario.stable_errors, border)
    return found


def tuned(scenario: Scenario) -> Callable:
    """Flagger's thresholds by somebody who knows what is coming: half-way between good and bad."""
    stable, canary = scenario.stable_errors, scenario.canary_errors
    errors = c.success(1 - (stable + max(canary, 2 * stable)) / 2)
    if not scenario.latency:
        return errors
    edges = BUCKETS[scenario.buckets]
    slow, usual = (c.interpolated(0.99, [(edge, 1 - slower(scenario, edge)[arm]) for edge in edges]) for arm in (0, 1))
    return c.both(errors, c.p99_within((slow + usual) / 2))


def nearest(scenario: Scenario, line: Line, canary: float, stable: float) -> tuple[float, float] | None:
    """The point of the rollback line that is hardest to tell from the truth; None when the canary is not beyond it."""
    if canary <= line.at(stable):
        return None
    point = halfplane.nearest(line, canary, stable, scenario.weight / (1 - scenario.weight))
    return None if point is None else (line.at(point), point)


def bound(scenario: Scenario) -> float | None:
    """Seconds that any judge with alpha 1 % needs on average: ln 100 over the information of a second."""
    pairs = [(scenario.canary_errors, scenario.stable_errors, ERROR_LINES.rollback)]
    pairs += (
        [(*slower(scenario, edge), SLOW_LINES.rollback) for edge in BUCKETS[scenario.buckets]]
        if scenario.latency
        else []
    )
    best = 0.0
    for canary, stable, line in pairs:
        border = nearest(scenario, line, canary, stable)
        if border is not None:
            best = max(best, scenario.weight * _kl(canary, border[0]) + (1 - scenario.weight) * _kl(stable, border[1]))
    return math.log(100) / (best * scenario.rps) if best else None


def _kl(a: float, b: float) -> float:
    return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))


@dataclass
class Run:
    """One seeded run: who still waits, who said "bad" when, and what had been served and lost until then."""

    world: World
    waiting: dict[str, c.Contender]
    ours: bool = True
    """Our judge still waits; it sees all runs at once."""
    fired: dict[str, int] = field(default_factory=dict)
    cost: dict[str, tuple[int, float]] = field(default_factory=dict)
    good: int | None = None

    def see(self, tick: Tick, ours: str | None) -> None:
        """What the judges say of one more tick; `ours` has said it already."""
        if ours == "bad":
            self.ours = False
            self._ends("ours", fired=True)
        elif ours == "good" and self.good is None:
            self.good = self.world.now
        for name in [name for name, judge in self.waiting.items() if judge.see(tick) == "bad"]:
            del self.waiting[name]
            self._ends(name, fired=True)

    def end(self) -> None:
        """The half hour is over."""
        for name in (*(["ours"] if self.ours else []), *self.waiting):
            self._ends(name, fired=False)

    def _ends(self, name: str, *, fired: bool) -> None:
        if fired:
            self.fired[name] = self.world.now
        self.cost[name] = (self.world.canary_requests, self.world.excess)


def fixed(scenario: Scenario, runs: int, *, alone: bool = False) -> dict:
    """Thirty minutes at one weight: who says "bad", and when; our judge `alone`, or beside the peers."""
    played = [Run(World(scenario, seed), {} if alone else peers(scenario)) for seed in range(runs)]
    names = ["ours", *played[0].waiting]
    ours = c.Together([run.world.before() for run in played], warmup=60 if scenario.slow_start else 0)
    for _ in range(MINUTES * 60 // TICK):
        ticks = {
            number: run.world.tick(scenario.weight) for number, run in enumerate(played) if run.ours or run.waiting
        }
        said = ours.see({number: tick for number, tick in ticks.items() if played[number].ours})
        for number, tick in ticks.items():
            played[number].see(tick, said.get(number))
    for run in played:
        run.end()
    times = {name: [run.fired[name] for run in played if name in run.fired] for name in names}
    judges = {name: _summary(times[name], [run.cost[name] for run in played], runs) for name in names}
    good = [run.good for run in played if run.good is not None]
    judges["ours"]["good_percent"], judges["ours"]["good_median"] = 100 * len(good) / runs, _median(good)
    return {"scenario": scenario.name, "bad": scenario.bad, "runs": runs, "bound": bound(scenario), "judges": judges}


def _summary(times: list[int], cost: list[tuple[int, float]], runs: int) -> dict:
    low, high = interval(len(times), runs)
    return {
        "fired_percent": 100 * len(times) / runs,
        "fired_interval_99": [100 * low, 100 * high],
        "median": _median(times),
        "median_interval_95": _middle(times),
        "p90": sorted(times)[math.ceil(0.9 * len(times)) - 1] if times else None,
        "canary_requests": statistics.mean(requests for requests, _ in cost),
        "excess_errors": statistics.mean(excess for _, excess in cost),
        "excess_interval_95": _spread([excess for _, excess in cost]),
    }


def _middle(times: list[int]) -> list[int] | None:
    """The 95 % interval of a median, by the order of the values; None with fewer than six."""
    count, ordered = len(times), sorted(times)
    half = 0.98 * math.sqrt(count)
    low, high = math.floor(count / 2 - half), math.ceil(count / 2 + half)
    return [ordered[low], ordered[high]] if low >= 0 and high < count else None


def _spread(values: list[float]) -> list[float]:
    """The 95 % interval of a mean."""
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    mean = statistics.mean(values)
    return [mean - half, mean + half]


def whole(scenario: Scenario, runs: int, *, alone: bool = False, plan: Plan = progressive.PLAN) -> dict:
    """Whole rollouts: what becomes of the canary; with our judge `alone`, or with the peers' too."""
    judges = {}
    for name in ("ours", *(() if alone else progressive.PEERS)):
        outcomes = progressive.outcomes(name, scenario, runs, plan)
        ended = {end: [one for one in outcomes if one.end == end] for end in ("promoted", "rolled back", "paused")}
        judges[name] = {
            **{f"{end.replace(' ', '_')}_percent": 100 * len(found) / runs for end, found in ended.items()},
            **{
                f"{end.replace(' ', '_')}_median": _median([one.seconds for one in found])
                for end, found in ended.items()
            },
            "promoted_interval_99": [100 * one for one in interval(len(ended["promoted"]), runs)],
            "excess_interval_95": _spread([one.excess for one in outcomes]),
            "canary_requests": statistics.mean(one.canary_requests for one in outcomes),
            "excess_errors": statistics.mean(one.excess for one in outcomes),
        }
    return {"scenario": scenario.name, "bad": scenario.bad, "runs": runs, "judges": judges}


def _median(times: list[int]) -> float | None:
    return statistics.median(times) if times else None


def interval(found: int, runs: int, z: float = 2.576) -> tuple[float, float]:
    """Wilson's 99 % interval of a share."""
    share, squared = found / runs, z * z / runs
    middle = (share + squared / 2) / (1 + squared)
    half = z * math.sqrt(share * (1 - share) / runs + squared / (4 * runs)) / (1 + squared)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(results: Iterable[dict], cell: Callable[[dict], str]) -> str:
    """A Markdown table: a row for each scenario, a column for each judge."""
    results = list(results)
    names = list(dict.fromkeys(name for result in results for name in result["judges"]))
    lines = ["| scenario | bound s | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for result in results:
        limit = result.get("bound")
        cells = [cell(result["judges"][name]) if name in result["judges"] else "-" for name in names]
        lines.append(f"| {result['scenario']} | {'-' if limit is None else round(limit)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fixed_cell(judge: dict) -> str:
    """Such as `99.5 @310 (480) [7]`: percent, median and 90th percentile in seconds, excess bad requests."""
    if judge["median"] is None:
        return "0"
    return f"{judge['fired_percent']:.3g} @{judge['median']:.0f} ({judge['p90']:.0f}) [{judge['excess_errors']:.0f}]"


def whole_cell(judge: dict) -> str:
    """Such as `promoted 99.8 @430, back 0.2 @300, paused 0 [3]`."""
    parts = []
    for end, word in (("promoted", "promoted"), ("rolled_back", "back"), ("paused", "paused")):
        if judge[f"{end}_percent"]:
            parts.append(f"{word} {judge[f'{end}_percent']:.3g} @{judge[f'{end}_median']:.0f}")
    return ", ".join(parts) + f" [{judge['excess_errors']:.0f}]"


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50, help="seeded runs of each scenario (default 50)")
    parser.add_argument("--only", default="", help="only scenarios whose name contains this")
    parser.add_argument("--alone", action="store_true", help="our judge alone; what peers say does not hang on it")
    parser.add_argument("--kind", choices=("fixed", "progressive", "all"), default="all")
    parser.add_argument(
        "--step-beta", type=float, help="whole rollouts: analysis.stepBeta (default 1/6); 0.05 is the same at each step"
    )
    parser.add_argument("--out", type=Path, help="write judges.json and the plots into this folder")
    options = parser.parse_args(argv)
    kinds = [*(FIXED if options.kind != "progressive" else ()), *(PROGRESSIVE if options.kind != "fixed" else ())]
    if not any(options.only in scenario.name for scenario in kinds):
        parser.error(f"--only {options.only}: no scenario is called so; they stand in bench/scenarios.py")
    if options.out and not plots.can_draw():
        parser.error("--out draws with matplotlib, which is missing: pip install --group bench, or make bench-judges")
    if options.runs < 1:
        parser.error(f"--runs must be at least 1, got {options.runs}")
    results: dict = {"fixed": [], "progressive": []}
    stepwise = partial(whole, plan=Plan(step_beta=options.step_beta))
    for kind, scenarios, play in (("fixed", FIXED, fixed), ("progressive", PROGRESSIVE, stepwise)):
        for scenario in scenarios:
            if options.only in scenario.name and options.kind in (kind, "all"):
                results[kind].append(play(scenario, options.runs, alone=options.alone))
                print(f"{kind}: {scenario.name}", file=sys.stderr)
    if results["fixed"]:
        print("Fixed weight, 30 min: rolled back % @median s (p90) [excess bad requests]\n")
        print(table(results["fixed"], fixed_cell), "\n")
    if results["progressive"]:
        print("Whole rollouts: % @median s [excess bad requests]\n")
        print(table(results["progressive"], whole_cell))
    for goal in (found := goals.goals(results)):
        print(f"{'met   ' if goal.met else 'MISSED'} {goal.text}: {goal.measured}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        results["goals"] = [goal._asdict() for goal in found]
        (options.out / "judges.json").write_text(json.dumps(results, indent=1))
        for path in plots.draw(results, options.out):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
