"""The users: requests, split by the route in effect, answered by what really stands behind it."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.kube.resources import SERVICE
from simulated.api import NAMESPACE_NAME, Api
from simulated.mesh import Mesh
from simulated.quality import Qualities
from simulated.timeline import Timeline
from simulated.workloads import Workloads

EVERY = 5.0
OTHERS = 40.0
"""Requests a second to another rollout."""
MATCHING = 0.3
"""The part of all requests that has what the matches of mirrors ask for."""


@dataclass(slots=True)
class Count:
    """Requests of one revision, and those that failed."""

    requests: int = 0
    bad: int = 0

    def add(self, other: "Count") -> None:
        self.requests += other.requests
        self.bad += other.bad


@dataclass(slots=True)
class Ledger:
    """What was served when: live requests and copies, by SeldonDeployment."""

    times: list[float] = field(default_factory=list)
    live: list[dict[str, Count]] = field(default_factory=list)
    copies: list[dict[str, Count]] = field(default_factory=list)

    def between(self, child: str, since: float, until: float, *, copied: bool) -> Count:
        """Count what a revision served in the intervals that lie wholly within two times.

        With `copied` as its pods count: live requests and copies alike. Else as the gateway does: live ones.
        """
        total = Count()
        for index in range(bisect_left(self.times, since + EVERY), len(self.times)):
            if self.times[index] > until:
                break
            for rows in (self.live, self.copies) if copied else (self.live,):
                found = rows[index].get(child)
                if found is not None:
                    total.add(found)
        return total


class Users:
    """Send requests every five seconds of simulated time."""

    def __init__(
        self,
        timeline: Timeline,
        api: Api,
        mesh: Mesh,
        workloads: Workloads,
        qualities: Qualities,
        *,
        rollout: str,
        rate: float,
    ) -> None:
        self._timeline, self._api, self._mesh = timeline, api, mesh
        self._workloads, self._qualities, self._rollout = workloads, qualities, rollout
        self._chance = timeline.chance("users")
        self.rate = rate
        """Requests a second."""
        self.ledger = Ledger()
        self.lost = 0
        """Requests that no pod answered."""
        self.served: Callable[[str, int, int], None] = lambda _child, _count, _lost: None
        """Told of each revision's requests, and of those that found nobody."""
        self.reached: Callable[[str], None] = lambda _child: None
        """Told of each revision that answered."""
        self.door = rollout
        """The VirtualService that they come in by."""
        self.others: list[str] = []
        """VirtualServices of other rollouts that have users, too."""
        self.wanted_door: Callable[[], str] = lambda: rollout
        """The VirtualService that they are told to come in by."""
        self.after: Callable[[], None] = lambda: None
        """Called when they have sent their requests."""
        timeline.after(EVERY, self._go, counts=False)

    def _go(self) -> None:
        self.door = self._open_door()
        (weights, _), copies = self._mesh.shares(self.door), self._mesh.copies(self.door, MATCHING)
        weights.pop(self._rollout, None)  # of a person's route that leads to nobody yet
        total = _draw(self._chance, self.rate * EVERY)
        live = self._sent(weights, total)
        for door in self.others:
            live |= self._sent(self._mesh.shares(door)[0], _draw(self._chance, OTHERS * EVERY))
        copied: dict[str, Count] = {}
        for host, percent in sorted(copies.items()):
            count = _binomial(self._chance, total, percent / 100)
            if count:
                copied[self._child(host)] = self._answer(host, count, live=False)
        self.ledger.times.append(self._timeline.now)
        self.ledger.live.append(live)
        self.ledger.copies.append(copied)
        self.after()
        self._timeline.after(EVERY, self._go, counts=False)

    def _sent(self, weights: dict[str, float], total: int) -> dict[str, Count]:
        """Send so many live requests; return what each revision made of them."""
        live: dict[str, Count] = {}
        left, weight_left = total, sum(weights.values())
        for host, weight in sorted(weights.items()):
            count = _binomial(self._chance, left, weight / weight_left) if weight_left else 0
            left, weight_left = left - count, weight_left - weight
            if count:
                live[self._child(host)] = self._answer(host, count, live=True)
        return live

    def _open_door(self) -> str:
        """They take another door when it leads to somebody."""
        door = self.wanted_door()
        leads = any(weight for host, weight in self._mesh.shares(door)[0].items() if host != self._rollout)
        return door if leads else self.door

    def asked(self, host: str) -> None:
        """One of them was sent to a host."""
        if host != self._rollout:
            self._answer(host, 1, live=True)

    def _child(self, host: str) -> str:
        service = self._api.find(SERVICE, host.split(".", maxsplit=1)[0])
        labels = (service or {}).get("metadata", {}).get("labels") or {}
        return str(labels.get("seldon-deployment-id") or host.split(".", maxsplit=1)[0].removesuffix("-default"))

    def _answer(self, host: str, count: int, *, live: bool) -> Count:
        child = self._child(host)
        service = self._api.find(SERVICE, host.split(".", maxsplit=1)[0], NAMESPACE_NAME)
        ready = self._workloads.ready(service["spec"]["selector"]) if service else 0
        reachable = ready > 0 and host in self._mesh.rules
        lost = 0 if reachable else count
        if reachable:
            self.reached(child)
        if live:
            self.lost += lost
            self.served(child, count, lost)
        fails = 1.0 if lost else self._qualities.of_child(child).fails
        return Count(count, _binomial(self._chance, count, fails))


def _draw(chance, mean: float) -> int:
    return max(0, round(chance.gauss(mean, mean**0.5))) if mean > 0 else 0


def _binomial(chance, count: int, share: float) -> int:
    """A binomial number; for large counts by the normal approximation."""
    if count <= 0 or share <= 0:
        return 0
    if share >= 1:
        return count
    if count <= 30:
        return sum(chance.random() < share for _ in range(count))
    spread = (count * share * (1 - share)) ** 0.5
    if spread < 3:
        return _rare(chance, count, share)
    return min(count, max(0, round(chance.gauss(count * share, spread))))


def _rare(chance, count: int, share: float) -> int:
    """Few successes (or few failures): jump from one to the next."""
    if share > 0.5:
        return count - _rare(chance, count, 1 - share)
    from math import log

    found, at = 0, 0
    while True:
        at += int(log(1 - chance.random()) / log(1 - share)) + 1
        if at > count:
            return found
        found += 1
