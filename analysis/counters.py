"""Raw cumulative counters to increments: resets, new pods, vanished pods and missed scrapes.

Rules, for each source (a pod, or a gateway):
- the first reading that has any pod (or any gateway) of either arm is the baseline and counts nothing;
- a source or series that appears later started after the baseline, and counts from 0;
- a series that is missing keeps its last value: a missed scrape adds nothing now and everything when it returns;
- a pod's counters live and die together: when one of them fell, the process restarted and all of them count from 0;
- but where their sum fell by less than a tenth, an older scrape was read (another replica of Prometheus, or a store
  that joins replicas): the last values stay, and nothing is counted until they are passed;
- a gateway may drop single series and re-create them: when all fell it restarted and they count from 0, else those that
  fell begin anew where they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import sub
from typing import NamedTuple

from analysis.samples import ArmReading, ArmTick, Count, Half, Latencies, PodReading, Reading, Signal, Tick

GatewayCounters = Mapping[tuple[str, str, str], float]
"""By response code, response flags and gRPC status."""

_INFINITY = float("inf")
_LATE = 0.9
"""A sum of counters that fell, but not below this part of the last one, is late; a restart leaves less."""
_SIGNED = ("reward", "")
"""Rewards may be negative, so their sum may fall."""
_NO_SIGNALS: Mapping[Signal, float] = {}
_CLIENT_GONE = frozenset({"DC", "DPE"})
_GRPC_NUMBERS = {"2": True, "4": True, "12": True, "13": True, "14": True, "15": True}
_GRPC_FAULTS = frozenset({"UNKNOWN", "DEADLINEEXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATALOSS"})
_GRPC_OTHERS = frozenset(
    {"OK", "INVALIDARGUMENT", "NOTFOUND", "ALREADYEXISTS", "PERMISSIONDENIED", "RESOURCEEXHAUSTED"}
    | {"FAILEDPRECONDITION", "ABORTED", "OUTOFRANGE", "UNAUTHENTICATED"}
)


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """The last values of one arm's counters."""

    pods: Mapping[str, tuple[PodReading, int]] = field(default_factory=dict)
    """By pod: its last counters, and the half (0 or 1) it belongs to."""
    gateways: Mapping[str, GatewayCounters] = field(default_factory=dict)
    signals: Mapping[str, Mapping[Signal, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counters:
    """The last values of both arms; `at` is None before the first reading."""

    at: int | None = None
    stable: ArmCounters = ArmCounters()
    canary: ArmCounters = ArmCounters()

    @property
    def begun(self) -> "Begun":
        """Whose baseline has been read."""
        return Begun(
            bool(self.stable.pods or self.canary.pods),
            bool(self.stable.gateways or self.canary.gateways),
            bool(self.stable.signals or self.canary.signals),
        )


class Begun(NamedTuple):
    """Whether pods, gateways and signals have been read before: what appears later counts from 0."""

    pods: bool
    gateways: bool
    signals: bool


def advance(counters: Counters, reading: Reading) -> tuple[Counters, Tick | None]:
    """What happened since the last reading; None for the first.

    Raises ValueError when the reading is not later than the last one.
    """
    if counters.at is not None and reading.at <= counters.at:
        raise ValueError(f"a reading must be later than the last one at {counters.at}, got {reading.at}")
    begun = counters.begun
    stable, stable_tick = _advance_arm(counters.stable, reading.stable, begun)
    canary, canary_tick = _advance_arm(counters.canary, reading.canary, begun)
    advanced = Counters(reading.at, stable, canary)
    if counters.at is None:
        return advanced, None
    return advanced, Tick(reading.at, reading.at - counters.at, stable_tick, canary_tick)


@lru_cache(maxsize=1024)
def orchestrator_outcome(code: str) -> bool | None:
    """Whether a request with this code (HTTP number, or gRPC name) was bad; None when the client gave it up."""
    if code.isdecimal():
        return None if code == "499" else int(code) >= 500 or int(code) == 0
    name = code.replace("_", "").upper()
    if name in {"CANCELED", "CANCELLED"}:
        return None
    return name in _GRPC_FAULTS or name not in _GRPC_OTHERS


@lru_cache(maxsize=1024)
def orchestrator_refusal(code: str) -> bool:
    """Whether a request with this code was answered as the client's fault: 4xx, or what gRPC has in their place."""
    if orchestrator_outcome(code) is not False:
        return False
    return 400 <= int(code) < 500 if code.isdecimal() else code.upper() != "OK"


@lru_cache(maxsize=4096)
def gateway_outcome(code: str, flags: str, grpc: str) -> bool | None:
    """Whether a request was bad as the gateway saw it; None when the client went away before the answer.

    `flags` are Envoy's response flags (comma-separated), `grpc` the gRPC status number or nothing.
    """
    if not _CLIENT_GONE.isdisjoint(flags.split(",")) or code == "499" or grpc == "1":
        return None
    if orchestrator_outcome(code) is not False:
        return True
    return _GRPC_NUMBERS.get(grpc, False)


@lru_cache(maxsize=4096)
def gateway_refusal(code: str, flags: str, grpc: str) -> bool:
    """Whether a request was answered as the client's fault, as the gateway saw it; terms as in `gateway_outcome`."""
    if gateway_outcome(code, flags, grpc) is not False:
        return False
    return orchestrator_refusal(code) or (grpc.isdecimal() and grpc != "0")


class _Sums:
    """What one half of an arm's pods did, while it is added up."""

    __slots__ = ("bad", "refused", "requests", "timed", "within")

    def __init__(self) -> None:
        self.requests = 0
        self.bad = 0
        self.refused = 0
        self.timed = 0
        self.within: dict[float, int] = {}

    def add(self, before: PodReading, now: PodReading) -> None:
        for code, value in now.codes.items():
            bad = orchestrator_outcome(code)
            if bad is None:
                continue
            increment = round(value - before.codes.get(code, 0))
            self.requests += increment
            self.bad += increment if bad else 0
            self.refused += increment if orchestrator_refusal(code) else 0
        for edge, value in now.buckets.items():
            increment = round(value - before.buckets.get(edge, 0))
            if edge == _INFINITY:
                self.timed += increment
            else:
                self.within[edge] = self.within.get(edge, 0) + increment

    def add_quickly(self, before: PodReading, now: PodReading) -> bool:
        """Add a pod that has the same series in the same order as before, none of which fell; else do nothing."""
        if list(before.codes) != list(now.codes) or list(before.buckets) != list(now.buckets):
            return False
        codes = list(map(sub, now.codes.values(), before.codes.values()))
        buckets = list(map(sub, now.buckets.values(), before.buckets.values()))
        if min(codes, default=0) < 0 or min(buckets, default=0) < 0:
            return False
        for code, increment in zip(now.codes, map(round, codes), strict=True):
            bad = orchestrator_outcome(code)
            if bad is not None:
                self.requests += increment
                self.bad += increment if bad else 0
                self.refused += increment if orchestrator_refusal(code) else 0
        within = dict(zip(now.buckets, map(round, buckets), strict=True))
        self.timed += within.pop(_INFINITY, 0)
        if self.within:
            for edge, increment in within.items():
                self.within[edge] = self.within.get(edge, 0) + increment
        else:
            self.within = within
        return True

    def half(self) -> Half:
        return Half(Count(self.requests, self.bad), Latencies(self.timed, self.within))


def _advance_arm(last: ArmCounters, now: ArmReading, begun: Begun) -> tuple[ArmCounters, ArmTick]:
    pods = dict(last.pods)
    sums = (_Sums(), _Sums())
    for name in sorted(now.pods):
        reading = now.pods[name]
        known = pods.get(name)
        if known is None:
            before, half = PodReading(), _smaller_half(pods)
        else:
            before, half = known
            if begun.pods and sums[half].add_quickly(before, reading):
                pods[name] = (reading, half)
                continue
        reset = False
        if known is not None and _fell(before, reading):
            reset = _restarted(before, reading)
            before, reading = (PodReading(), reading) if reset else (before, _highest(before, reading))
        pods[name] = (reading if reset else merged(before, reading), half)
        if begun.pods:
            sums[half].add(before, reading)
    gateways, gateway, refused = _advance_gateways(last.gateways, now.gateways, begun=begun.gateways)
    signals, counted = _advance_signals(last.signals, now.signals, begun=begun.signals)
    present = bool(now.pods or now.gateways)
    refusals = (sums[0].refused + sums[1].refused, refused)
    halves = (sums[0].half(), sums[1].half())
    tick = arm_tick(*halves, present=present, gateway=gateway, refused=refusals, signals=counted)
    return ArmCounters(pods, gateways, signals), tick


def arm_tick(
    first: Half,
    second: Half,
    *,
    present: bool,
    gateway: Count | None,
    refused: tuple[int, int],
    signals: Mapping[Signal, float] = _NO_SIGNALS,
) -> ArmTick:
    """What an arm did, by what both halves of its pods did; `refused` counts at the pods and at the gateway."""
    served, latencies = first.served.plus(second.served), _together(first.latencies, second.latencies)
    return ArmTick(present, gateway, served, latencies, (first, second), signals, *refused)


def _smaller_half(pods: Mapping[str, tuple[PodReading, int]]) -> int:
    return 1 if 2 * sum(half for _, half in pods.values()) < len(pods) else 0


def _fell(before: PodReading, now: PodReading) -> bool:
    return any(value < before.codes.get(code, 0) for code, value in now.codes.items()) or any(
        value < before.buckets.get(edge, 0) for edge, value in now.buckets.items()
    )


def _restarted(before: PodReading, now: PodReading) -> bool:
    """Whether a pod whose counters fell is a new process, and not an older scrape of the same."""
    return sum(now.codes.values()) < _LATE * sum(before.codes.values()) or (
        now.buckets.get(_INFINITY, 0) < _LATE * before.buckets.get(_INFINITY, 0) and not now.codes
    )


def _highest(before: PodReading, now: PodReading) -> PodReading:
    codes = {code: max(value, before.codes.get(code, 0)) for code, value in now.codes.items()}
    return PodReading(codes, {edge: max(value, before.buckets.get(edge, 0)) for edge, value in now.buckets.items()})


def merged(before: PodReading, now: PodReading) -> PodReading:
    """The values to remember: those that are missing now keep their last."""
    if before.codes.keys() <= now.codes.keys() and before.buckets.keys() <= now.buckets.keys():
        return now
    return PodReading({**before.codes, **now.codes}, {**before.buckets, **now.buckets})


def _advance_gateways(
    last: Mapping[str, GatewayCounters], now: Mapping[str, GatewayCounters], *, begun: bool
) -> tuple[Mapping[str, GatewayCounters], Count | None, int]:
    if not now:
        return last, None, 0
    requests = bad = refused = 0
    gateways = dict(last)
    for name, reading in now.items():
        before = gateways.get(name, {})
        restarted = all(value < before.get(series, value) for series, value in reading.items())
        gateways[name] = reading if restarted and before else {**before, **reading}
        for series, value in reading.items():
            is_bad = gateway_outcome(*series)
            old = 0.0 if restarted else min(before.get(series, 0.0), value)
            if begun and is_bad is not None:
                requests += round(value - old)
                bad += round(value - old) if is_bad else 0
                refused += round(value - old) if gateway_refusal(*series) else 0
    return gateways, Count(requests, bad), refused


def _advance_signals(
    last: Mapping[str, Mapping[Signal, float]], now: Mapping[str, Mapping[Signal, float]], *, begun: bool
) -> tuple[Mapping[str, Mapping[Signal, float]], Mapping[Signal, float]]:
    if not now:
        return last, {}
    sources = dict(last)
    counted: dict[Signal, float] = {}
    for name in sorted(now):
        reading, before = now[name], last.get(name, {})
        rising = {key: value for key, value in reading.items() if key != _SIGNED}
        fell = any(value < before.get(key, 0.0) for key, value in rising.items())
        if fell and sum(rising.values()) < _LATE * sum([before.get(key, 0.0) for key in rising]):
            before = {}
        elif fell:
            reading = {key: max(value, before.get(key, value)) for key, value in rising.items()}
        sources[name] = {**before, **reading}
        for key, value in reading.items() if begun else ():
            counted[key] = counted.get(key, 0.0) + value - before.get(key, 0.0)
    return sources, counted


def _together(first: Latencies, second: Latencies) -> Latencies:
    if not second.within:
        return first
    if not first.within:
        return second
    within = {edge: count + second.within[edge] for edge, count in first.within.items() if edge in second.within}
    return Latencies(first.total + second.total, within)
