"""Seeded traffic of a stable and a canary revision, as the ticks that a judge is fed."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from analysis.samples import ArmTick, Count, Half, Latencies, Tick
from bench.chance import binomial, poisson

TICK = 10
START = 1_700_000_000
EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The orchestrator's histogram edges, in seconds."""
_MEDIAN, _SPREAD = 0.06, 0.6
"""Latency is log-normal: half of the requests take less than 60 ms, 1 % take more than 242 ms."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the two revisions are like. Shares are of requests, times in seconds since the canary's first request."""

    name: str
    rps: float = 100.0
    weight: float = 0.05
    """The canary's share of traffic, where the weight is fixed."""
    stable_errors: float = 0.001
    canary_errors: float = 0.001
    onset: float = 0.0
    """When the canary becomes what it is; before that it is like stable."""
    onset_weight: float = 0.0
    """The canary becomes what it is only under at least this share of the traffic."""
    latency: str = ""
    """What is wrong with the canary's latency: "scale", "tail" or "bimodal"."""
    noise: float = 1.0
    """Variance of an arm's errors in a tick, over what chance alone gives (gamma-distributed bursts of each pod)."""
    common: str = ""
    """What happens to both arms: "diurnal" or "incidents"."""
    slow_start: bool = False
    """The canary's first 60 s are three times slower."""

    @property
    def bad(self) -> bool:
        """Whether the canary ought to be rolled back."""
        return self.canary_errors > self.stable_errors or bool(self.latency)


class World:
    """One seeded run of a scenario. `tick` tells what happens next under a weight that the caller decides."""

    def __init__(self, scenario: Scenario, seed: int, *, latencies: bool = True) -> None:
        self.scenario = scenario
        self.now = -600
        self.excess = 0.0
        """Bad requests that the canary caused and stable would not have."""
        self.canary_requests = 0
        self._rng = random.Random(f"{scenario.name}/{seed}")
        self._spike_until = -1e9
        self._edges = _shares(scenario) if latencies else {}

    def history(self) -> list[Tick]:
        """Ten minutes of stable alone."""
        return [self.tick(0.0) for _ in range(60)]

    def tick(self, weight: float) -> Tick:
        """The next ten seconds."""
        scenario, rng = self.scenario, self._rng
        self.now += TICK
        wave = self._wave()
        requests = poisson(rng, scenario.rps * TICK)
        canary = binomial(rng, requests, weight)
        changed = self.now > scenario.onset and weight >= scenario.onset_weight
        base = min(1.0, scenario.stable_errors * wave)
        share = min(1.0, (scenario.canary_errors if changed else scenario.stable_errors) * wave)
        self.canary_requests += canary
        self.excess += canary * max(0.0, share - base)
        kind = scenario.latency if changed and scenario.latency else ""
        if scenario.slow_start and 0 < self.now <= 60:
            kind = "cold"
        first = (requests - canary) // 2
        halves = self._half(first, base, ""), self._half(requests - canary - first, base, "")
        mine = self._half(canary, share, kind)
        return Tick(START + self.now, TICK, _arm(*halves), _arm(mine, Half()))

    def _wave(self) -> float:
        common, rng = self.scenario.common, self._rng
        if common == "diurnal":
            return 1 + 0.5 * math.sin(self.now / 1800 * 2 * math.pi)
        if common == "incidents":
            if self.now > self._spike_until and rng.random() < 1 / 30:
                self._spike_until = self.now + 60
            return 10.0 if self.now <= self._spike_until else 1.0
        return 1.0

    def _half(self, requests: int, share: float, kind: str) -> Half:
        rng, noise = self._rng, self.scenario.noise
        mean = requests * share
        if noise > 1 and mean > 0:
            share = min(1.0, rng.gammavariate(mean / (noise - 1), (noise - 1) / requests))
        bad = binomial(rng, requests, share)
        return Half(Count(requests, bad), self._latencies(requests - bad, kind))

    def _latencies(self, requests: int, kind: str) -> Latencies:
        if not self._edges:
            return Latencies()
        within, left, counted = {}, requests, 0
        for edge, share in zip(EDGES, self._edges[kind], strict=True):
            here = binomial(self._rng, left, share)
            left -= here
            counted += here
            within[edge] = counted
        return Latencies(requests, within)


def _arm(first: Half, second: Half) -> ArmTick:
    if not second.latencies.within:
        return ArmTick(served=first.served, latencies=first.latencies, halves=(first, second))
    within = {edge: count + second.latencies.within[edge] for edge, count in first.latencies.within.items()}
    total = Latencies(first.latencies.total + second.latencies.total, within)
    return ArmTick(served=first.served.plus(second.served), latencies=total, halves=(first, second))


def _below(seconds: float) -> float:
    return 0.5 * math.erfc(-math.log(seconds / _MEDIAN) / _SPREAD / math.sqrt(2))


def _tail(seconds: float) -> float:
    """Only the slowest 5 % are slower, ever more so towards the end: p99 by 35 %."""
    start, p99 = 0.161, 0.2423
    stretch = (1.35 * p99 - start) / (p99 - start)
    return _below(seconds if seconds < start else start + (seconds - start) / stretch)


_KINDS: dict[str, Callable[[float], float]] = {
    "": _below,
    "scale": lambda seconds: _below(seconds / 1.2),
    "cold": lambda seconds: _below(seconds / 3),
    "tail": _tail,
    "bimodal": lambda seconds: 0.98 * _below(seconds) + 0.02 * _below(seconds / 10),
}


def slower(scenario: Scenario, edge: float) -> tuple[float, float]:
    """The true shares of the canary's and stable's requests that are slower than an edge."""
    return 1 - _KINDS[scenario.latency](edge), 1 - _below(edge)


def _shares(scenario: Scenario) -> dict[str, tuple[float, ...]]:
    """For each kind of latency and edge: of what took longer than the edge before, the share that took at most this."""
    found = {}
    for kind in {"", "cold", scenario.latency}:
        below, shares = 0.0, []
        for edge in EDGES:
            here = _KINDS[kind](edge)
            shares.append((here - below) / (1 - below) if below < 1 else 0.0)
            below = here
        found[kind] = tuple(shares)
    return found
