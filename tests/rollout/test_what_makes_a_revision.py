"""A revision is a whole SeldonDeployment: whatever of it is changed goes through the steps; its size does not."""

import copy
from typing import Any

import pytest

CONTAINER = {"name": "classifier", "image": "example.com/model:2"}


def _predictor(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["predictors"][0]


CHANGES = {
    "model": lambda t: _predictor(t["spec"])["graph"].update(modelUri="m/other"),
    "server": lambda t: _predictor(t["spec"])["graph"].update(implementation="XGBOOST_SERVER"),
    "a parameter": lambda t: _predictor(t["spec"])["graph"].update(
        parameters=[{"name": "method", "value": "predict", "type": "STRING"}]
    ),
    "a node before it": lambda t: _predictor(t["spec"]).update(
        graph={"name": "scale", "type": "TRANSFORMER", "children": [_predictor(t["spec"])["graph"]]}
    ),
    "protocol": lambda t: t["spec"].update(protocol="v2"),
    "an annotation": lambda t: t.update(metadata={"annotations": {"seldon.io/executor-logger-queue-size": "10"}}),
    "image": lambda t: _predictor(t["spec"]).update(componentSpecs=[{"spec": {"containers": [CONTAINER]}}]),
    "autoscaling": lambda t: _predictor(t["spec"]).update(
        componentSpecs=[{"hpaSpec": {"minReplicas": 2, "maxReplicas": 5}, "spec": {"containers": [CONTAINER]}}]
    ),
    "orchestrator": lambda t: _predictor(t["spec"]).update(svcOrchSpec={"env": [{"name": "A", "value": "1"}]}),
    "a second predictor": lambda t: t["spec"]["predictors"].append(
        {**copy.deepcopy(_predictor(t["spec"])), "name": "second"}
    ),
}


@pytest.fixture
def edited(world, monkeypatch):
    """Edits the template of a rollout that serves."""

    def edit(change) -> dict[str, Any]:
        world.serving()
        found = world.template()
        change(found)
        monkeypatch.setattr(type(world), "template", lambda _self: copy.deepcopy(found))
        world.run(8)
        return found

    return edit


@pytest.mark.parametrize("what", list(CHANGES))
def test_whatever_is_changed_is_a_canary_that_has_it(world, edited, what: str) -> None:
    before = copy.deepcopy(world.template()["spec"])
    found = edited(CHANGES[what])
    canary = world.status.canary_revision
    assert (world.status.phase, canary.number, canary.weight) == ("Progressing", 2, 20)
    assert world.children[canary.hash]["spec"] == found["spec"]
    assert world.children[world.status.stable_revision.hash]["spec"] == before, "stable is as it was"


@pytest.mark.parametrize("replicas", [1, 5])
def test_its_size_is_no_revision(world, edited, replicas: int) -> None:
    edited(lambda t: _predictor(t["spec"]).update(replicas=replicas))
    assert (world.status.phase, world.status.canary_revision) == ("Healthy", None)
    (child,) = world.children.values()
    assert child["spec"]["predictors"][0]["replicas"] == replicas
