"""A change of weights, from its decision to the users, on the local cluster with real Envoy and Prometheus.

    make bench-rollout CHANGES=200

Users ask at a steady rate, and every answer is accounted for. Rollouts of up to a hundred steps go through that many
weights, the last to a model that fails. Errors alone are judged: one pod that gets four fifths of the requests is
slower than one that gets a fifth, and the judge finds that within some hundred requests. Times are read from the
objects' events and at the client, on one clock. A step is over when the share of requests that Prometheus has of the
gateway agrees: of the time between two scrapes, both after the mesh took the change; Prometheus scrapes four times a
second here. Goals: 50 ms from the decision to Envoy's acceptance, 1 s to the users and to the verified share, 3 API
writes for each step, no failed request. Where a machine has other work to do, the medians say most.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

from bench.witness import Change, Object, Watcher, Witness
from localcluster.client import ApiClient
from localcluster.reflector import Reflector
from seldon_rollouts import local
from seldon_rollouts.demo import models
from seldon_rollouts.demo.traffic import Users

ROLLOUTS, SELDON, ISTIO = "rollouts.seldon.io/v1alpha1", "machinelearning.seldon.io/v1", "networking.istio.io/v1"
NAMESPACE, NAME = "default", "digits"
ACCEPTED_GOAL, SERVED_GOAL, VERIFIED_GOAL, WRITES_GOAL = 0.05, 1.0, 1.0, 3.0
RATE = 300.0
SCRAPE, SETTLE = 0.25, 0.5
"""Seconds between two scrapes, which is what a verified change mostly costs, and until one is surely stored."""
LONGEST = 100
"""Steps that one rollout may have; more changes take several, one after the other."""
TELL = 20
"""Changes between two words of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: seconds, or a count where the goal is one."""

    case: str
    count: int
    p50: float
    p95: float
    most: float
    goal: float | None = None


def rollout(uri: str, steps: list[Object], number: int = 0) -> Object:
    """A rollout of one model; each number is another revision of it."""
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": uri}
    return {
        "apiVersion": ROLLOUTS,
        "kind": "SeldonRollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "template": {
                "metadata": {"annotations": {"example.com/round": str(number)}},
                "spec": {"predictors": [{"name": "default", "replicas": 1, "graph": graph}]},
            },
            "strategy": {"canary": {"steps": steps}},
            "analysis": {"warmup": "4s", "metrics": [{"errorRate": {}}]},
            "scaleDownDelay": "5s",
        },
    }


def steps_of(changes: int) -> list[Object]:
    """Weights that go up and down, each to be seen at the gateway before the next."""
    return [{"setWeight": 20 if number % 2 else 80} for number in range(changes)]


class Stage:
    """The cluster, with users and a witness."""

    def __init__(self, client: ApiClient, url: str, trained: models.Trained) -> None:
        self.client, self.trained, self.witness, self._url = client, trained, Witness(), url
        self.rollouts = Reflector(client, ROLLOUTS, "seldonrollouts", on_change=self.witness.rollout)
        self.routes = Reflector(client, ISTIO, "virtualservices", on_change=self._route)
        self.children = Reflector(client, SELDON, "seldondeployments", on_change=self.witness.child)

    def users(self) -> Users:
        """Users who have not asked yet."""
        return Users(self._url, self.trained.rows, self.trained.labels, rate=RATE)

    def _route(self, new: Object | None, old: Object | None) -> None:
        if (new or old or {}).get("metadata", {}).get("name") == NAME:
            self.witness.route(new, old)

    def status(self) -> Object:
        """The rollout's status, when it is about what was asked for last."""
        found = self.rollouts.objects.get((NAMESPACE, NAME)) or {"metadata": {}}
        status = found.get("status") or {}
        return status if status.get("observedGeneration") == found["metadata"].get("generation") else {}

    async def until(self, check: Callable[[], bool], seconds: float) -> None:
        """Wait for something of the cluster.

        Raises:
            TimeoutError: it did not come in time.
            RuntimeError: the rollout was rolled back, and something else was waited for.
        """
        async with asyncio.timeout(seconds):
            while not check():
                if self.status().get("phase") == "Degraded":
                    raise RuntimeError(f"rolled back: {self.status().get('message')}")
                self.rollouts.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.rollouts.changed.wait(), 0.5)

    async def apply(self, obj: Object) -> None:
        """Write the rollout."""
        await self.client.apply(ROLLOUTS, "seldonrollouts", obj)


async def measure(folder: Path, changes: int) -> list[Row]:
    """Start the cluster, measure, end it."""
    trained = models.train(folder / "models")
    async with local.cluster(folder / "cluster", pace=local.Pace(1.0, SETTLE, SCRAPE)) as cluster:
        at = cluster.addresses
        url = f"{at.gateway_url}/seldon/{NAMESPACE}/{NAME}/api/v1.0/predictions"
        async with ApiClient.from_kubeconfig(at.kubeconfig) as client:
            stage = Stage(client, url, trained)
            for reflector in (stage.rollouts, stage.routes, stage.children):
                reflector.start()
                await reflector.synced()
            try:
                return [*await _changes(stage, changes), *await _bad_model(stage)]
            finally:
                for reflector in (stage.rollouts, stage.routes, stage.children):
                    await reflector.stop()


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of all rounds."""

    seen: list[Change] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    """Seconds from a decision to the users."""
    verified: list[float] = field(default_factory=list)
    """Seconds from a decision to the next, for which the gateway's counts had to agree."""
    steps: int = 0
    seconds: float = 0.0
    writes: int = 0
    figures: int = 0


async def _changes(stage: Stage, changes: int) -> list[Row]:
    """Rollouts through all the weights, one after the other, under load."""
    await stage.apply(rollout(stage.trained.uris[0], steps_of(1)))
    await stage.until(lambda: stage.status().get("phase") == "Healthy", 120)
    users = stage.users()
    watcher, tally = Watcher(users), Tally()
    asking, watching = asyncio.create_task(users.run()), asyncio.create_task(watcher.run())
    for number, left in enumerate(range(changes, 0, -LONGEST), start=1):
        steps = steps_of(min(left, LONGEST))
        await _round(stage, watcher, tally, rollout(stage.trained.uris[number % 2], steps, number))
        print(f"{tally.steps:4} changes of {changes} measured", flush=True)
    users.stop()
    await asking
    watching.cancel()
    done, seconds = tally.steps, tally.seconds
    return [
        _row("decided to written", [each.written - each.decided for each in tally.seen]),
        _row("decided to accepted by Envoy", [(each.accepted or 0) - each.decided for each in tally.seen],
             ACCEPTED_GOAL),
        _row("decided to served at the gateway", tally.served, SERVED_GOAL),
        _row("decided to verified, and on to the next", tally.verified, VERIFIED_GOAL),
        _each("API writes for each step", tally.writes, done, WRITES_GOAL),
        _each("status writes of figures and verdicts, a second", tally.figures, seconds),
        Row(case="failed requests", count=users.sent, p50=0, p95=0, most=len(users.failures), goal=0),
    ]  # fmt: skip


async def _round(stage: Stage, watcher: Watcher, tally: Tally, wanted: Object) -> None:
    """One rollout through its steps, up to its promotion."""
    before, witness, steps = len(stage.witness.changes), stage.witness, wanted["spec"]["strategy"]["canary"]["steps"]
    await stage.apply(wanted)
    await stage.until(lambda: "canaryRevision" in stage.status() and stage.status()["currentStepIndex"] >= 1, 120)
    figures, began = witness.figures, time.monotonic()
    first, canary = stage.status()["currentStepIndex"], stage.status()["canaryRevision"]["hash"]
    for goal in (*range(TELL, len(steps), TELL), len(steps)):
        await stage.until(lambda goal=goal: stage.status().get("currentStepIndex", 0) >= goal, 20 * TELL)
        print(f"{goal:4} of this rollout's {len(steps)} after {time.monotonic() - began:.0f} s", flush=True)
    tally.writes += witness.between(canary, first, len(steps))
    tally.figures += witness.figures - figures
    tally.seconds += time.monotonic() - began
    tally.steps += len(steps) - first
    seen = [each for each in witness.changes[before:][: len(steps)] if each.accepted is not None and each.decided]
    await stage.until(lambda: stage.status().get("phase") == "Healthy", 300)
    tally.seen += seen
    tally.served += [(watcher.served(canary, each.weight, each.decided) or 0) - each.decided for each in seen]
    tally.verified += [after.decided - before.decided for before, after in pairwise(seen)]


async def _bad_model(stage: Stage) -> list[Row]:
    """From the first bad answer to the decision, to weight 0 and to the last bad answer."""
    users = stage.users()
    watcher = Watcher(users)
    tasks = asyncio.create_task(users.run()), asyncio.create_task(watcher.run())
    await stage.apply(rollout(stage.trained.uris[2], [{"setWeight": 20}, {"analysis": {}}]))
    await stage.until(lambda: stage.status().get("phase") == "Degraded", 300)
    await asyncio.sleep(1)  # for answers that were under way
    users.stop()
    await tasks[0]
    tasks[1].cancel()
    gone = next(each for each in reversed(stage.witness.changes) if each.weight == 0)
    taken, bad = gone.accepted or gone.written, float(len(users.failures))
    return [
        _row("first bad answer to weight 0 accepted", [taken - watcher.first]),
        _row("weight 0 accepted to the last bad answer", [max(watcher.last - taken, 0.0)]),
        Row(case="bad answers", count=users.sent, p50=bad, p95=bad, most=bad),
    ]


def _each(case: str, count: int, among: float, goal: float | None = None) -> Row:
    return Row(case=case, count=count, p50=count / among, p95=count / among, most=count / among, goal=goal)


def _row(case: str, values: list[float], goal: float | None = None) -> Row:
    ordered = sorted(values)
    high = quantiles(ordered, n=20, method="inclusive")[-1] if len(ordered) > 1 else ordered[-1]
    return Row(case=case, count=len(ordered), p50=median(ordered), p95=high, most=ordered[-1], goal=goal)


def table(rows: list[Row]) -> Iterator[str]:
    """The rows as text."""
    yield f"{'case':48}{'count':>8}{'median':>10}{'95 %':>10}{'most':>10}{'goal':>8}"
    for row in rows:
        goal = f"{row.goal:8g}" if row.goal is not None else f"{'':8}"
        yield f"{row.case:48}{row.count:8}{row.p50:10.3f}{row.p95:10.3f}{row.most:10.3f}{goal}"


def missed(row: Row) -> bool:
    """Whether a row's median, or a count that must be 0, is over its goal."""
    return row.goal is not None and (row.most if row.goal == 0 else row.p50) > row.goal


def main() -> int:
    """Return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="bench-rollout", description=__doc__)
    parser.add_argument("--changes", type=int, default=200, help="weights that a rollout goes through")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), options.changes))
    print("\n".join(table(rows)))
    options.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    over = [row.case for row in rows if missed(row)]
    if over:
        print("over its goal: " + ", ".join(over))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
