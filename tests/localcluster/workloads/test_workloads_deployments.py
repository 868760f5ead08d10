"""A Deployment as a person sees it: what it does at each change, and what its status says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcluster.workloads.amounts import limits_of
from localcluster.workloads.pods import is_active, is_ready
from localcluster.workloads.templates import HASH, REVISION


def test_a_new_deployment_gets_a_replicaset_with_the_hash_of_its_template_and_its_pods(world):
    web = world()
    web.settle()
    [replicaset] = web.all("replicasets")
    hashed = replicaset["metadata"]["labels"][HASH]
    assert replicaset["metadata"]["name"] == f"web-{hashed}"
    assert replicaset["spec"]["selector"]["matchLabels"] == {"app": "web", HASH: hashed}
    assert [pod["metadata"]["labels"] for pod in web.pods] == [{"app": "web", HASH: hashed}] * 3


def test_a_deployment_whose_pods_are_all_available_is_complete(world):
    web = world()
    web.follow()
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert web.condition("Available") == ("True", "MinimumReplicasAvailable")
    counts = {
        name: web.status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    }
    assert set(counts.values()) == {3}
    assert web.status.get("unavailableReplicas", 0) == 0
    assert web.status["observedGeneration"] == 1


def test_a_complete_deployment_asks_for_nothing_more(world):
    web = world()
    web.follow()
    assert web.plan().actions == ()


def test_a_changed_template_rolls_over_and_counts_the_revision_up(world):
    web = world()
    web.follow()
    web.use_image("b")
    web.follow()
    assert web.scale() == {"a": 0, "b": 3}
    assert web.deployment["metadata"]["annotations"][REVISION] == "2"


def test_going_back_to_an_earlier_template_reuses_its_replicaset_as_the_newest_revision(world):
    web = world()
    web.follow()
    for image in ("b", "a"):
        web.use_image(image)
        web.follow()
    assert web.scale() == {"a": 3, "b": 0}
    assert web.deployment["metadata"]["annotations"][REVISION] == "3"


def test_a_template_whose_pods_never_get_ready_stops_at_the_limits_and_keeps_the_old_pods(world):
    web = world(replicas=4)
    web.follow()
    web.use_image("broken")
    web.follow(image="a")
    assert web.scale() == {"a": 3, "broken": 2}
    assert sum(is_ready(pod) for pod in web.pods) == 3


def test_a_rollout_without_progress_within_the_deadline_is_reported(world):
    web = world(progressDeadlineSeconds=60)
    web.follow()
    web.use_image("broken")
    web.follow(image="a")
    assert web.condition("Progressing") == ("True", "ReplicaSetUpdated")
    assert web.plan().requeue_after == pytest.approx(61)
    web.wait(61)
    web.settle()
    assert web.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert web.condition("Available") == ("True", "MinimumReplicasAvailable")


def test_progress_after_the_deadline_is_progress_again(world):
    web = world(progressDeadlineSeconds=60)
    web.follow(image="none")
    web.wait(61)
    web.settle()
    assert web.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    web.follow()
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_a_pod_that_is_lost_after_the_update_never_counts_as_missed_progress(world):
    web = world(progressDeadlineSeconds=60)
    web.follow()
    web.set_ready(web.pods[0], ready=False)
    web.settle()
    web.wait(3600)
    web.settle()
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert web.condition("Available") == ("False", "MinimumReplicasUnavailable")


def test_a_pod_counts_as_available_only_after_min_ready_seconds(world):
    web = world(minReadySeconds=10)
    web.follow()
    assert web.status.get("readyReplicas") == 3
    assert web.status.get("availableReplicas", 0) == 0
    web.wait(10)
    web.settle()
    assert web.status["availableReplicas"] == 3


def test_recreate_waits_for_the_last_old_pod_before_the_first_new_one(world):
    web = world(strategy={"type": "Recreate"})
    web.follow()
    web.use_image("b")
    web.settle()
    assert web.scale() == {"a": 0}
    assert len(web.pods) == 3
    for pod in web.pods:
        web.vanish(pod)
    web.follow()
    assert web.scale() == {"a": 0, "b": 3}


def test_a_paused_deployment_scales_but_takes_no_new_template(world):
    web = world()
    web.follow()
    web.change({"paused": True, "replicas": 5})
    web.use_image("b")
    web.follow()
    assert web.scale() == {"a": 5}
    assert web.condition("Progressing") == ("Unknown", "DeploymentPaused")
    web.change({"paused": False})
    web.follow()
    assert web.scale() == {"a": 0, "b": 5}
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_scaling_to_zero_ends_every_pod_and_is_complete(world):
    web = world()
    web.follow()
    web.change({"replicas": 0})
    web.follow()
    assert web.pods == []
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_scaling_in_the_middle_of_an_update_keeps_the_proportion(world):
    web = world(replicas=10, strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 2}})
    web.follow()
    web.use_image("broken")
    web.follow(image="a")
    assert web.scale() == {"a": 8, "broken": 4}
    web.change({"replicas": 20})
    web.act(web.plan())
    assert sum(web.scale().values()) == 22
    assert web.scale()["a"] in (14, 15)


def test_only_so_many_old_replicasets_are_kept_as_the_history_limit_says(world):
    web = world(revisionHistoryLimit=2)
    for image in "abcde":
        web.use_image(image)
        web.follow()
    assert web.scale() == {"c": 0, "d": 0, "e": 3}


def test_an_orphaned_replicaset_that_fits_is_adopted(world):
    web = world()
    web.follow()
    [replicaset] = web.all("replicasets")
    replicaset["metadata"]["ownerReferences"] = []
    web.follow()
    [replicaset] = web.all("replicasets")
    assert replicaset["metadata"]["ownerReferences"][0]["uid"] == web.deployment["metadata"]["uid"]


def test_annotations_of_the_deployment_are_on_its_replicaset_but_not_what_kubectl_applied(world):
    web = world()
    web.deployment["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "first",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    web.follow()
    [replicaset] = web.all("replicasets")
    assert replicaset["metadata"]["annotations"]["kubernetes.io/change-cause"] == "first"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in replicaset["metadata"]["annotations"]


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(0, 6),
    surge=st.sampled_from([0, 1, 2, "25%", "100%"]),
    unavailable=st.sampled_from([0, 1, "50%", "100%"]),
    data=st.data(),
)
def test_whatever_happens_to_pods_an_update_stays_within_its_limits_and_ends(world, replicas, surge, unavailable, data):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    web = world(replicas=replicas, strategy={"rollingUpdate": rolling})
    web.follow()
    web.use_image("b")
    limits = limits_of(web.deployment)
    for _ in range(12):
        for pod in list(web.pods):
            ending = "deletionTimestamp" in pod["metadata"]
            what = data.draw(st.sampled_from(("nothing", "ready", "gone")))
            if what == "ready" and "status" not in pod and not ending:
                web.set_ready(pod)
            elif what == "gone" and ending:
                web.vanish(pod)
        web.step()
        active = [pod for pod in web.pods if is_active(pod)]
        assert len(active) <= limits.most
        assert sum(is_ready(pod) for pod in active) >= limits.least_available
    web.follow()
    assert web.scale().get("b") == replicas
    assert web.scale().get("a", 0) == 0
    assert web.condition("Progressing") == ("True", "NewReplicaSetAvailable")
