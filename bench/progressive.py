"""Whole rollouts: the weight goes up step by step as each judge and its controller decide."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import contenders as c
from bench.traces import TICK, Scenario, World

LIMIT = 3600
"""Seconds after which a rollout that is still waiting counts as paused."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended: "promoted", "rolled back" or "paused", when, and what it cost."""

    end: str
    seconds: int
    excess: float
    canary_requests: int


def ours(scenario: Scenario, seed: int) -> Outcome:
    """5, 10, 25, 50 %: a step ends on a good verdict after 60 s at the soonest; without one in 20 min it pauses."""
    world = World(scenario, seed)
    judge = c.Ours(world.history())
    started = 0
    for number, weight in enumerate((0.05, 0.10, 0.25, 0.50)):
        if number:
            judge.step_changed(world.now)
        started = world.now
        while True:
            verdict = judge.see(world.tick(weight))
            if verdict == "bad":
                return _outcome("rolled back", world)
            if verdict == "good" and world.now - started >= 60:
                break
            if world.now - started >= 1200:
                return _outcome("paused", world)
    return _outcome("promoted", world)


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
    for weight in (0.05, 0.10, 0.25, 0.50):
        for _ in range(300 // TICK):
            if judge.see(world.tick(weight)) == "bad":
                return _outcome("rolled back", world)
    return _outcome("promoted", world)


def _outcome(end: str, world: World) -> Outcome:
    return Outcome(end, world.now, world.excess, world.canary_requests)


RIVALS: dict[str, Callable[[Scenario, int], Outcome]] = {
    "ours": ours,
    "Flagger docs": lambda scenario, seed: flagger(scenario, seed, c.both(c.success(0.99), c.p99_within(0.5))),
    "Flagger 2x": lambda scenario, seed: flagger(scenario, seed, c.relative(2.0, latency=bool(scenario.latency))),
    "Argo 95 %": lambda scenario, seed: argo(scenario, seed, c.success(0.95), interval=300, limit=3),
    "Argo 99 %": lambda scenario, seed: argo(scenario, seed, c.success(0.99), interval=60, limit=0),
}
