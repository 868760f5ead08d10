"""What passes of the rollout controller cost, and how many there are: CPU of observing and deciding.

    make bench-passes

On simulated time, against the store of the embedded API server; that is the simulation's world, and only what the
controller does itself is counted: the reading of the caches (`observe`) and the decision, by the CPU of this process.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.kube.resources import ANALYSIS_RUN, ANALYSIS_TEMPLATE, SELDON_ROLLOUT
from controller.rollout import reconciler

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulation"))

from simulated.api import NAMESPACE_NAME
from simulated.measuring import Measuring
from simulated.people import template
from simulated.story import Story
from simulated.world import World

LABELS = {"release": "winter"}
STEPS = {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setWeight": 50}]}}


@dataclass(slots=True)
class Row:
    """One line: passes, and milliseconds of CPU for each."""

    case: str
    passes: int = 0
    observing: float = 0.0
    deciding: float = 0.0

    def timed(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts what a call of it costs."""

        def call(*told: Any, **more: Any) -> Any:
            began = time.process_time()
            try:
                return real(*told, **more)
            finally:
                setattr(self, name, getattr(self, name) + time.process_time() - began)
                self.passes += name == "deciding"

        return call


@contextmanager
def counted(row: Row) -> Iterator[None]:
    """Count the passes meanwhile."""
    observe, decide = reconciler.observe, reconciler.decide
    reconciler.observe = row.timed("observing", observe)  # type: ignore[assignment]
    reconciler.decide = row.timed("deciding", decide)  # type: ignore[assignment]
    try:
        yield
    finally:
        reconciler.observe, reconciler.decide = observe, decide


def passes_with_templates(count: int, templates: int) -> Row:
    """Passes of one rollout whose analysis names some templates and has left AnalysisRuns behind."""
    row = Row(f"a rollout with {templates} templates and their runs")
    world = World(Story(1, ()))
    measuring = Measuring(world.timeline, world.api, lambda _run: (5.0, "Successful"))
    names = [f"rate-{number}" for number in range(templates)]
    named = {"templates": [{"templateName": name} for name in names]}
    with world.on_simulated_time():
        for name in names:
            measuring.template(name)
            metrics = [
                {
                    "name": f"{name}-{at}",
                    "interval": "30s",
                    "count": 5,
                    "provider": {"prometheus": {"query": "vector(1)"}},
                }
                for at in range(5)
            ]
            world.api.merge(ANALYSIS_TEMPLATE, name, {"spec": {"metrics": metrics}}, actor="kubectl")
        process = world.start_controller()
        strategy = {"canary": {"steps": [{"setWeight": 20}, {"analysis": named}, {"setWeight": 50}]}}
        world.people.create(strategy=strategy, analysis=named)
        for number in range(1, 6):
            world.timeline.run_until(world.timeline.now + 300)
            world.people.do_edit(f"good-{number}")
        world.timeline.run_until(world.timeline.now + 300)
        assert len(world.api.all(ANALYSIS_RUN)) >= 4, "runs that are over stay"
        with counted(row):
            for _ in range(count):
                process.add(process.rooms[0], world.key)
                world.timeline.run_until(world.timeline.now + 1)
    return row


def release_of_a_group(members: int) -> Row:
    """All passes from a new wave of a group to its promotion."""
    row = Row(f"a group of {members}, from the edit to the promotion")
    world = World(Story(1, (), rate=100))
    names = [world.rollout, *(f"ranker-{number}" for number in range(members - 1))]
    with world.on_simulated_time():
        world.start_controller()
        for name in names:
            meta = {"name": name, "namespace": NAMESPACE_NAME, "labels": LABELS}
            spec = {"template": template("good-0", 1), "strategy": STEPS, "group": _group("one")}
            world.api.create(SELDON_ROLLOUT, {"metadata": meta, "spec": spec}, actor="kubectl")
        world.users.others += names[1:]
        world.timeline.run_until(100)
        with counted(row):
            for name in names:
                change = {"template": template("good-1", 1), "group": _group("two")}
                world.api.merge(SELDON_ROLLOUT, name, {"spec": change}, actor="kubectl")
            world.timeline.run_until(1500)
        found = [(world.api.find(SELDON_ROLLOUT, name) or {})["status"] for name in names]
        assert all(each["phase"] == "Healthy" and each["stableRevision"]["number"] == 2 for each in found), [
            each["message"] for each in found
        ]
    return row


def _group(wave: str) -> dict[str, Any]:
    return {"selector": {"matchLabels": LABELS}, "wave": wave}


def table(rows: list[Row]) -> Iterator[str]:
    """The rows as text."""
    yield f"{'case':52}{'passes':>8}{'observe':>12}{'decide':>12}{'all':>10}"
    for row in rows:
        each = [1000 * seconds / row.passes for seconds in (row.observing, row.deciding)]
        whole = row.observing + row.deciding
        yield f"{row.case:52}{row.passes:8}{each[0]:9.2f} ms{each[1]:9.2f} ms{whole:8.2f} s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench-passes", description=__doc__)
    parser.add_argument("--passes", type=int, default=500)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows = [passes_with_templates(asked.passes, 4), release_of_a_group(asked.members)]
    print(json.dumps([asdict(row) for row in rows]) if asked.json else "\n".join(table(rows)))


if __name__ == "__main__":
    main()
