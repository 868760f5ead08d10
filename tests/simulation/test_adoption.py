"""Adopting a live SeldonDeployment and leaving again, with real controllers that crash: no request is lost."""

import pytest
from simulated.api import NAMESPACE_NAME
from simulated.story import Happening
from simulated.world import World

from controller.api.meta import ADOPTED_ANNOTATION, CONTROLLER_ID_LABEL, FINALIZER
from controller.kube.resources import DEPLOYMENT, SELDON_DEPLOYMENT, SELDON_ROLLOUT, VIRTUAL_SERVICE, owned_by


@pytest.fixture
def make(begin):
    """Begins a world with a SeldonDeployment that serves."""

    def made(seed: int = 1, *, serving: bool = True, **story: bool) -> World:
        world = begin(seed, **story)
        if serving:
            world.happen(Happening(0.0, "deployment", ("good-0", 3)))
            world.timeline.run_until(40)
            assert world.users.ledger.live[-1], "the SeldonDeployment serves"
        return world

    return made


def served_by(world: World) -> set[str]:
    return set(world.users.ledger.live[-1])


def owner(world: World) -> str | None:
    live = world.api.find(VIRTUAL_SERVICE, "iris")
    assert live is not None, "the route is never gone"
    return owned_by(live)


def phase_is(world: World, phase: str) -> bool:
    return world.status().get("phase") == phase


@pytest.mark.parametrize("silent", [False, True], ids=["the mesh tells", "the mesh is silent"])
def test_a_live_seldondeployment_becomes_a_rollout_without_a_lost_request(make, silent) -> None:
    world = make(silent=silent)
    pods = {pod.name for state in world.workloads.sets.values() for pod in state.pods.values()}
    routes = []
    world.api.watchers.append(
        lambda _, event: routes.append(event.type) if event.key == (NAMESPACE_NAME, "iris")
        and event.collection.startswith("virtualservices") else None
    )  # fmt: skip
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    world.timeline.run_until(200)
    stable = world.status()["stableRevision"]
    assert phase_is(world, "Healthy")
    assert (stable["number"], stable["replicas"]) == (1, 3), "as many pods as served before"
    assert served_by(world) == {stable["name"]}
    assert [each["metadata"]["name"] for each in world.api.all(SELDON_DEPLOYMENT)] == [stable["name"]]
    assert not pods & {pod.name for state in world.workloads.sets.values() for pod in state.pods.values()}
    assert owner(world) == world.live()["metadata"]["uid"]
    assert "DELETED" not in routes
    assert world.users.lost == 0
    assert not world.live()["metadata"].get("finalizers"), "nothing is left to be looked after"


@pytest.mark.parametrize(
    ("write", "after"), [(0, True), (1, False), (2, True), (3, True), (4, True), (5, True), (7, True)]
)
def test_a_crash_at_any_write_goes_on(make, write, after) -> None:
    world = make(seed=write)
    world.faults.crash_in.append((write, after))
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    world.timeline.run_until(300)
    assert phase_is(world, "Healthy"), world.status()
    assert world.api.find(SELDON_DEPLOYMENT, "iris") is None
    assert owner(world) == world.live()["metadata"]["uid"]
    assert world.users.lost == 0
    world.ending.come_to_rest()


def test_another_template_is_a_canary_on_top_of_what_served(make) -> None:
    world = make()
    world.happen(Happening(0.0, "adopt", ("bad-1",)))
    world.timeline.run_until(400)
    status = world.status()
    assert (status["phase"], status["stableRevision"]["number"]) == ("Degraded", 1)
    assert "good-0" in str(world.api.find(SELDON_DEPLOYMENT, status["stableRevision"]["name"]))
    assert status["rejected"][0]["number"] == 2
    assert world.users.lost == 0


def test_without_adopt_a_live_seldondeployment_is_left_alone_and_the_way_is_told(make) -> None:
    world = make()
    before = world.api.find(SELDON_DEPLOYMENT, "iris"), world.api.find(VIRTUAL_SERVICE, "iris")
    world.people.create("good-0")
    world.timeline.run_until(100)
    blocked = world.status()["blockedOn"]
    assert "`adopt: true` in the spec takes it over" in blocked["message"]
    assert (world.api.find(SELDON_DEPLOYMENT, "iris"), world.api.find(VIRTUAL_SERVICE, "iris")) == before
    assert served_by(world) == {"iris"}


def test_what_never_starts_takes_nothing_over(make) -> None:
    """The pods of the copy do not start: the old ones serve, unmarked, for as long as that is so."""
    world = make()
    world.workloads.set_quota(True)
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    world.timeline.run_until(300)
    assert world.status()["blockedOn"]["kind"] == "quota"
    assert ADOPTED_ANNOTATION not in (world.api.find(SELDON_DEPLOYMENT, "iris")["metadata"].get("annotations") or {})
    assert served_by(world) == {"iris"}
    assert world.users.lost == 0
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(400)
    assert world.live() is None, "the deletion of a rollout that took nothing over ends"
    assert served_by(world) == {"iris"}
    assert world.users.lost == 0


def test_one_that_comes_back_is_in_the_way_and_not_fought_over(make) -> None:
    world = make()
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    world.timeline.run_until(200)
    world.happen(Happening(0.0, "deployment", ("good-0",)))
    world.timeline.run_until(300)
    assert "SeldonDeployment ml/iris is not this rollout's" in world.status()["blockedOn"]["message"]
    assert world.api.find(SELDON_DEPLOYMENT, "iris") is not None, "it is not deleted again and again"
    world.api.delete(SELDON_DEPLOYMENT, "iris", actor="kubectl")
    world.timeline.run_until(400)
    assert phase_is(world, "Healthy")
    assert "blockedOn" not in world.status()
    assert world.users.lost == 0


@pytest.mark.parametrize("seconds", [0.5, 5, 8, 14, 30])
def test_a_deletion_amid_the_adoption_gives_everything_back(make, seconds) -> None:
    world = make(seed=int(10 * seconds))
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    world.timeline.run_until(40 + seconds)
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(300)
    assert world.live() is None
    live = world.api.find(SELDON_DEPLOYMENT, "iris")
    assert live is not None
    assert ADOPTED_ANNOTATION not in (live["metadata"].get("annotations") or {})
    assert CONTROLLER_ID_LABEL not in (live["metadata"].get("labels") or {})
    assert owner(world) == live["metadata"]["uid"]
    assert [each["metadata"]["name"] for each in world.api.all(SELDON_DEPLOYMENT)] == ["iris"]
    assert served_by(world) == {"iris"}
    assert world.users.lost == 0


def test_a_crash_after_the_route_was_given_back_leaves_connections_their_time(make) -> None:
    """What the status knows of the drain is of the taking over, and of another age."""
    world = make(seed=3)
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    while owner(world) != world.live()["metadata"]["uid"]:
        world.timeline.run_until(world.timeline.now + 0.1)
    world.timeline.run_until(world.timeline.now + 20)
    times = {}
    world.api.watchers.append(
        lambda _, event: times.setdefault((event.collection.split(".")[0], event.type), world.timeline.now)
    )
    world.happen(Happening(0.0, "delete"))
    world.faults.crash_in.append((0, True))
    world.timeline.run_until(300)
    assert world.live() is None
    assert served_by(world) == {"iris"}
    given, gone = times["virtualservices", "MODIFIED"], times["seldonrollouts", "DELETED"]
    assert gone - given >= 30
    assert world.users.lost == 0


@pytest.mark.parametrize("seconds", [1, 9])
def test_a_late_leader_that_does_not_know_of_the_deletion_takes_nothing_over_again(make, seconds) -> None:
    """It sees the VirtualService given back, and the rollout as it was before: it would take it over once more."""
    world = make(seed=seconds)
    world.happen(Happening(0.0, "adopt", ("good-0",)))
    old = world.processes[0]
    while owner(world) != world.live()["metadata"]["uid"]:
        world.timeline.run_until(world.timeline.now + 0.1)
    world.timeline.run_until(world.timeline.now + seconds)
    old.cut_watch("seldonrollouts.rollouts.seldon.io", 600.0, gone=False)
    world.happen(Happening(0.0, "delete"))
    world.start_controller()
    owners = []
    world.api.watchers.append(lambda _, event: owners.append(owned_by(event.entry.object))
                              if event.collection.startswith("virtualservices") else None)  # fmt: skip
    while world.timeline.now < 300:
        world.timeline.run_until(world.timeline.now + 5)
        old.add(old.rooms[0], world.key)
    live = world.api.find(SELDON_DEPLOYMENT, "iris")
    assert world.live() is None
    assert live is not None
    assert set(owners) == {live["metadata"]["uid"]}, "it is given back once, and stays so"
    assert world.users.lost == 0


@pytest.mark.parametrize("seconds", [1, 12, 45])
@pytest.mark.parametrize("model", ["good-1", "bad-1"])
def test_a_deletion_with_keep_stable_leaves_stable_serving_alone(make, seconds, model) -> None:
    world = make(seed=seconds, serving=False)
    world.people.create("good-0", deletionPolicy="KeepStable")
    world.timeline.run_until(60)
    assert world.live()["metadata"]["finalizers"] == [FINALIZER]
    world.happen(Happening(0.0, "edit", (model,)))
    world.timeline.run_until(60 + seconds)
    stable = world.status()["stableRevision"]["name"]
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(400)
    assert world.live() is None
    (left,) = world.api.all(SELDON_DEPLOYMENT)
    assert left["metadata"]["name"] == stable
    assert "ownerReferences" not in left["metadata"]
    assert owner(world) is None
    assert served_by(world) == {stable}
    assert world.users.lost == 0


@pytest.mark.parametrize("write", range(5))
def test_a_crash_at_any_write_of_leaving_goes_on(make, write) -> None:
    world = make(seed=write, serving=False)
    world.people.create("good-0", deletionPolicy="KeepStable")
    world.timeline.run_until(60)
    world.happen(Happening(0.0, "edit", ("good-1",)))
    world.timeline.run_until(85)
    stable = world.status()["stableRevision"]["name"]
    world.happen(Happening(0.0, "delete"))
    world.faults.crash_in.append((write, bool(write % 2)))
    world.timeline.run_until(900)
    assert world.live() is None
    assert served_by(world) == {stable}
    assert world.users.lost == 0


def test_what_was_left_serving_is_taken_up_again_with_its_revision(make) -> None:
    world = make(serving=False)
    world.people.create("good-0", deletionPolicy="KeepStable")
    world.timeline.run_until(60)
    kept = world.status()["stableRevision"]["name"]
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(200)
    world.happen(Happening(0.0, "adopt", ("good-1",)))
    world.timeline.run_until(500)
    status = world.status()
    assert status["phase"] == "Healthy"
    assert status["stableRevision"]["name"] != kept
    steps = [entry["message"] for entry in status["history"] if entry["type"] == "StepCompleted"]
    assert len(steps) == 3, "the new revision went through its steps against what served"
    assert world.users.lost == 0


def test_a_deletion_ends_where_the_mesh_is_gone_or_stable_has_no_pods(make) -> None:
    world = make(serving=False)
    world.people.create("good-0", deletionPolicy="KeepStable", progressDeadline="1m")
    world.timeline.run_until(60)
    world.happen(Happening(0.0, "edit", ("good-1",)))
    world.timeline.run_until(85)
    world.mesh.set_refusing(True)
    for each in world.api.all(DEPLOYMENT):
        world.trouble(each["metadata"]["name"])
    world.happen(Happening(0.0, "outage", (0, 900.0)))
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(400)
    assert world.live() is None


def test_an_invalid_rollout_that_is_deleted_keeps_stable_too(make) -> None:
    world = make(serving=False)
    world.people.create("good-0", deletionPolicy="KeepStable")
    world.timeline.run_until(60)
    stable = world.status()["stableRevision"]["name"]
    world.happen(Happening(0.0, "invalid"))
    world.timeline.run_until(70)
    world.happen(Happening(0.0, "delete"))
    world.timeline.run_until(300)
    assert world.api.find(SELDON_ROLLOUT, "iris") is None
    assert served_by(world) == {stable}
    assert world.users.lost == 0
