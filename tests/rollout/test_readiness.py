"""Ready, Reconciling, Stalled: what `kubectl wait` and GitOps tools make of a rollout, in every phase."""

from datetime import timedelta
from typing import Any

import pytest

from controller.rollout.observed import Peer


def conditions(world) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in world.status.conditions}


def kstatus(world) -> str:
    """How Flux's library reads an object of a kind that it does not know: sigs.k8s.io/cli-utils/pkg/kstatus."""
    if world.status.observed_generation != world.generation:
        return "InProgress"
    found = {kind: status for kind, (status, _) in conditions(world).items()}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    return {"True": "Current", "False": "InProgress", "Unknown": "InProgress"}[found["Ready"]]


def paused(world) -> None:
    world.ask("pause")
    world.run(2)


def rolled_back(world) -> None:
    world.bad().settle()


def promoted(world) -> None:
    world.good().settle()


def invalid(world) -> None:
    world.invalid = "spec.template: field required"
    world.generation += 1
    world.run(2)


def nothing(_: Any) -> None:
    """It is under way."""


@pytest.mark.parametrize(
    ("happens", "phase", "ready", "read"),
    [
        (nothing, "Progressing", "False", "InProgress"),
        (paused, "Paused", "False", "InProgress"),
        (rolled_back, "Degraded", "False", "Failed"),
        (invalid, "Invalid", "False", "Failed"),
        (promoted, "Healthy", "True", "Current"),
    ],
)
def test_tools_that_know_no_rollouts_read_the_right_thing(world, happens, phase, ready, read) -> None:
    world.serving().upgrade().run(8)
    happens(world)
    assert conditions(world)["Ready"] == (ready, phase)
    assert kstatus(world) == read


def test_a_first_revision_is_not_ready_before_it_serves(world) -> None:
    world.starts = False
    world.run(3)
    assert kstatus(world) == "InProgress"
    world.ready[world.hash_of("m/v1")] = 2
    world.settle()
    assert kstatus(world) == "Current"


@pytest.mark.parametrize("why", ["pods", "mesh"])
def test_a_first_revision_that_cannot_start_is_stalled_until_it_starts(world, why) -> None:
    world.starts, world.in_the_way = why != "pods", "VirtualService ml/iris is another's" if why == "mesh" else ""
    world.run(3)
    due = world.decide().requeue_after
    assert due is not None, "nothing else happens: the clock has to wake it"
    assert due <= timedelta(minutes=10)
    world.step(due.total_seconds())
    assert conditions(world)["Stalled"] == ("True", "ProgressDeadlineExceeded")
    assert "Reconciling" not in conditions(world)
    assert kstatus(world) == "Failed"
    (told,) = [each.message for each in world.status.conditions if each.type == "Stalled"]
    blocked = world.status.blocked_on
    assert told == world.status.message
    assert told == f"the first revision is stuck: it did not start within 10m; {blocked.message}"
    world.ready[world.hash_of("m/v1")], world.in_the_way = 2, ""
    world.settle()
    assert "Stalled" not in conditions(world)
    assert kstatus(world) == "Current"


def test_another_template_gives_a_first_revision_its_time_again(world) -> None:
    world.starts = False
    world.run(3)
    world.step(660)
    assert "Stalled" in conditions(world)
    world.upgrade().run(2)
    assert "Stalled" not in conditions(world)
    assert kstatus(world) == "InProgress"


def test_who_waits_for_others_before_it_begins_is_not_stalled(world) -> None:
    world.spec_extra = {"dependsOn": [{"name": "features"}]}
    world.peers = {"features": Peer(phase="Progressing", message="step 2 of 4", current=True)}
    world.run(3)
    world.step(660)
    assert world.status.blocked_on.kind == "gate"
    assert "Stalled" not in conditions(world)


def test_the_step_is_told_where_a_canary_stands_beside_stable(world) -> None:
    world.starts = False
    world.run(3)
    assert (world.status.step, world.status.analysis.verdict) == (None, None), "the first revision has no steps"
    world.starts, world.ready[world.hash_of("m/v1")] = True, 2
    world.settle()
    assert world.status.step is None
    world.upgrade().run(8)
    assert world.status.step == "2/3"
    assert world.status.analysis.verdict == "NoData", "it is compared, and nothing was measured yet"


def test_a_first_revision_is_available_once_the_mesh_has_its_route(world) -> None:
    world.accepted = False
    world.run(5)
    assert world.route is not None
    assert conditions(world)["Available"] == ("False", "NotAvailable")
    world.accepted = True
    world.run(2)
    assert conditions(world)["Available"] == ("True", "StableServing")


def test_without_a_route_that_leads_to_ready_pods_nothing_is_available(world) -> None:
    world.serving()
    world.route = None
    world.step()
    assert conditions(world)["Available"][0] == "False", "it is written in this pass, and seen in the next"
    world.step()
    assert conditions(world)["Available"][0] == "True"
    world.in_the_way, world.route = "VirtualService ml/iris is not this rollout's", None
    world.run(2)
    assert conditions(world)["Available"][0] == "False"


def test_available_stays_while_the_weights_change_hands(world) -> None:
    world.serving().upgrade().good()
    seen = set()
    for _ in range(120):
        world.step(1)
        seen.add(conditions(world)["Available"][0])
    assert world.status.phase == "Healthy"
    assert world.status.stable_revision.number == 2
    assert seen == {"True"}


def test_stable_that_loses_a_pod_is_not_ready_and_says_so(world) -> None:
    world.serving()
    world.ready[world.hash_of("m/v1")] = 1
    world.run(2)
    assert conditions(world)["Ready"] == ("False", "Healthy")
    assert kstatus(world) == "InProgress"


def test_a_new_template_is_never_taken_for_the_old_ones_readiness(world) -> None:
    world.serving()
    assert kstatus(world) == "Current"
    world.upgrade()
    assert kstatus(world) == "InProgress", "the generation has not been looked at"
    world.step()
    assert kstatus(world) == "InProgress"


def test_the_time_of_a_condition_moves_with_its_status_alone(world) -> None:
    world.serving()
    (before,) = [each for each in world.status.conditions if each.type == "Ready"]
    world.run(30)
    (after,) = [each for each in world.status.conditions if each.type == "Ready"]
    assert after.last_transition_time == before.last_transition_time
