"""What was measured: raw counters at one instant, and requests by outcome and latency between two instants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple


class Count(NamedTuple):
    """Requests of one arm, and how many of them were bad."""

    requests: int = 0
    bad: float = 0
    """A whole number where requests are counted; parts where losses within 0..1 are added."""

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.requests + other.requests, self.bad + other.bad)

    @property
    def share(self) -> float | None:
        """The share that was bad; None without requests."""
        return self.bad / self.requests if self.requests else None


NOTHING = Count()


class Pair(NamedTuple):
    """What one question counted in one tick: canary's and stable's requests, and the bad ones among them."""

    canary_requests: int = 0
    canary_bad: float = 0
    stable_requests: int = 0
    stable_bad: float = 0

    def plus(self, other: "Pair") -> "Pair":
        """Both together."""
        return Pair(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])


@dataclass(frozen=True, slots=True)
class PodReading:
    """Raw counters of one orchestrator: requests by code, and by `le` (seconds, cumulative) how long they took.

    The latter are requests that succeeded, and those that their clients gave up: until then.
    """

    codes: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[float, float] = field(default_factory=dict)


Signal = tuple[str, str]
"""What a counter beside requests counts, and of which kind: ("class", "setosa"), ("score", "0.5"), ("reward", "")."""


@dataclass(frozen=True, slots=True)
class ArmReading:
    """Raw counters of one arm: by pod, by gateway and (code, flags, gRPC status), and signals by what exposes them."""

    pods: Mapping[str, PodReading] = field(default_factory=dict)
    gateways: Mapping[str, Mapping[tuple[str, str, str], float]] = field(default_factory=dict)
    signals: Mapping[str, Mapping[Signal, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """Raw counters of both arms at one instant, in whole seconds since 1970."""

    at: int
    stable: ArmReading = ArmReading()
    canary: ArmReading = ArmReading()


class Latencies(NamedTuple):
    """Requests that succeeded or were given up by their clients, and how many took at most each edge (seconds)."""

    total: int = 0
    within: Mapping[float, int] = MappingProxyType({})

    def slower(self, edge: float) -> Count:
        """Requests, with those slower than the edge as bad ones; no requests where the edge is unknown."""
        within = self.within.get(edge)
        return NOTHING if within is None else Count(self.total, max(0, self.total - within))


class Half(NamedTuple):
    """One half of an arm's pods: two halves of stable show how noisy equal pods are."""

    served: Count = NOTHING
    latencies: Latencies = Latencies()

    def counted(self, edge: float | None) -> Count:
        """Requests, with those slower than the edge (seconds) as bad ones; without one, with the failed ones."""
        return self.served if edge is None else self.latencies.slower(edge)


class ArmTick(NamedTuple):
    """What one arm did in one tick."""

    present: bool = True
    """Some series of the arm exists; without any there is no data, which is not the same as no requests."""
    gateway: Count | None = None
    """Outcomes at the gateway; None when the gateway has no series of the arm."""
    served: Count = NOTHING
    """Outcomes at the orchestrators."""
    latencies: Latencies = Latencies()
    halves: tuple[Half, Half] = (Half(), Half())
    """What both halves of its pods did; nothing in what judges see of a tick."""
    signals: Mapping[Signal, float] = MappingProxyType({})
    """What the typed checks count beside requests; nothing where nobody counts it."""
    refused: int = 0
    """Of the requests `served`, those that were answered as the client's fault."""
    gateway_refused: int = 0
    """The same of those at the gateway."""

    def counted(self, what: str, kind: str = "") -> int:
        """How much of one signal was counted."""
        return round(self.signals.get((what, kind), 0.0))


class Tick(NamedTuple):
    """What both arms did in the `seconds` up to `at` (whole seconds since 1970)."""

    at: int
    seconds: int
    stable: ArmTick
    canary: ArmTick


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests of each arm in the last window, as the gateway (or without one the orchestrator) counted them."""

    stable_requests: int
    canary_requests: int
    since: datetime
    """Begin of the window: no earlier than the last change of the weights."""
    at: datetime
    """End of the window."""

    @property
    def canary_share(self) -> float | None:
        """The canary's share of all requests, 0..1; None without requests."""
        total = self.stable_requests + self.canary_requests
        return self.canary_requests / total if total else None
