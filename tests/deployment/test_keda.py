"""KEDA: a ScaledObject in the place of an autoscaler, where KEDA is; and what is said where it is not."""

from collections.abc import Callable
from typing import Any

from controller.deployment.subject import Subject

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]
TRIGGERS = [{"type": "cron", "metadata": {"timezone": "UTC"}}]
SCALED = ("ScaledObject", "iris-default-0-classifier")


def _scaled(make_model: Make, **more: Any) -> dict[str, Any]:
    raw = make_model(**more)
    component = {
        "spec": {"containers": [{"name": "classifier"}]},
        "kedaSpec": {"maxReplicaCount": 4, "triggers": TRIGGERS},
        "hpaSpec": {"maxReplicas": 9},
    }
    raw["spec"]["predictors"][0]["componentSpecs"] = [component]
    return raw


def test_a_scaled_object_wins_over_an_autoscaler(world: Any, subject_for: Read, make_model: Make) -> None:
    status = world.converge(subject_for(_scaled(make_model)))
    assert status.state == "Available"
    assert not any(kind == "HorizontalPodAutoscaler" for kind, _ in world.objects)
    assert world.objects[SCALED]["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": SCALED[1]},
        "maxReplicaCount": 4,
        "triggers": TRIGGERS,
    }


def test_the_number_of_pods_is_kedas(world: Any, subject_for: Read, make_model: Make) -> None:
    subject = subject_for(_scaled(make_model, replicas=2))
    world.converge(subject)
    world.objects["Deployment", SCALED[1]]["spec"]["replicas"] = 4
    world.settle()
    before = len(world.writes)
    world.converge(subject)
    assert len(world.writes) == before


def test_zero_replicas_switch_keda_off(world: Any, subject_for: Read, make_model: Make) -> None:
    world.converge(subject_for(_scaled(make_model)))
    world.converge(subject_for(_scaled(make_model, replicas=0)))
    assert SCALED not in world.objects


def test_where_keda_is_missing_the_model_serves_and_a_condition_says_that_nothing_scales_it(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.keda = False
    status = world.converge(subject_for(_scaled(make_model)))
    conditions = {each.type: each for each in status.conditions}
    assert (status.state, SCALED in world.objects) == ("Available", False)
    assert (conditions["KedaReady"].status, conditions["Ready"].status) == ("False", "False")
    assert "install KEDA" in conditions["KedaReady"].message
    world.keda = True
    status = world.converge(subject_for(_scaled(make_model)))
    assert {each.type: each.status for each in status.conditions}["Ready"] == "True"
    assert SCALED in world.objects
