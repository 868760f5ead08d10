"""Outlier detection that somebody asks the mesh for: the real controller reads it, wakes for it, and tells it once."""

import pytest
from simulated.story import Happening
from simulated.world import World

from controller.kube.resources import DESTINATION_RULE, NAMESPACE

PACED = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}
RULE = {
    "metadata": {"name": "strict", "namespace": "edge"},
    "spec": {"host": "*.local", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 2}}},
}


def told(world: World) -> list[str]:
    return [each["message"] for each in world.status()["history"] if each["type"] == "RouteHidesFaults"]


@pytest.mark.parametrize("late", [False, True], ids=["before the canary", "while the canary waits for a person"])
def test_a_rule_in_the_gateways_namespace_is_told_once(begin, late) -> None:
    world = begin()
    world.api.create(NAMESPACE, {"metadata": {"name": "edge"}}, actor="kubectl")
    world.people.create("good-0", strategy=PACED, routing={"gateways": ["edge/front"]})
    world.timeline.run_until(40)
    if not late:
        world.api.create(DESTINATION_RULE, RULE, actor="kubectl")
    world.happen(Happening(0.0, "edit", ("good-1",)))
    world.timeline.run_until(100)
    assert world.status()["phase"] == "Paused"
    if late:
        assert told(world) == []
        world.api.create(DESTINATION_RULE, RULE, actor="kubectl")
        world.timeline.run_until(101)
    (said,) = told(world)
    assert said.startswith("DestinationRule edge/strict, spec.trafficPolicy.outlierDetection, takes pods of iris-")
    world.api.merge(DESTINATION_RULE, "strict", {"metadata": {"labels": {"a": "b"}}}, actor="kubectl", namespace="edge")
    world.timeline.run_until(130)
    assert told(world) == [said]
