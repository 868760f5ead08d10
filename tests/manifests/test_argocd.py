"""What Argo CD makes of our kinds, by the scripts that we ship, in a real Lua 5.1 as Argo CD has."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime, lua_type

from controller.api.meta import INTENT_ANNOTATION
from controller.kube.resources import SELDON_DEPLOYMENT, SELDON_ROLLOUT
from controller.rollout.intents import parse_intent
from controller.rollout.phases import Event, Phase, legal

PATCH = yaml.safe_load((Path(__file__).parents[2] / "manifests" / "argocd" / "argocd-cm.yaml").read_text("utf-8"))
ACTIONS = yaml.safe_load(PATCH["data"]["resource.customizations.actions.rollouts.seldon.io_SeldonRollout"])
VERBS = ("promote", "promote-full", "abort", "retry", "pause", "resume")
HEALTH = {
    "Pending": "Progressing", "Progressing": "Progressing", "Promoting": "Progressing", "RollingBack": "Progressing",
    "Paused": "Suspended", "Healthy": "Healthy", "Shadowed": "Healthy", "Degraded": "Degraded", "Invalid": "Degraded",
}  # fmt: skip


def to_lua(lua: LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: to_lua(lua, each) for key, each in value.items()})
    return lua.table_from([to_lua(lua, each) for each in value]) if isinstance(value, list) else value


def from_lua(value: Any) -> Any:
    return {key: from_lua(each) for key, each in value.items()} if lua_type(value) == "table" else value


def run(script: str, obj: dict[str, Any]) -> dict[str, Any]:
    """Run a script as Argo CD does: the object is the global `obj`, and what it returns is the answer."""
    lua = LuaRuntime(register_eval=False)
    lua.globals().obj = to_lua(lua, obj)
    return from_lua(lua.execute(script))


def health(kind: Any, obj: dict[str, Any]) -> tuple[str, str]:
    script = PATCH["data"][f"resource.customizations.health.{kind.group}_{kind.kind}"]
    found = run(script, obj)
    return found["status"], found["message"]


def rollout(phase: str, *, ready: str = "True", generation: int = 3) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    status = {"phase": phase, "message": f"it is {phase}", "observedGeneration": 3, "conditions": conditions}
    return {"metadata": {"name": "iris", "generation": generation, "resourceVersion": "71"}, "status": status}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_health(phase: Phase) -> None:
    assert health(SELDON_ROLLOUT, rollout(phase)) == (HEALTH[phase], f"it is {phase}")


def test_an_approval_that_is_waited_for_suspends() -> None:
    waiting = rollout("Progressing")
    waiting["status"]["blockedOn"] = {"kind": "person", "message": "waiting for somebody to approve owner"}
    assert health(SELDON_ROLLOUT, waiting)[0] == "Suspended"


def test_a_first_revision_that_cannot_start_is_degraded() -> None:
    stuck = rollout("Pending", ready="False")
    stuck["status"]["conditions"].append({"type": "Stalled", "status": "True"})
    assert health(SELDON_ROLLOUT, stuck)[0] == "Degraded"


@pytest.mark.parametrize(
    "obj",
    [{"metadata": {"generation": 1}}, rollout("Healthy", generation=4), rollout("Healthy", ready="False")],
    ids=["new", "changed since", "short of pods"],
)
def test_what_is_not_done_is_never_healthy(obj: dict[str, Any]) -> None:
    assert health(SELDON_ROLLOUT, obj)[0] == "Progressing"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, "Progressing"),
        ({"state": "Creating", "description": "1 of 2 pods"}, "Progressing"),
        ({"state": "Available"}, "Healthy"),
        ({"state": "Available", "observedGeneration": 1}, "Progressing"),
        ({"state": "Available", "observedGeneration": 2}, "Healthy"),
        ({"state": "Failed", "description": "no such image"}, "Degraded"),
    ],
)
def test_a_seldon_deployment_is_as_its_state_says(status: dict[str, Any] | None, expected: str) -> None:
    obj = {"metadata": {"generation": 2}} | ({"status": status} if status else {})
    assert health(SELDON_DEPLOYMENT, obj)[0] == expected


@pytest.mark.parametrize("phase", list(Phase))
def test_actions_are_offered_where_the_table_of_phases_takes_the_verb(phase: Phase) -> None:
    offered = run(ACTIONS["discovery.lua"], rollout(phase))
    enabled = {verb for verb, each in offered.items() if not each["disabled"]}
    assert set(offered) == set(VERBS)
    assert enabled == {verb for verb in VERBS if legal(phase, Event(verb))}


def test_each_action_that_is_offered_is_defined() -> None:
    assert {each["name"] for each in ACTIONS["definitions"]} == set(VERBS)


@pytest.mark.parametrize("action", ACTIONS["definitions"], ids=lambda each: each["name"])
def test_an_action_leaves_an_intent_that_the_controller_reads_and_nothing_else(action: dict[str, Any]) -> None:
    before = rollout("Paused")
    before["metadata"]["annotations"] = {"kept": "yes"}
    after = run(action["action.lua"], before)
    annotation = after["metadata"]["annotations"].pop(INTENT_ANNOTATION)
    assert after["metadata"] == before["metadata"]
    again = run(action["action.lua"], {**before, "metadata": {**before["metadata"], "resourceVersion": "72"}})
    assert json.loads(annotation)["id"] != json.loads(again["metadata"]["annotations"][INTENT_ANNOTATION])["id"]
    read = parse_intent(annotation)
    assert (read.verb, read.by) == (action["name"], "argocd")


def test_an_object_without_annotations_can_be_acted_on() -> None:
    (promote,) = [each for each in ACTIONS["definitions"] if each["name"] == "promote"]
    assert INTENT_ANNOTATION in run(promote["action.lua"], rollout("Paused"))["metadata"]["annotations"]
