"""Two rollouts that are changed together, with real controllers: one begins when the other is done."""

import logging

from simulated.api import NAMESPACE_NAME
from simulated.people import template
from simulated.story import Story
from simulated.world import World

from controller.kube.resources import SELDON_ROLLOUT


def test_a_dependent_begins_when_what_it_depends_on_is_done() -> None:
    logging.disable(logging.CRITICAL)
    world = World(Story(1, ()), rollout="features")
    with world.on_simulated_time():
        world.start_controller()
        world.people.create("good-0")
        steps = {"canary": {"steps": [{"setWeight": 50}]}}
        spec = {"template": template("good-0", 1), "strategy": steps, "dependsOn": [{"name": "features"}]}
        world.api.create(
            SELDON_ROLLOUT, {"metadata": {"name": "iris", "namespace": NAMESPACE_NAME}, "spec": spec}, actor="kubectl"
        )
        world.timeline.run_until(60)
        seen = []

        def look(_actor, event) -> None:
            if event.collection == SELDON_ROLLOUT.name and event.key[1] == "iris":
                done = world.status()["phase"] == "Healthy" and world.status()["stableRevision"]["number"] == 2
                seen.append((done, event.entry.object["status"]["phase"]))

        world.people.do_edit("good-1")
        world.api.merge(SELDON_ROLLOUT, "iris", {"spec": {"template": template("good-1", 1)}}, actor="kubectl")
        world.api.watchers.append(look)
        world.timeline.run_until(400)
    logging.disable(logging.NOTSET)
    assert (True, "Progressing") in seen
    assert {phase for done, phase in seen if not done} == {"Healthy"}
