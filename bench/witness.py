"""What is seen of a rollout: its changes of weights, by when they came to each place, and its writes."""

import asyncio
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from seldon_rollouts.demo.traffic import Users

Object = dict[str, Any]


@dataclass(slots=True)
class Change:
    """One change of the weights, by the instants at which it came to each place."""

    weight: float
    decided: float
    written: float
    accepted: float | None = None


@dataclass(slots=True)
class Witness:
    """Sees what is written, and when."""

    changes: list[Change] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    """Those that moved the rollout on, by the versions that they led to: the server counts all objects' as one."""
    figures: int = 0
    """Status writes that told figures or a verdict only: one for each look of the judge, while there is traffic."""
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    """The version of the status that first told of a canary's step."""

    def route(self, new: Object | None, old: Object | None) -> None:
        """A VirtualService: another generation is a write of ours, a condition the mesh's answer."""
        if new is None:
            return
        now, generation = time.time(), new["metadata"]["generation"]
        if old is None or old["metadata"]["generation"] != generation:
            self.writes.append(_version(new))
            self.changes.append(Change(_weight(new), 0.0, now))
        if self.changes and self.changes[-1].accepted is None and _accepted(new, generation):
            self.changes[-1].accepted = now

    def rollout(self, new: Object | None, old: Object | None) -> None:
        """A rollout: its status says when the weights were decided on."""
        status = (new or {}).get("status") or {}
        before = (old or {}).get("status") or {}
        if new is not None and old is not None and status != before:
            moved = _moved(status) != _moved(before)
            self.writes += [_version(new)] if moved else []
            self.figures += not moved
        if new is not None and (canary := status.get("canaryRevision")):
            self.reached.setdefault((canary["hash"], status.get("currentStepIndex", 0)), _version(new))
        changed = (status.get("weights") or {}).get("changedAt")
        if changed and self.changes and not self.changes[-1].decided:
            self.changes[-1].decided = datetime.fromisoformat(changed).timestamp()

    def child(self, new: Object | None, old: Object | None) -> None:
        """A revision's SeldonDeployment: all but its status is written by the rollout controller."""
        found = new or old
        if found is not None and (new is None or old is None or new.get("status") == old.get("status")):
            self.writes.append(_version(found))

    def between(self, canary: str, first: int, last: int) -> int:
        """Return how many writes took a canary from one step to another."""
        since, until = self.reached[canary, first], self.reached[canary, last]
        return sum(since < version <= until for version in self.writes)


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _moved(status: Object) -> tuple[Any, ...]:
    """All of a status that is not a figure, a verdict or a sentence about one.

    Counts that speak against a weight move the instant from which it counts: that is told with them, in one write.
    """
    weights = dict(status.get("weights") or {})
    weights.pop("observed", None)
    weights["acceptedAt"] = "acceptedAt" in weights
    analysis = status.get("analysis") or {}
    told = (analysis.get("startedAt"), analysis.get("restarts"))
    kept = ("phase", "currentStepIndex", "stableRevision", "canaryRevision", "retiredRevisions", "history")
    return (*(status.get(key) for key in kept), (status.get("blockedOn") or {}).get("kind"), weights, told)


def _weight(route: Object) -> float:
    """The percent of whoever is not first."""
    (rest,) = [each for each in route["spec"]["http"] if each.get("name") == "rest"]
    parts = [part.get("weight", 100) for part in rest["route"]]
    return 100.0 * sum(parts[1:]) / sum(parts)


def _accepted(route: Object, generation: int) -> bool:
    conditions = (route.get("status") or {}).get("conditions") or []
    return any(
        each.get("status") == "True" and int(each.get("observedGeneration", 0)) == generation for each in conditions
    )


class Watcher:
    """Looks at the users' answers and failures a hundred times a second."""

    def __init__(self, users: Users) -> None:
        self.users, self.first, self.last = users, 0.0, 0.0
        self.seen: list[tuple[float, dict[str, int]]] = []
        """(when, answers of each revision so far)."""

    async def run(self) -> None:
        """Look until cancelled."""
        known = 0
        while True:
            now = time.time()
            self.seen.append((now, {revision: tally.requests for revision, tally in self.users.tallies.items()}))
            if len(self.users.failures) > known:
                known, self.last = len(self.users.failures), now
                self.first = self.first or now
            await asyncio.sleep(0.01)

    def served(self, canary: str, weight: float, since: float) -> float | None:
        """Return when users began to see a weight: the first fifth of a second in which its side has the most."""
        times = [at for at, _ in self.seen]
        for at in range(bisect_left(times, since), len(times)):
            until = bisect_left(times, times[at] + 0.2)
            if until == len(times):
                return None
            before, after = self.seen[at][1], self.seen[until][1]
            total = sum(after.values()) - sum(before.values())
            share = (after.get(canary, 0) - before.get(canary, 0)) / total if total else 0.5
            if total >= 20 and (share > 0.5) == (weight > 50):
                return times[at]
        return None
