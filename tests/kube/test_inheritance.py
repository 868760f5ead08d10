"""What an operator before us owned is ours, once and whole."""

from typing import Any

from controller.kube.inheritance import inherited

Object = dict[str, Any]


def entry(manager: str, operation: str, fields: Object, **more: str) -> Object:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


PERSON = entry("kubectl-edit", "Update", {"f:data": {"f:z": {}}})
STATUS = entry("manager", "Update", {"f:status": {}}, subresource="status")
OLD = entry("manager", "Update", {"f:data": {"f:a": {}}})
OLDER = entry("manager", "Update", {"f:data": {"f:b": {}}, "f:spec": {}}, apiVersion="v1alpha3")
OURS = entry("seldon-rollouts", "Apply", {"f:data": {"f:c": {}}})


def test_updates_of_the_other_manager_become_one_apply_of_ours() -> None:
    taken = inherited([PERSON, STATUS, OLDER, OURS, OLD], of="manager")
    everything = {"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}, "f:spec": {}}
    assert taken == [entry("seldon-rollouts", "Apply", everything), PERSON, STATUS]


def test_there_is_nothing_to_take_twice() -> None:
    taken = inherited([PERSON, OLD], of="manager")
    assert taken is not None
    assert inherited(taken, of="manager") is None
    assert inherited([], of="manager") is None
