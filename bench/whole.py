"""The whole controller on the benchmark's traffic, beside the judge as a library on the very same counters.

    make bench-judges            # does this at its end
    .venv/bin/python -m bench.whole --runs 3

The simulated world of the tests (an API server's store, pods, a mesh; both real controllers, on simulated time) gets
the real judge in place of its own: it asks a Prometheus over HTTP, which a seeded trace fills as the weights in effect
have it. What the controller's judge says last is held against the library fed with the same counters: evidence and
sentence have to be equal to the last bit.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

from analysis import counters, preflight, session
from analysis.counters import Counters
from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.preflight import Found
from analysis.providers.prometheus import PrometheusProvider
from analysis.samples import ArmTick, Half, PodReading
from analysis.spec import Comparison, Key
from analysis.verdict import Judgement
from bench import progressive
from bench.prometheus import Arm, Scraped, serving
from bench.scenarios import PROGRESSIVE
from bench.traces import TICK, Scenario
from bench.traces import World as Trace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulation"))

from simulated.story import Story
from simulated.timeline import START
from simulated.world import World

WEIGHTS = (5, 10, 25, 50)
STEPS = [step for weight in WEIGHTS for step in ({"setWeight": weight}, {"analysis": {"minDuration": "60s"}})]
EDIT = 60.0
"""Seconds after its creation that the rollout is changed."""
LIMIT = 3600.0
"""Seconds after which a rollout that still waits is given up."""
HISTORY = session.HISTORY // TICK


@dataclass
class Judge:
    """The real judge with the face that the simulated world wants: a tick is a call that ends."""

    monitor: Monitor
    said: Callable[[Comparison, Judgement], None]
    loop: asyncio.AbstractEventLoop
    tracked: dict[Key, Comparison] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return bool(self.tracked)

    def track(self, comparison: Comparison) -> None:
        self.tracked[comparison.key] = comparison
        self.monitor.track(comparison)

    def untrack(self, key: Key) -> None:
        self.tracked.pop(key, None)
        self.monitor.untrack(key)

    def judgement(self, key: Key) -> Judgement | None:
        return self.monitor.judgement(key)

    def traffic(self, key: Key) -> Any:
        return self.monitor.traffic(key)

    def tick(self, at: datetime) -> frozenset[Key]:
        changed = self.loop.run_until_complete(self.monitor.tick(at))
        for key, comparison in self.tracked.items():
            judgement = self.monitor.judgement(key)
            if judgement is not None:
                self.said(comparison, judgement)
        return changed


class Traced(World):
    """The simulated world with a trace's traffic before the judge's eyes."""

    def __init__(self, scenario: Scenario, seed: int, url: str, scraped: Scraped, loop: asyncio.AbstractEventLoop):
        self.url, self.scraped, self.loop = url, scraped, loop
        self.trace = Trace(scenario, seed)
        self.said: list[tuple[Comparison, Judgement]] = []
        """What the judge said, tick by tick."""
        super().__init__(Story(seed, ()))
        self._share, self._begun = 0.0, False
        self._counted: dict[str, dict[str, PodReading]] = {"stable": {}, "canary": {}}
        for number in range(HISTORY):
            self._scrape(int(START.timestamp()) - (HISTORY - 1 - number) * TICK)
        self.timeline.after(TICK, self._next)

    def monitor(self) -> Judge:
        provider = PrometheusProvider(self.url, attempts=1)
        monitor = Monitor(Measurer(provider), step=timedelta(seconds=TICK))
        return Judge(monitor, lambda *said: self.said.append(said), self.loop)

    def _next(self) -> None:
        """What ten seconds of traffic under the weights that were in effect leave in Prometheus."""
        status = self.status()
        for arm, role in (("stable", "stableRevision"), ("canary", "canaryRevision")):
            revision = status.get(role)
            if revision and arm not in self.scraped.names.values():
                self.scraped.names[revision["name"]] = arm
        self._scrape(int(self.timeline.true_time().timestamp()))
        canary = next((name for name, arm in self.scraped.names.items() if arm == "canary"), None)
        weights, _ = self.mesh.shares(self.rollout)
        self._share = sum(weight for host, weight in weights.items() if canary and host.startswith(canary)) / 100
        self.timeline.after(TICK, self._next, counts=False)

    def _scrape(self, at: int) -> None:
        self._begun = self._begun or self._share > 0
        tick = self.trace.tick(self._share) if self._begun else self.trace.history(1)[0]
        self._add("stable", "ab", tick.stable)
        if "canary" in self.scraped.names.values():
            self._add("canary", "c", tick.canary)
        self.scraped.arms[at] = {name: _arm(pods) for name, pods in self._counted.items() if pods}

    def _add(self, arm: str, pods: str, tick: ArmTick) -> None:
        for pod, half in zip(pods, tick.halves, strict=False):
            self._counted[arm][pod] = _plus(self._counted[arm].get(pod, PodReading()), half)


def _plus(before: PodReading, half: Half) -> PodReading:
    codes = {"200": half.served.requests - half.served.bad, "500": half.served.bad}
    buckets = {**half.latencies.within, inf: half.latencies.total}
    return PodReading(
        {code: before.codes.get(code, 0) + count for code, count in codes.items()},
        {edge: before.buckets.get(edge, 0) + count for edge, count in buckets.items()},
    )


def _arm(pods: dict[str, PodReading]) -> Arm:
    outcomes = {(code, "-", ""): sum(pod.codes.get(code, 0) for pod in pods.values()) for code in ("200", "500")}
    return Arm(dict(pods), outcomes)


@dataclass(frozen=True)
class Played:
    """How one run ended, and what both judges said last."""

    end: str
    seconds: int
    """From the canary's first request to the decision."""
    excess: float
    judged: Judgement
    by_library: Judgement
    status: dict[str, Any]

    @property
    def equal(self) -> bool:
        return self.judged == self.by_library


def play(scenario: Scenario, seed: int, *meanwhile: tuple[float, Callable[[Traced], None]]) -> Played:
    """Change a rollout under a scenario's traffic, and see it to its end.

    `meanwhile` is what happens to the world, by seconds after the change.
    """
    scraped, loop = Scraped(), asyncio.new_event_loop()
    try:
        with serving(scraped) as url:
            world = Traced(scenario, seed, url, scraped, loop)
            with world.on_simulated_time():
                _run(world, sorted(meanwhile, key=lambda each: each[0]))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    comparison, judgement = next(each for each in reversed(world.said) if each[1].updated_at is not None)
    status = world.status()
    ends = {"Healthy": "promoted", "Degraded": "rolled back"}
    decided = int((judgement.updated_at - comparison.started_at).total_seconds()) if judgement.updated_at else 0
    return Played(
        end=ends.get(status["phase"], "paused"),
        seconds=decided,
        excess=world.trace.excess,
        judged=judgement,
        by_library=judged(scraped, comparison, judgement.updated_at),
        status=status,
    )


def _run(world: Traced, meanwhile: list[tuple[float, Callable[[Traced], None]]]) -> None:
    world.start_controller()
    world.people.create("good-0", strategy={"canary": {"steps": STEPS}})
    world.timeline.run_until(EDIT)
    world.people.do_edit("good-1")
    for after, do in meanwhile:
        world.timeline.run_until(EDIT + after)
        do(world)
    world.timeline.run_until(EDIT + TICK)
    while world.status()["phase"] not in ("Healthy", "Degraded", "Paused") and world.timeline.now < LIMIT:
        world.timeline.run_until(world.timeline.now + TICK)


def judged(scraped: Scraped, comparison: Comparison, until: datetime | None) -> Judgement:
    """What the library says of the counters, read one after the other without Prometheus and without a controller."""
    found, state = session.begin(comparison), Counters()
    end = int(until.timestamp()) if until is not None else 0
    for at in range((int(comparison.started_at.timestamp()) - session.HISTORY) // TICK * TICK, end + 1, TICK):
        state, tick = counters.advance(state, scraped.reading(comparison, at))
        if tick is not None:
            found = session.step(found, tick)
    return replace(session.judge(found), preflight=preflight.look(comparison, found, state, Found()))


def main(argv: list[str] | None = None) -> int:
    """Play some of the benchmark's scenarios, and print a table or JSON; 1 where the judges differ."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="only scenarios whose name contains this")
    parser.add_argument("--out", type=Path, help="folder for whole.json")
    asked = parser.parse_args(argv)
    chosen = [one for one in PROGRESSIVE if asked.only in one.name]
    if not chosen:
        parser.error(
            f"--only {asked.only}: no scenario is called so; there are {', '.join(s.name for s in PROGRESSIVE)}"
        )
    logging.disable(logging.CRITICAL)
    rows = []
    for scenario in chosen:
        runs = [play(scenario, seed) for seed in range(asked.runs)]
        alone = progressive.ours(scenario, asked.runs)
        rows.append(
            {
                "scenario": scenario.name,
                "controller": _counted([(run.end, run.seconds) for run in runs]),
                "library": _counted([(run.end, run.seconds) for run in alone]),
                "equal": sum(run.equal for run in runs),
                "runs": len(runs),
            }
        )
        print(_line(rows[-1]), flush=True)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "whole.json").write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row["equal"] != row["runs"] for row in rows))


def _counted(ends: list[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for end, seconds in ends:
        found.setdefault(end, []).append(seconds)
    return found


def _line(row: dict[str, Any]) -> str:
    told = [
        "; ".join(f"{len(times)} {end} at {sorted(times)[len(times) // 2]} s" for end, times in row[who].items())
        for who in ("controller", "library")
    ]
    return f"{row['scenario']:34s} {told[0]:34s} {told[1]:34s} {row['equal']} of {row['runs']} equal"


if __name__ == "__main__":
    sys.exit(main())
