"""When a live object is applied again, and when not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.drift import HASH_ANNOTATION, differs, signed

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"a": "b"}},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "m",
                        "image": "m:1",
                        "env": [{"name": "X", "value": ""}],
                        "args": ["--a", "1"],
                        "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}},
                        "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}],
                    }
                ],
                "volumes": [{"name": "v", "emptyDir": {}}],
            }
        },
    },
}


def _live(change: Callable[[dict[str, Any]], Any] = lambda _: None) -> dict[str, Any]:
    """Return what a server makes of the object: rewritten quantities, dropped empties, defaults, status."""
    live = copy.deepcopy(signed(WANTED))
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1}
    container = _container(live)
    container["resources"]["limits"] = {"cpu": "500m", "memory": "1024Mi"}
    container["env"] = [{"name": "X"}]
    container["terminationMessagePath"] = "/dev/termination-log"
    live["spec"]["revisionHistoryLimit"] = 10
    live["status"] = {"replicas": 1}
    change(live)
    return live


def _container(obj: dict[str, Any]) -> dict[str, Any]:
    return obj["spec"]["template"]["spec"]["containers"][0]


SAME: dict[str, Callable[[dict[str, Any]], Any]] = {
    "as applied": lambda _: None,
    "another version of the API": lambda obj: obj.update(apiVersion="apps/v2"),
    "a label of others": lambda obj: obj["metadata"]["labels"].update(c="d"),
    "an annotation of others": lambda obj: obj["metadata"]["annotations"].update(c="d"),
    "a variable of others": lambda obj: _container(obj)["env"].insert(0, {"name": "Y", "value": "1"}),
    "a container of others": lambda obj: obj["spec"]["template"]["spec"]["containers"].append({"name": "proxy"}),
    "mounts in another order": lambda obj: _container(obj)["volumeMounts"].reverse(),
}
CHANGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "hash": lambda obj: obj["metadata"]["annotations"].update({HASH_ANNOTATION: "x"}),
    "label taken": lambda obj: obj["metadata"]["labels"].pop("a"),
    "replicas": lambda obj: obj["spec"].update(replicas=3),
    "image": lambda obj: _container(obj).update(image="m:2"),
    "argument": lambda obj: _container(obj).update(args=["--a", "2"]),
    "argument added": lambda obj: _container(obj)["args"].append("--b"),
    "variable taken": lambda obj: _container(obj).update(env=[{"name": "Z"}], args=None),
    "quantity": lambda obj: _container(obj)["resources"]["limits"].update(cpu="501m"),
    "mount": lambda obj: _container(obj)["volumeMounts"].pop(),
    "container taken": lambda obj: obj["spec"]["template"]["spec"].update(containers=[]),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_the_server_and_others_add_is_no_drift(change: Callable[[dict[str, Any]], Any]) -> None:
    assert not differs(signed(WANTED), _live(change))


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_a_change_of_what_we_want_is_drift(change: Callable[[dict[str, Any]], Any]) -> None:
    assert differs(signed(WANTED), _live(change))


def test_something_left_out_of_what_is_wanted_is_a_difference_by_the_hash() -> None:
    less = copy.deepcopy(WANTED)
    del _container(less)["args"]
    assert differs(signed(less), _live())
