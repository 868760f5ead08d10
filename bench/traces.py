"""Seeded traffic of a stable and a canary revision: as ticks, and as the raw counters that a Prometheus would hold."""

import math
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from analysis import counters
from analysis.counters import Counters
from analysis.samples import ArmReading, ArmTick, Count, Half, Latencies, PodReading, Reading, Tick

TICK = 10
START = 1_700_000_000
HISTORY = 180
"""Ticks of stable alone before the canary."""
EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The orchestrator's histogram edges, in seconds."""
BUCKETS = {
    "": EDGES,
    "Istio": (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    "50 log": tuple(0.001 * 30_000 ** (number / 49) for number in range(50)),
}
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
    silence: tuple[int, int] = (0, 0)
    """Between these seconds nobody sends a request."""
    faults: bool = False
    """Pods restart with counters at 0, and one scrape in ten of each pod is missed."""
    buckets: str = ""
    """Which histogram edges, a key of BUCKETS."""

    @property
    def bad(self) -> bool:
        """Whether the canary ought to be rolled back."""
        return self.canary_errors > self.stable_errors or bool(self.latency)


class World:
    """One seeded run of a scenario. `tick` tells what happens next under a weight that the caller decides."""

    def __init__(self, scenario: Scenario, seed: int, *, latencies: bool = True) -> None:
        self.scenario = scenario
        self.now = 0
        self.excess = 0.0
        """Bad requests that the canary caused and stable would not have."""
        self.canary_requests = 0
        seeds = [zlib.crc32(scenario.name.encode()), seed]
        self._rng, self._chance = np.random.default_rng(seeds), random.Random(f"{scenario.name}/{seed}")
        self._spike_until = -1e9
        self._shares = _shares(scenario) if latencies else {}
        self._edges = BUCKETS[scenario.buckets]
        self._counted = Rendered(self._chance) if scenario.faults else None

    def history(self, ticks: int = HISTORY) -> list[Tick]:
        """Stable alone before the canary, half an hour unless it is said otherwise."""
        return list(self.before(ticks))

    def before(self, ticks: int = HISTORY) -> Iterator[Tick]:
        """The same, tick by tick."""
        self.now = -ticks * TICK
        for _ in range(ticks):
            yield self.tick(0.0)

    def tick(self, weight: float) -> Tick:
        """The next ten seconds."""
        scenario, rng = self.scenario, self._rng
        self.now += TICK
        wave = self._wave()
        silent = scenario.silence[0] < self.now <= scenario.silence[1]
        requests = 0 if silent else int(rng.poisson(scenario.rps * TICK))
        canary = int(rng.binomial(requests, weight))
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
        tick = Tick(START + self.now, TICK, _arm(*halves), _arm(mine, Half()))
        return tick if self._counted is None else self._counted.seen(tick)

    def _wave(self) -> float:
        common, rng = self.scenario.common, self._chance
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
            share = min(1.0, rng.gamma(mean / (noise - 1), (noise - 1) / requests))
        bad = int(rng.binomial(requests, share))
        return Half(Count(requests, bad), self._latencies(requests - bad, kind))

    def _latencies(self, requests: int, kind: str) -> Latencies:
        if not self._shares:
            return Latencies()
        within = np.cumsum(self._rng.multinomial(requests, self._shares[kind]))
        return Latencies(requests, dict(zip(self._edges, within[:-1].tolist(), strict=True)))


@dataclass
class Rendered:
    """Ticks as counters that a Prometheus scrapes, with what befalls it, and the ticks that can be read from them."""

    chance: random.Random
    pods: dict[str, PodReading] = field(default_factory=dict)
    state: Counters = field(default_factory=Counters)

    def seen(self, tick: Tick) -> Tick:
        """What is seen of a tick."""
        if self.state.at is None:
            zero = Reading(tick.at - tick.seconds, ArmReading({"a": PodReading(), "b": PodReading()}), ArmReading({}))
            self.state, _ = counters.advance(self.state, zero)
        for pod, half in zip("abc", (*tick.stable.halves, tick.canary.halves[0]), strict=True):
            before = PodReading() if self.chance.random() < 1 / 60 else self.pods.get(pod, PodReading())
            self.pods[pod] = _counted(before, half)
        scraped = {pod: reading for pod, reading in self.pods.items() if self.chance.random() > 0.1}
        stable = ArmReading({pod: scraped[pod] for pod in "ab" if pod in scraped})
        canary = ArmReading({"c": scraped["c"]} if "c" in scraped else {})
        self.state, found = counters.advance(self.state, Reading(tick.at, stable, canary))
        if found is None:
            raise AssertionError("the first reading was the one before")
        return found


def _counted(before: PodReading, half: Half) -> PodReading:
    codes = {"200": half.served.requests - half.served.bad, "500": half.served.bad}
    buckets = {**half.latencies.within, math.inf: half.latencies.total}
    return PodReading(
        {code: before.codes.get(code, 0) + count for code, count in codes.items()},
        {edge: before.buckets.get(edge, 0) + count for edge, count in buckets.items()},
    )


def _arm(first: Half, second: Half) -> ArmTick:
    if not second.latencies.within:
        return ArmTick(served=first.served.plus(second.served), latencies=first.latencies, halves=(first, second))
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


def _shares(scenario: Scenario) -> dict[str, list[float]]:
    """For each kind of latency: the share of requests in each bucket, the last beyond all edges."""
    found = {}
    for kind in {"", "cold", scenario.latency}:
        below = [_KINDS[kind](edge) for edge in BUCKETS[scenario.buckets]]
        found[kind] = [here - before for before, here in zip([0.0, *below], [*below, 1.0], strict=True)]
    return found
