"""Whole rollouts: the weight goes up step by step as each judge and its controller decide."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.spec import Plan
from bench import contenders as c
from bench.traces import TICK, Scenario, World

WEIGHTS = (0.05, 0.10, 0.25, 0.50)
PLAN = Plan()
LIMIT = 3600
"""Seconds after which a rollout that is still waiting counts as paused."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended: "promoted", "rolled back" or "paused", when, and what it cost."""

    end: str
    seconds: int
    excess: float
    canary_requests: int


def ours(scenario: Scenario, runs: int, plan: Plan = PLAN) -> list[Outcome]:
    """5, 10, 25, 50 %: each for 60 s at the soonest, until it may have the next weight; the last until it is good.

    Without that in 20 min it pauses.
    """
    worlds = [World(scenario, seed) for seed in range(runs)]
    judge = c.Together([world.before() for world in worlds], plan=plan)
    steps, started, found = [0] * runs, [0] * runs, dict[int, Outcome]()
    while len(found) < runs:
        ticks = {run: worlds[run].tick(WEIGHTS[steps[run]]) for run in range(runs) if run not in found}
        for run, verdict in judge.see(ticks).items():
            world = worlds[run]
            waited = world.now - started[run]
            last = steps[run] == len(WEIGHTS) - 1
            enough = verdict == "good" if last else judge.promising[run]
            if verdict == "bad":
                found[run] = _outcome("rolled back", world)
            elif enough and waited >= 60:
                steps[run], started[run] = steps[run] + 1, world.now
                if steps[run] == len(WEIGHTS):
                    found[run] = _outcome("promoted", world)
                else:
                    judge.step_changed(run, world.now)
            elif waited >= 1200:
                found[run] = _outcome("paused", world)
    return [found[run] for run in range(runs)]


def flagger(scenario: Scenario, seed: int, check: Callable) -> Outcome:
    """10 to 50 % by 10, a check each minute: a failed one holds the weight, the fifth rolls back."""
    world = World(scenario, seed)
    world.history()
    judge = c.Windowed(check, interval=60, limit=4)
    weight = 0.1
    while world.now < LIMIT:
        for _ in range(60 // TICK):
            verdict = judge.see(world.tick(weight))
        if verdict == "bad":
            return _outcome("rolled back", world)
        if verdict == "good":
            if weight >= 0.5:
                return _outcome("promoted", world)
            weight = round(weight + 0.1, 1)
    return _outcome("paused", world)


def argo(scenario: Scenario, seed: int, check: Callable, *, interval: int, limit: int) -> Outcome:
    """5, 10, 25, 50 % with pauses of five minutes, and a background analysis."""
    world = World(scenario, seed)
    world.history()
    judge = c.Windowed(check, interval=interval, limit=limit)
    for weight in WEIGHTS:
        for _ in range(300 // TICK):
            if judge.see(world.tick(weight)) == "bad":
                return _outcome("rolled back", world)
    return _outcome("promoted", world)


def _outcome(end: str, world: World) -> Outcome:
    return Outcome(end, world.now, world.excess, world.canary_requests)


PEERS: dict[str, Callable[[Scenario, int], Outcome]] = {
    "Flagger docs": lambda scenario, seed: flagger(scenario, seed, c.both(c.success(0.99), c.p99_within(0.5))),
    "Flagger 2x": lambda scenario, seed: flagger(scenario, seed, c.relative(2.0, latency=bool(scenario.latency))),
    "Argo 95 %": lambda scenario, seed: argo(scenario, seed, c.success(0.95), interval=300, limit=3),
    "Argo 99 %": lambda scenario, seed: argo(scenario, seed, c.success(0.99), interval=60, limit=0),
}


def outcomes(name: str, scenario: Scenario, runs: int, plan: Plan = PLAN) -> list[Outcome]:
    """What becomes of the canary under a judge, in each run; `plan` is ours."""
    return ours(scenario, runs, plan) if name == "ours" else [PEERS[name](scenario, seed) for seed in range(runs)]
