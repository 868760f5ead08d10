"""Leaving a rollout, stage by stage: what stands says how far it is, and each stage writes one thing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.api.meta import FINALIZER, LEFT_ANNOTATION, ROLE_LABEL, ROLLOUT_LABEL
from controller.api.rollout import RolloutSpec
from controller.rollout import actions, plain
from controller.rollout.decide import decide
from controller.rollout.observed import Child
from controller.rollout.plain import Stage

DELAY = timedelta(seconds=30)
MARKS = {ROLLOUT_LABEL: "iris", ROLE_LABEL: "stable"}


@pytest.fixture
def leaving(world):
    """A rollout that serves and is deleted to be left."""
    world.spec_extra = {"routing": {"hosts": ["ml.example.com"]}}
    world.serving()
    spec = RolloutSpec.model_validate({**world.raw_spec(), "deletionPolicy": "Leave"})
    return replace(world.observe(), spec=spec, deleting=world.now, finalizers=(FINALIZER,)), world.now


def standing(obs, *, marked: bool, ready: bool):
    labels = dict(MARKS) if marked else {}
    meta = {"name": "iris", "uid": "p1", "resourceVersion": "7", "labels": labels}
    live = {"metadata": meta, "spec": obs.target.template["spec"]}
    made = Child(
        hash="", name="iris", live=live, replicas=2, ready_replicas=2 if ready else 0, available=ready,
        role=labels.get(ROLE_LABEL, ""),
    )  # fmt: skip
    return replace(obs, plain=made)


def handed(obs, *, taken: bool = True):
    owner = {"kind": "SeldonDeployment", "name": "iris", "uid": "p1", "controller": True}
    live = {**obs.route.live, "metadata": {**obs.route.live["metadata"], "ownerReferences": [owner]}}
    return replace(obs, route=replace(obs.route, live=live, ours=False, accepted=taken))


def noted(obs, seconds: float, now):
    since = now - timedelta(seconds=seconds)
    weights = obs.status.weights.model_copy(
        update={"changed_at": since, "accepted_at": since, "route_hash": plain.fingerprint(obs)}
    )
    return replace(obs, status=obs.status.model_copy(update={"weights": weights}))


STANDS = {
    "nothing": (lambda obs, _: obs, Stage.MAKE, actions.MakeDeployment),
    "somebody's": (lambda obs, _: standing(obs, marked=False, ready=True), Stage.MARK, actions.MarkDeployment),
    "no pods": (lambda obs, _: standing(obs, marked=True, ready=False), Stage.PODS, None),
    "pods": (lambda obs, _: standing(obs, marked=True, ready=True), Stage.ROUTE, actions.TakeRoute),
    "the route, forgotten": (lambda obs, _: handed(standing(obs, marked=True, ready=True)), Stage.NOTE, None),
    "the route": (
        lambda obs, now: noted(handed(standing(obs, marked=True, ready=True)), 0, now),
        Stage.UNMARK, actions.MarkDeployment,
    ),
    "not in the mesh": (
        lambda obs, now: noted(handed(standing(obs, marked=False, ready=True), taken=False), 60, now), Stage.MESH, None
    ),
    "drains": (lambda obs, now: noted(handed(standing(obs, marked=False, ready=True)), 29, now), Stage.DRAIN, None),
    "drained": (
        lambda obs, now: noted(handed(standing(obs, marked=False, ready=True)), 31, now),
        Stage.OVER, actions.HoldRollout,
    ),
}  # fmt: skip


def test_every_stage_has_a_state_that_shows_it() -> None:
    assert {stage for _, stage, _ in STANDS.values()} == set(Stage)


@pytest.mark.parametrize("stands", STANDS)
def test_what_stands_says_how_far_it_is_and_each_stage_writes_one_thing(leaving, stands) -> None:
    obs, now = leaving
    build, stage, written = STANDS[stands]
    obs = build(obs, now)
    decision = decide(obs, now=now)
    assert plain.stage(obs, obs.status, now=now, delay=DELAY) is stage
    assert [type(each) for each in decision.actions] == ([written] if written else [])
    assert decision == decide(obs, now=now)


def test_what_is_made_is_stables_template_marked_at_the_rollouts_hosts(leaving) -> None:
    obs, now = leaving
    (made,) = decide(obs, now=now).actions
    meta = made.object["metadata"]
    assert made.object["spec"] == obs.target.template["spec"]
    assert meta["labels"] == MARKS
    assert meta["annotations"]["seldon.io/istio-host"] == "ml.example.com"
    assert meta["annotations"][LEFT_ANNOTATION] == '{"revision": 1}'


def test_the_route_changes_owner_and_destinations_in_one_write_of_what_was_seen(leaving) -> None:
    obs, now = leaving
    (take,) = decide(standing(obs, marked=True, ready=True), now=now).actions
    hosts = {part["destination"]["host"] for http in take.patch["spec"]["http"] for part in http["route"]}
    assert hosts == {"iris-default.ml.svc.cluster.local"}
    assert take.patch["metadata"]["ownerReferences"][0]["uid"] == "p1"
    assert take.version == obs.route.live["metadata"]["resourceVersion"]


@pytest.mark.parametrize("stands", ["nothing", "somebody's", "no pods", "not in the mesh"])
def test_what_does_not_come_about_in_time_leaves_stable_serving(leaving, stands) -> None:
    obs, now = leaving
    decision = decide(STANDS[stands][0](obs, now), now=now + obs.spec.progress_deadline + DELAY)
    assert not [each for each in decision.actions if isinstance(each, actions.DeleteDeployment)]
    assert actions.ReleaseDeployment in [type(each) for each in decision.actions]
    assert decision.actions[-1] == actions.HoldRollout((), obs.resource_version)


@pytest.mark.parametrize("stands", ["pods", "the route", "drains"])
def test_what_serves_already_is_finished_however_late(leaving, stands) -> None:
    obs, now = leaving
    late = now + obs.spec.progress_deadline + DELAY
    decision = decide(STANDS[stands][0](obs, late), now=late)
    assert not [each for each in decision.actions if isinstance(each, actions.ReleaseDeployment)]


def test_a_virtualservice_of_a_persons_own_is_not_given_away(world) -> None:
    own = {"virtualService": {"name": "shop", "routes": ["recommend"]}}
    with pytest.raises(ValueError, match=r"take routing.virtualService out"):
        RolloutSpec.model_validate({**world.raw_spec(), "deletionPolicy": "Leave", "routing": own})
