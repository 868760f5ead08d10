"""A group of rollouts with real controllers that crash: all are promoted, or none is."""

import json

import pytest
from simulated.api import NAMESPACE_NAME
from simulated.people import template
from simulated.promises import BrokenPromiseError
from simulated.story import Story
from simulated.world import World

from controller.api.meta import INTENT_ANNOTATION
from controller.kube.resources import SELDON_ROLLOUT
from controller.rollout.reconciler import RolloutController

LABELS = {"release": "winter"}
STEPS = {"canary": {"steps": [{"setWeight": 20}, {"analysis": {}}]}}
UNSEEN = {"canary": {"steps": [{"setWeight": 50}]}}
"""Of the second rollout: nobody sends requests to it, so that a person is the judge."""


def group(wave: str) -> dict:
    return {"selector": {"matchLabels": LABELS}, "wave": wave}


class Pair:
    """The rollout that is served, and another of its group."""

    def __init__(self) -> None:
        self.world = World(Story(1, (), rate=15))

    def begin(self) -> None:
        self.world.start_controller()
        self.world.people.create("good-0", strategy=STEPS, group=group("one"))
        self._change(self.world.rollout, {"metadata": {"labels": LABELS}})
        spec = {"template": template("good-0", 1), "strategy": UNSEEN, "group": group("one")}
        meta = {"name": "ranker", "namespace": NAMESPACE_NAME, "labels": LABELS}
        self.world.api.create(SELDON_ROLLOUT, {"metadata": meta, "spec": spec}, actor="kubectl")
        self.world.timeline.run_until(40)

    def _change(self, name: str, patch: dict) -> None:
        self.world.api.merge(SELDON_ROLLOUT, name, patch, actor="kubectl")

    def release(self, model: str) -> None:
        spec = {"template": template("good-1", 1), "group": {"wave": "two"}}
        self._change("ranker", {"spec": spec})
        self._change(self.world.rollout, {"spec": {"template": template(model, 2), "group": {"wave": "two"}}})

    def ask(self, verb: str) -> None:
        intent = json.dumps({"id": "1", "verb": verb, "by": "bob"})
        self._change("ranker", {"metadata": {"annotations": {INTENT_ANNOTATION: intent}}})

    def statuses(self) -> list[dict]:
        found = (self.world.api.find(SELDON_ROLLOUT, name) for name in (self.world.rollout, "ranker"))
        return [each["status"] for each in found]


@pytest.mark.parametrize("crash", [None, (1, True), (2, False)])
@pytest.mark.parametrize(("verb", "number", "phase"), [("pass", 2, "Healthy"), ("abort", 1, "Degraded")])
def test_all_are_promoted_or_none(verb, number, phase, crash) -> None:
    pair = Pair()
    with pair.world.on_simulated_time():
        pair.begin()
        pair.release("good-1")
        pair.world.timeline.run_until(90)
        waits = pair.statuses()[0]["blockedOn"]
        assert (waits["kind"], waits["message"]) == (
            "group",
            "ready to promote; waits for ranker (Progressing: step 2 of 2)",
        )
        if crash is not None:
            pair.world.faults.crash_in.append(crash)
        pair.ask(verb)
        pair.world.timeline.run_until(170)
    assert [(each["phase"], each["stableRevision"]["number"]) for each in pair.statuses()] == [(phase, number)] * 2
    assert pair.world.users.lost == 0


def test_a_bad_one_takes_the_others_back() -> None:
    pair = Pair()
    with pair.world.on_simulated_time():
        pair.begin()
        pair.release("bad-1")
        pair.world.timeline.run_until(150)
    served, other = pair.statuses()
    assert served["rejected"][0]["by"] == "judge"
    assert other["rejected"][0]["by"] == "group"
    assert f"revision 2 of {pair.world.rollout}, which is of the same group, was rolled back" in other["message"]


@pytest.mark.parametrize("name", ["iris", "ranker"])
def test_a_second_status_write_in_a_pass_of_either_is_caught(name, monkeypatch) -> None:
    once = RolloutController._write

    async def twice(self, rollout, status) -> None:
        await once(self, rollout, status)
        if rollout["metadata"]["name"] == name:
            stored = self._cluster.get(SELDON_ROLLOUT, NAMESPACE_NAME, name)
            await once(self, stored, status.model_copy(update={"message": f"{status.message}, again"}))

    monkeypatch.setattr(RolloutController, "_write", twice)
    pair = Pair()
    with pair.world.on_simulated_time(), pytest.raises(BrokenPromiseError, match="one status write a pass"):
        pair.begin()
