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


@pytest.fixture
def look(world):
    """Looks at a rollout with a canary, so many seconds after it was deleted: what is done then."""
    world.steps = [{"setWeight": 20}, {"pause": {}}]
    world.serving().upgrade().run(10)
    world.spec_extra = {"deletionPolicy": "KeepStable", "scaleDownDelay": "40s"}
    began = world.now

    def looked(seconds: float, *, cut_off: bool = False) -> list[actions.Action]:
        world.now, before = began + timedelta(seconds=seconds), world.status
        decision = leave(replace(world.observe(), deleting=began, finalizers=(FINALIZER,)), now=world.now)
        if not any(isinstance(each, actions.DeleteDeployment) for each in decision.actions):
            world.act(decision)
        world.status = before if cut_off else world.status
        return list(decision.actions)

    return looked


def gone(todo: list[actions.Action]) -> list[str]:
    return [each.name for each in todo if isinstance(each, actions.DeleteDeployment)]


def test_a_canary_drains_before_it_goes_with_its_rollout(world, look) -> None:
    assert [type(each) for each in look(0)] == [actions.ApplyRoute]
    assert world.live_weight(world.hash_of("m/v2")) == 0
    assert look(1) == look(39) == []
    assert gone(look(42)) == [f"iris-{world.hash_of('m/v2')}"]


def test_its_time_counts_from_when_the_mesh_took_the_route(world, look) -> None:
    world.accepted = False
    look(0)
    assert look(30) == []
    world.accepted = True
    assert look(35) == look(74) == []
    assert gone(look(76)) == [f"iris-{world.hash_of('m/v2')}"]


def test_and_from_when_it_is_seen_where_a_pass_was_cut_off_before_its_status(world, look) -> None:
    look(25, cut_off=True)
    assert look(30) == look(69) == []
    assert gone(look(71)) == [f"iris-{world.hash_of('m/v2')}"]


def test_where_stable_is_short_of_pods_it_says_that_pods_are_waited_for(world, look) -> None:
    world.ready[world.hash_of("m/v1")] = 1
    look(0)
    assert world.live_weight(world.hash_of("m/v2")) == 10
    blocked = world.status.blocked_on
    assert blocked.kind == "pods"
    assert blocked.message.startswith("the stable revision has 1 of 2 pods ready")
