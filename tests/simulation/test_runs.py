"""Random stories of a rollout with templates: controllers that crash, writes that fail; people who delete."""

import random
from collections.abc import Callable

import pytest
from simulated.api import Object
from simulated.measuring import OVER, Measuring
from simulated.story import Happening, Story, draw
from simulated.world import World

from controller.api.meta import ATTEMPT_LABEL, REVISION_LABEL, RUN_LABEL
from controller.kube.resources import ANALYSIS_RUN, ANALYSIS_TEMPLATE, SELDON_ROLLOUT

NAMED = {"templates": [{"templateName": "rate"}]}
STRATEGIES = (
    {"canary": {"steps": [{"setWeight": 20}, {"analysis": NAMED}, {"setWeight": 50}]}},
    {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": "30s"}}, {"analysis": NAMED}]}},
    {"blueGreen": {"prePromotionAnalysis": NAMED, "postPromotionAnalysis": NAMED}},
)
TROUBLE = frozenset({"edit", "storm", "slow", "crash", "prometheus", "second", "cut", "replay", "deaf"})
NOTICED = 30.0
"""Seconds after which a controller knows what became of a run, crashes and failed writes between included."""


class Runs:
    """A world with templates, and what is promised of its runs."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"{seed}/runs")
        self.world = World(Story(seed, ()))
        self.measuring = Measuring(self.world.timeline, self.world.api, self._end)
        self.world.api.watchers.append(self._promised)
        self.promoted = self.failed = 0

    def _end(self, _: Object) -> tuple[float, str] | None:
        phase = self.chance.choice(["Successful", "Successful", "Successful", "Failed", "Inconclusive", "Error"])
        return self.chance.choice([3.0, 40.0, 150.0]), phase

    def _promised(self, _actor: str, event) -> None:
        if event.collection != SELDON_ROLLOUT.name or event.type == "DELETED":
            return
        new, old = (self._stable(obj) for obj in (event.entry.object, event.previous or {}))
        if old is None or new is None or new == old:
            return
        self.promoted += 1
        attempt = str(event.entry.object["status"].get("attempt"))
        for run in self.world.api.all(ANALYSIS_RUN):
            labels = run["metadata"]["labels"]
            at, phase = self.measuring.ended.get(run["metadata"]["uid"], (0.0, ""))
            known = phase == "Failed" and self.world.timeline.now - at > NOTICED
            assert not (known and (labels[REVISION_LABEL], labels[ATTEMPT_LABEL]) == (new, attempt)), labels

    @staticmethod
    def _stable(obj: Object) -> str | None:
        return ((obj.get("status") or {}).get("stableRevision") or {}).get("hash")

    def delete_a_run(self) -> None:
        going = self.measuring.going()
        if going:
            name = self.chance.choice(sorted(run["metadata"]["name"] for run in going))
            self.world.api.delete(ANALYSIS_RUN, name, actor="kubectl")

    def take_the_template(self) -> None:
        self.world.api.delete(ANALYSIS_TEMPLATE, "rate", actor="kubectl")
        self.world.timeline.after(60.0, self.measuring.template)

    def play(self, happenings: list[Happening], strategy: Object) -> None:
        world = self.world
        more: list[Callable[[], None]] = [self.delete_a_run, self.take_the_template]
        with world.on_simulated_time():
            self.measuring.template()
            world.start_controller()
            world.people.create(strategy=strategy, analysis=NAMED)
            world.timeline.run_until(30.0)
            world.people.do_edit("good-1")
            for happening in happenings:
                world.timeline.run_until(world.timeline.now + happening.after)
                world.happen(happening)
                if self.chance.random() < 0.3 and self.world.api.find(ANALYSIS_TEMPLATE, "rate"):
                    self.chance.choice(more)()
            world.timeline.run_until(world.timeline.now + 65.0)
            world.ending.heal()
            world.ending.come_to_rest()


@pytest.mark.parametrize("seed", range(6))
def test_a_story(seed: int) -> None:
    runs = Runs(seed)
    happenings = [each for each in draw(seed, 24).happenings if each.kind in TROUBLE]
    runs.play(happenings, STRATEGIES[seed % len(STRATEGIES)])
    world, status = runs.world, runs.world.status()
    roles = [run["metadata"]["labels"][RUN_LABEL] for run in runs.measuring.going()]
    assert len(roles) == len(set(roles))
    assert status["phase"] == "Paused" or roles == [], "at rest nothing is measured"
    told = {each["name"]: each["phase"] for each in status["analysis"]["runs"]}
    there = {run["metadata"]["name"]: runs.measuring.phase(run) for run in world.api.all(ANALYSIS_RUN)}
    assert told == {name: there[name] for name in told}
    kept = [name for name, phase in there.items() if phase in OVER]
    assert len(kept) <= 2 * 5 + 4, "the oldest go"
