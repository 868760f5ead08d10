"""Two leaders for a minute, whose clocks are apart, on a mesh that says nothing: they do not write without end."""

from collections import Counter

import pytest
from simulated.story import Happening

from controller.kube.resources import SELDON_ROLLOUT


@pytest.mark.parametrize("skew", [5.0, -5.0])
def test_the_status_is_written_no_more_than_a_few_times_a_second(begin, skew) -> None:
    world = begin(silent=True)
    writes: Counter[int] = Counter()

    def look(actor: str, event) -> None:
        if event.collection == SELDON_ROLLOUT.name and event.type == "MODIFIED" and actor.startswith("controller"):
            writes[int(world.timeline.now)] += 1

    world.api.watchers.append(look)
    world.people.create(strategy={"canary": {"steps": [{"setWeight": 50}]}})
    world.timeline.run_until(40)
    world.happen(Happening(0.0, "edit", ("good-1",)))
    world.timeline.run_until(60)
    world.happen(Happening(0.0, "second", (60.0, skew)))
    world.timeline.run_until(200)
    assert world.status()["phase"] == "Healthy"
    assert max(writes.values()) < 10
    assert sum(writes.values()) < 80
