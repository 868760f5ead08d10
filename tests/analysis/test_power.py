"""How often a good canary is rolled back and how soon a bad one is, on seeded traffic: the gate of docs/judge.md."""

import statistics
from datetime import timedelta

import pytest

from analysis.spec import ErrorRate, Plan
from bench.contenders import Together
from bench.judges import bound
from bench.traces import Scenario, World

ERRORS = Plan(warmup=timedelta(0), metrics=(ErrorRate(),))
BOTH = Plan(warmup=timedelta(0))


def rolled_back(scenario: Scenario, runs: int, *, seconds: int, plan: Plan) -> list[int | None]:
    """Of each run, after how many seconds the canary was rolled back; None when it was not."""
    worlds = [World(scenario, seed, latencies=len(plan.metrics) > 1) for seed in range(runs)]
    judge = Together([world.history(60) for world in worlds], plan=plan)
    found: dict[int, int] = {}
    while len(found) < runs and worlds[0].now < seconds:
        ticks = [world.tick(scenario.weight) for world in worlds]
        said = judge.see({run: tick for run, tick in enumerate(ticks) if run not in found})
        found |= {run: worlds[0].now for run, verdict in said.items() if verdict == "bad"}
    return [found.get(run) for run in range(runs)]


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="1 %", stable_errors=0.01, canary_errors=0.01, weight=0.1),
        Scenario(name="0.1 %, half", rps=20, weight=0.5),
        Scenario(name="incidents", stable_errors=0.01, canary_errors=0.01, common="incidents", weight=0.2),
        Scenario(name="bursts", stable_errors=0.01, canary_errors=0.01, noise=4, weight=0.1),
    ],
    ids=lambda scenario: scenario.name,
)
def test_of_equal_canaries_hardly_any_is_rolled_back(scenario):
    runs = 150
    wrong = sum(found is not None for found in rolled_back(scenario, runs, seconds=300, plan=ERRORS))
    assert wrong <= 5  # 1 % of 150, and three standard deviations of it


@pytest.mark.parametrize(
    ("scenario", "median"),
    [
        (Scenario(name="0.1 to 90 %", canary_errors=0.9), 20),
        (Scenario(name="0.1 to 10 %", canary_errors=0.1), 30),
        (Scenario(name="0.1 to 0.5 %, half", canary_errors=0.005, weight=0.5), 250),
        (Scenario(name="1 to 2 %, 10 %", rps=400, stable_errors=0.01, canary_errors=0.02, weight=0.1), 120),
    ],
    ids=lambda value: value.name if isinstance(value, Scenario) else "",
)
def test_more_errors_are_found_in_time(scenario, median):
    found = rolled_back(scenario, 15, seconds=1800, plan=BOTH)
    assert None not in found
    assert statistics.median(found) <= median


def test_a_regression_is_found_within_twice_what_anybody_needs():
    scenario = Scenario(name="0.1 to 0.5 %, 10 %", canary_errors=0.005, weight=0.1)
    found = [found or 1800 for found in rolled_back(scenario, 25, seconds=1800, plan=BOTH)]
    assert statistics.median(found) <= 2 * bound(scenario)


@pytest.mark.parametrize(("latency", "median"), [("scale", 120), ("bimodal", 180), ("tail", 450)])
def test_slower_requests_are_found_in_time(latency, median):
    scenario = Scenario(name=latency, latency=latency, weight=0.1)
    found = rolled_back(scenario, 10, seconds=1800, plan=BOTH)
    assert None not in found
    assert statistics.median(found) <= median
