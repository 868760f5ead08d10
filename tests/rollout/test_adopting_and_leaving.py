"""Taking over and leaving: what was there is known again, and nobody goes before connections had time to end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.api.meta import ADOPTED_ANNOTATION, BEFORE_ANNOTATION, CONTROLLER_ID_LABEL, FINALIZER
from controller.rollout import actions, adoption
from controller.rollout.leaving import leave

SPEC = {"predictors": [{"name": "default", "graph": {"name": "classifier", "modelUri": "m/v1"}}]}


def test_a_seldondeployment_that_was_marked_is_the_same_revision_as_before() -> None:
    """Else the mark itself would pass for a new version."""
    live = {
        "metadata": {
            "name": "iris",
            "labels": {CONTROLLER_ID_LABEL: "theirs", "team": "ml"},
            "annotations": {"seldon.io/rest-timeout": "9"},
        },
        "spec": SPEC,
    }
    before = '{"controllerId":"theirs"}'
    marks = {ADOPTED_ANNOTATION: "u1", BEFORE_ANNOTATION: before}
    marked = {
        "metadata": {
            "name": "iris",
            "labels": {CONTROLLER_ID_LABEL: adoption.NOBODY, "team": "ml"},
            "annotations": {"seldon.io/rest-timeout": "9", **marks},
        },
        "spec": SPEC,
    }
    assert adoption.template(marked) == adoption.template(live)
    assert adoption.template(live)["metadata"]["labels"] == {CONTROLLER_ID_LABEL: "theirs", "team": "ml"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"]}, ""),
        ({"hosts": ["shop.example.com"], "gateways": ["istio-system/seldon-gateway"]}, ""),
        (
            {"hosts": ["a.example.com", "*"], "gateways": ["ml/own"]},
            "gateways ml/own: write them in spec.routing.gateways",
        ),
        ({"hosts": ["*"]}, "gateways mesh: write them in spec.routing.gateways"),
    ],
)
def test_what_a_rollout_would_no_longer_answer_is_said_before_it_takes_over(spec, said) -> None:
    found = adoption.objection({"spec": spec}, ("*",), ("istio-system/seldon-gateway",), "SeldonDeployment ml/iris")
    assert bool(found) == bool(said)
    assert said in found


def test_hosts_of_its_own_have_to_have_all_that_is_taken_over() -> None:
    spec = {"hosts": ["a.example.com", "b.example.com"], "gateways": ["mesh"]}
    found = adoption.objection({"spec": spec}, ("a.example.com",), ("mesh",), "SeldonDeployment ml/iris")
    assert found == (
        "SeldonDeployment ml/iris is served at hosts b.example.com: write them in spec.routing.hosts to take it over"
    )


def test_a_canary_drains_before_it_goes_with_its_rollout(world) -> None:
    world.steps = [{"setWeight": 20}, {"pause": {}}]
    world.serving().upgrade().run(10)
    world.spec_extra = {"deletionPolicy": "KeepStable", "scaleDownDelay": "40s"}
    began = world.now

    def look(seconds: float) -> list[actions.Action]:
        world.now = began + timedelta(seconds=seconds)
        decision = leave(replace(world.observe(), deleting=began, finalizers=(FINALIZER,)), now=world.now)
        if any(isinstance(each, actions.DeleteDeployment) for each in decision.actions):
            return list(decision.actions)
        world.act(decision)
        return list(decision.actions)

    assert [type(each) for each in look(0)] == [actions.ApplyRoute]
    assert world.live_weight(world.hash_of("m/v2")) == 0
    assert look(1) == look(39) == []
    gone = [each.name for each in look(41) if isinstance(each, actions.DeleteDeployment)]
    assert gone == [f"iris-{world.hash_of('m/v2')}"]
