"""Jobs: pods that come to an end, as often as asked for, and what the Job says of it."""

import pytest

from localcluster.times import stamp
from localcluster.workloads import jobs
from localcluster.workloads.actions import Delete


class Batch:
    """One Job in a world; its pods run until they are ended."""

    def __init__(self, world, **spec):
        self.world = world()
        self.world.objects.clear()
        template = {"metadata": {"labels": {"job-name": "check"}}, "spec": {"containers": [{"name": "main"}]}}
        full = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "template": template} | spec
        self.world.add("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "check"}, "spec": full})

    @property
    def job(self):
        return self.world.objects["jobs", "check"]

    @property
    def running(self):
        return [pod for pod in self.world.pods if "status" not in pod and "deletionTimestamp" not in pod["metadata"]]

    @property
    def conditions(self):
        return {each["type"]: each["reason"] for each in self.job.get("status", {}).get("conditions") or ()}

    def plan(self):
        return jobs.plan(self.job, self.world.pods, self.world.now)

    def settle(self):
        for _ in range(20):
            if ("jobs", "check") not in self.world.objects or not self.world.act(self.plan()):
                return
        raise AssertionError("the plans never come to rest")

    def end(self, phase, pod=None):
        pod = pod or self.running[0]
        ended = {"state": {"terminated": {"finishedAt": stamp(self.world.now)}}}
        pod["status"] = {"phase": phase, "containerStatuses": [ended]}
        self.settle()


@pytest.fixture
def batch(world):
    def make(**spec):
        made = Batch(world, **spec)
        made.settle()
        return made

    return make


def test_a_job_runs_a_pod_and_is_complete_when_it_comes_to_a_good_end(batch):
    check = batch()
    [pod] = check.running
    assert pod["metadata"]["ownerReferences"][0]["uid"] == check.job["metadata"]["uid"]
    assert (check.job["status"]["active"], check.conditions) == (1, {})

    check.world.wait(5)
    check.end("Succeeded")

    assert check.conditions["Complete"] == "CompletionsReached"
    assert (check.job["status"]["succeeded"], check.job["status"].get("active")) == (1, None)
    assert check.job["status"]["completionTime"] == stamp(check.world.now)
    assert not check.running


def test_a_pod_that_fails_has_a_successor_after_a_while_until_the_limit(batch):
    check = batch(backoffLimit=1)
    check.end("Failed")
    assert not check.running
    assert check.plan().requeue_after == 10

    check.world.wait(10)
    check.settle()
    check.end("Failed")

    assert (check.conditions["Failed"], check.job["status"]["failed"]) == ("BackoffLimitExceeded", 2)


def test_restarts_of_a_pods_containers_are_failures_too(batch):
    check = batch(backoffLimit=2)
    [pod] = check.running
    pod["status"] = {"phase": "Running", "containerStatuses": [{"restartCount": 3}]}
    check.settle()

    assert check.conditions == {"FailureTarget": "BackoffLimitExceeded"}
    check.world.vanish(pod)
    check.settle()
    assert check.conditions["Failed"] == "BackoffLimitExceeded"


def test_a_job_that_takes_too_long_fails_once_its_pods_are_gone(batch):
    check = batch(activeDeadlineSeconds=60)
    [pod] = check.running
    assert check.plan().requeue_after == 60

    check.world.wait(60)
    check.settle()
    assert "deletionTimestamp" in pod["metadata"]
    assert check.conditions == {"FailureTarget": "DeadlineExceeded"}

    check.world.vanish(pod)
    check.settle()
    assert check.conditions["Failed"] == "DeadlineExceeded"


def test_as_many_run_side_by_side_as_asked_for_and_no_more_than_are_missing(batch):
    check = batch(parallelism=2, completions=3)
    assert len(check.running) == 2
    check.end("Succeeded")
    assert len(check.running) == 2
    check.end("Succeeded")
    assert len(check.running) == 1
    check.end("Succeeded")
    assert check.conditions["Complete"] == "CompletionsReached"


def test_without_completions_one_success_is_enough_and_the_others_come_to_their_end(batch):
    check = batch(parallelism=2, completions=None)
    check.end("Succeeded")
    assert (len(check.running), check.conditions) == (1, {})
    check.end("Succeeded")
    assert "Complete" in check.conditions


def test_what_was_counted_stays_counted_when_the_pods_are_removed(batch):
    check = batch(completions=2)
    check.end("Succeeded")
    for pod in list(check.world.pods):
        if pod.get("status"):
            check.world.vanish(pod)
    check.settle()
    assert check.job["status"]["succeeded"] == 1


def test_a_suspended_job_runs_nothing_and_starts_anew(batch):
    check = batch()
    check.job["spec"]["suspend"] = True
    check.settle()
    assert not check.running
    assert "startTime" not in check.job["status"]


def test_a_job_that_has_ended_is_forgotten_in_time_and_left_alone_otherwise(batch):
    kept, brief = batch(), batch(ttlSecondsAfterFinished=30)
    for check in (kept, brief):
        check.end("Succeeded")
    assert (kept.plan().requeue_after, brief.plan().requeue_after) == (None, 30)

    brief.world.wait(30)
    [action] = brief.plan().actions
    assert isinstance(action, Delete)
    assert action.plural == "jobs"


def test_an_indexed_job_fails_and_says_that_it_is_not_run(batch):
    check = batch(completionMode="Indexed")
    assert not check.world.pods
    assert check.conditions == {"FailureTarget": "NotRun", "Failed": "NotRun"}
