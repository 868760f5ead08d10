"""ReplicaSets: as many pods as wanted, the smallest loss first when there are too many."""

import pytest

from localcluster.workloads import finished, replicasets
from localcluster.workloads.actions import Create, Delete, Patch
from localcluster.workloads.pods import DELETION_COST


def one_replicaset(world, replicas):
    web = world(replicas=replicas)
    web.follow()
    [replicaset] = web.all("replicasets")
    return web, replicaset


def removed(web, replicaset, replicas):
    """The pods that go when so many are wanted."""
    replicaset["spec"]["replicas"] = replicas
    plan = replicasets.plan(replicaset, web.pods, web.now)
    return [action.target["metadata"]["name"] for action in plan.actions if isinstance(action, Delete)]


def test_missing_pods_are_created_with_the_template_and_the_owner(world):
    web, replicaset = one_replicaset(world, 1)
    replicaset["spec"]["replicas"] = 3
    plan = replicasets.plan(replicaset, web.pods, web.now)
    made = [action.obj for action in plan.actions if isinstance(action, Create)]
    assert len(made) == 2
    assert made[0]["spec"] == replicaset["spec"]["template"]["spec"]
    assert made[0]["metadata"]["ownerReferences"][0]["controller"] is True


def make_unready(web, pod):
    web.set_ready(pod, ready=False)


def make_cheap(web, pod):
    pod["metadata"]["annotations"] = {DELETION_COST: "-10"}


def make_restarted(web, pod):
    pod["status"]["containerStatuses"] = [{"restartCount": 3}]


def make_recent(web, pod):
    web.wait(60)
    web.set_ready(pod)


@pytest.mark.parametrize("worsen", [make_unready, make_cheap, make_restarted, make_recent])
def test_the_pod_that_is_the_smallest_loss_goes_first(world, worsen):
    web, replicaset = one_replicaset(world, 3)
    for pod in web.pods:
        pod["spec"]["nodeName"] = "local"
    victim = web.pods[1]
    worsen(web, victim)
    assert removed(web, replicaset, 2) == [victim["metadata"]["name"]]


def test_a_finished_pod_is_replaced_and_stays_to_be_read(world):
    web, _ = one_replicaset(world, 2)
    web.pods[0]["status"]["phase"] = "Failed"
    web.follow()
    assert sorted(pod["status"]["phase"] for pod in web.pods) == ["Failed", "Running", "Running"]


def test_an_orphaned_pod_that_fits_is_adopted_instead_of_a_new_one(world):
    web, replicaset = one_replicaset(world, 1)
    web.pods[0]["metadata"]["ownerReferences"] = []
    plan = replicasets.plan(replicaset, web.pods, web.now)
    patches = [action for action in plan.actions if isinstance(action, Patch) and action.plural == "pods"]
    assert [patch.patch["metadata"]["ownerReferences"][0]["uid"] for patch in patches] == [
        replicaset["metadata"]["uid"]
    ]
    assert not any(isinstance(action, Create) for action in plan.actions)


def test_a_refused_creation_stands_in_the_status(world):
    web, replicaset = one_replicaset(world, 1)
    plan = replicasets.plan(replicaset, web.pods, web.now, "quota is used up")
    [status] = [action.patch["status"] for action in plan.actions if isinstance(action, Patch)]
    assert [(one["type"], one["reason"], one["message"]) for one in status["conditions"]] == [
        ("ReplicaFailure", "FailedCreate", "quota is used up")
    ]


def test_only_the_newest_finished_pods_are_kept():
    pods = [
        {
            "metadata": {
                "name": f"p{index:03}",
                "namespace": "ml",
                "uid": str(index),
                "creationTimestamp": f"2024-05-01T12:{index:02}:00Z",
            },
            "status": {"phase": "Succeeded"},
        }
        for index in range(finished.KEPT + 2)
    ]
    plan = finished.plan(pods)
    assert [action.target["metadata"]["name"] for action in plan.actions] == ["p000", "p001"]
