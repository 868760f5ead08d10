"""Leaving a rollout: a plain SeldonDeployment takes its place, whatever crashes, and no request is lost."""

import pytest
from simulated.api import NAMESPACE_NAME
from simulated.story import Happening
from simulated.world import World

from controller.api.meta import LEFT_ANNOTATION, ROLE_LABEL, ROLLOUT_LABEL
from controller.kube.resources import SELDON_DEPLOYMENT, SELDON_ROLLOUT, VIRTUAL_SERVICE, owned_by


@pytest.fixture
def make(begin):
    """Begins a world with a rollout that serves."""

    def made(seed: int = 1, *, silent: bool = False, upstream: bool = False, **spec: object) -> World:
        world = begin(seed, silent=silent, upstream=upstream)
        world.people.create("good-0", **spec)
        world.timeline.run_until(60)
        assert world.status()["phase"] == "Healthy"
        return world

    return made


def left(world: World) -> None:
    """It is a plain SeldonDeployment now, served by its own operator, and nobody noticed."""
    live = world.api.find(SELDON_DEPLOYMENT, "iris")
    route = world.api.find(VIRTUAL_SERVICE, "iris")
    assert world.live() is None
    assert live is not None
    assert route is not None
    assert [each["metadata"]["name"] for each in world.api.all(SELDON_DEPLOYMENT)] == ["iris"]
    assert not {ROLLOUT_LABEL, ROLE_LABEL} & set(live["metadata"].get("labels") or {})
    assert LEFT_ANNOTATION in live["metadata"]["annotations"]
    assert owned_by(route) == live["metadata"]["uid"]
    assert live["status"]["state"] == "Available"
    assert set(world.users.ledger.live[-1]) == {"iris"}
    assert world.users.lost == 0


@pytest.mark.parametrize("case", ["the mesh tells", "the mesh is silent", "beside upstream's operator"])
def test_a_rollout_becomes_a_plain_seldondeployment_without_a_lost_request(make, case) -> None:
    world = make(silent="silent" in case, upstream="upstream" in case)
    routes = []
    world.api.watchers.append(
        lambda _, event: routes.append(event.type) if event.key == (NAMESPACE_NAME, "iris")
        and event.collection.startswith("virtualservices") else None
    )  # fmt: skip
    world.happen(Happening(0.0, "leave"))
    world.timeline.run_until(300)
    left(world)
    spec = world.api.find(SELDON_DEPLOYMENT, "iris")["spec"]["predictors"][0]
    assert (spec["graph"]["modelUri"], spec["replicas"]) == ("gs://m/good-0", 2)
    assert "DELETED" not in routes


@pytest.mark.parametrize(
    ("write", "after"), [(0, True), (1, True), (2, False), (2, True), (3, True), (4, True), (6, True)]
)
def test_a_crash_at_any_write_goes_on(make, write, after) -> None:
    world = make(seed=write, deletionPolicy="Leave")
    world.happen(Happening(0.0, "delete"))
    world.faults.crash_in.append((write, after))
    world.timeline.run_until(500)
    left(world)


@pytest.mark.parametrize("model", ["good-1", "bad-1"])
def test_amid_a_rollout_the_canary_is_left_first_and_stable_is_what_goes_on(make, model) -> None:
    world = make(seed=3, deletionPolicy="Leave")
    world.happen(Happening(0.0, "edit", (model,)))
    world.timeline.run_until(85)
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(400)
    left(world)
    assert "good-0" in str(world.api.find(SELDON_DEPLOYMENT, "iris"))


def test_what_was_adopted_and_left_is_adopted_again(make) -> None:
    world = make(deletionPolicy="Leave")
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(250)
    world.happen(Happening(0.0, "adopt", ("good-0", "Delete", 2)))
    world.timeline.run_until(500)
    assert world.status()["phase"] == "Healthy"
    assert world.status()["stableRevision"]["number"] == 1
    assert world.api.find(SELDON_DEPLOYMENT, "iris") is None
    assert world.users.lost == 0


def test_one_that_git_applied_together_with_the_deletion_takes_the_place(make) -> None:
    world = make(deletionPolicy="Leave")
    world.happen(Happening(0.0, "deployment", ("good-1", 2)))
    world.timeline.run_until(65)
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(300)
    live = world.api.find(SELDON_DEPLOYMENT, "iris")
    assert world.live() is None
    assert "good-1" in str(live["spec"]), "what it says is what its writer wants"
    assert owned_by(world.api.find(VIRTUAL_SERVICE, "iris")) == live["metadata"]["uid"]
    assert set(world.users.ledger.live[-1]) == {"iris"}
    assert world.users.lost == 0


def test_where_no_pod_starts_stable_goes_on_serving_and_the_deletion_ends(make) -> None:
    world = make(deletionPolicy="Leave", progressDeadline="2m")
    stable = world.status()["stableRevision"]["name"]
    world.workloads.set_quota(True)
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(120)
    blocked = world.status()["blockedOn"]
    assert blocked["kind"] == "pods"
    assert "SeldonDeployment ml/iris, which takes over, has 0 of 2 pods ready" in blocked["message"]
    world.timeline.run_until(400)
    assert world.api.find(SELDON_ROLLOUT, "iris") is None
    assert set(world.users.ledger.live[-1]) == {stable}
    assert "ownerReferences" not in world.api.find(SELDON_DEPLOYMENT, stable)["metadata"]
    assert world.users.lost == 0
