"""Trouble under traffic, by the cluster, a person or a bad revision: stable goes on answering, each request counted."""

import contextlib
import os
import signal
from typing import Any

import pytest

from e2e import manifests

pytestmark = pytest.mark.long

PAUSES = [{"setWeight": 20}, {"pause": {"duration": "6s"}}, {"setWeight": 50}, {"pause": {"duration": "6s"}}]
JUDGED = [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}, {"analysis": {}}]


def rollout(uri: str, steps: list[dict[str, Any]], *, replicas: int = 1, note: str = "") -> dict[str, Any]:
    return manifests.rollout(uri, {"canary": {"steps": steps}}, replicas=replicas, note=note, scaleDownDelay="4s")


def phase(kube) -> str:
    return str(kube.status("digits").get("phase"))


def stable_number(kube) -> int:
    return int(kube.status("digits").get("stableRevision", {}).get("number", 0))


def step(kube) -> int:
    return int(kube.status("digits").get("currentStepIndex", 0))


def weight(kube) -> float | None:
    """Percent of live requests that the route gives to the canary."""
    return kube.status("digits").get("canaryRevision", {}).get("weight")


def serve(kube, uri: str, **more: Any) -> None:
    kube.write(rollout(uri, PAUSES, **more))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")


def promoted(kube, number: int) -> bool:
    return phase(kube) == "Healthy" and stable_number(kube) == number


def pods_of(kube, digest: str) -> list[Any]:
    chosen = f"seldon-deployment-id=digits-{digest}"
    return list(kube.core.list_namespaced_pod(kube.namespace, label_selector=chosen).items)


def kill_processes(kube, digest: str) -> None:
    """SIGKILL to every container of a revision: on the local cluster they are processes, named by their ids."""
    for pod in pods_of(kube, digest):
        for container in (pod.status and pod.status.container_statuses) or ():
            if container.state.running and (container.container_id or "").startswith("process://"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(container.container_id.removeprefix("process://").split("-")[0]), signal.SIGKILL)


def test_a_controller_killed_at_each_step_loses_neither_its_place_nor_a_request(world, kube, crowd, trained) -> None:
    if world.faults is None or "controller" not in world.faults.names():
        pytest.skip("the controller is not ours to kill")
    serve(kube, trained.uris[0])
    with crowd("digits", 120) as users:
        kube.write(rollout(trained.uris[1], PAUSES))
        for number in range(len(PAUSES)):
            kube.until(f"step {number} is reached", lambda number=number: step(kube) >= number or promoted(kube, 2))
            world.faults.kill("controller")
        kube.until("it is promoted", lambda: promoted(kube, 2))
    assert users.failures == []
    done = [each["message"] for each in kube.status("digits")["history"] if each["type"] == "StepCompleted"]
    assert len(done) == len(set(done)) == len(PAUSES)


def test_without_prometheus_nothing_is_promoted_and_with_it_again_it_goes_on(world, kube, crowd, trained) -> None:
    if world.faults is None:
        pytest.skip("nothing is taken from a real cluster")
    serve(kube, trained.uris[0])
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[1], JUDGED))
        kube.until("the canary has traffic", lambda: weight(kube) == 20)
        world.faults.cut_prometheus()
        try:
            kube.until("it says so", lambda: kube.status("digits")["analysis"].get("verdict") in ("Error", "NoData"))
            before, sent = step(kube), users.sent
            kube.until("time passes", lambda: users.sent > sent + 240 * 8)
            assert (phase(kube), stable_number(kube)) == ("Progressing", 1)
            assert step(kube) <= before + 1, "a weight may be believed; a verdict is not made up"
        finally:
            world.faults.restore_prometheus()
        kube.until("it is promoted", lambda: promoted(kube, 2))
    assert users.failures == []


def test_a_newer_revision_takes_the_place_of_one_half_way(kube, crowd, trained) -> None:
    serve(kube, trained.uris[0])
    with crowd("digits", 120) as users:
        kube.write(rollout(trained.uris[1], [{"setWeight": 40}, {"pause": {}}]))
        kube.until("the second is half-way", lambda: phase(kube) == "Paused")
        second = kube.status("digits")["canaryRevision"]["name"]
        kube.write(rollout(trained.uris[1], PAUSES, note="third"))
        kube.until("the third is promoted", lambda: promoted(kube, 3))
        kube.until("the second is gone", lambda: second not in str(kube.status("digits").get("retiredRevisions", "")))
    assert users.failures == []


def test_an_abort_at_each_step_with_stable_short_of_pods_loses_nothing(kube, crowd, trained) -> None:
    serve(kube, trained.uris[0], replicas=2)
    with crowd("digits", 120) as users:
        for at in range(len(PAUSES)):
            if at:
                kube.ask("digits", "retry")
            else:
                kube.write(rollout(trained.uris[1], PAUSES, replicas=2))
            kube.until(f"step {at} is reached", lambda at=at: phase(kube) == "Progressing" and step(kube) >= at)
            stable, canary = (kube.status("digits")[role]["hash"] for role in ("stableRevision", "canaryRevision"))
            kube.core.delete_namespaced_pod(pods_of(kube, stable)[0].metadata.name, kube.namespace)
            kube.ask("digits", "abort")
            kube.until("stable serves all", lambda: phase(kube) == "Degraded")
            assert kube.status("digits")["stableRevision"]["weight"] == 100
            sent = users.sent
            kube.until("requests under way are answered", lambda sent=sent: users.sent > sent + 60)
            met = users.answered(canary)
            kube.until("users go on", lambda sent=sent: users.sent > sent + 180)
            assert users.answered(canary) == met, "nobody is answered by it any more"
    assert users.failures == []
    assert stable_number(kube) == 1


def test_pods_that_crash_are_seen_at_the_gateway_and_rolled_back(world, kube, crowd, trained) -> None:
    if world.faults is None:
        pytest.skip("no process of a real cluster is killed")
    serve(kube, trained.uris[0])
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[1], [{"setWeight": 50}, {"pause": {"duration": "10m"}}]))
        kube.until("the canary has traffic", lambda: weight(kube) == 50)
        digest = kube.status("digits")["canaryRevision"]["hash"]

        def rolled_back() -> bool:
            kill_processes(kube, digest)
            return phase(kube) in ("RollingBack", "Degraded")

        kube.until("it is rolled back", rolled_back)
        sent = users.sent
        kube.until("stable goes on serving", lambda: users.sent > sent + 300)
    (rejected,) = kube.status("digits")["rejected"]
    assert rejected["hash"] == digest
    assert rejected["reason"]["metric"] in ("errorRate", "progressDeadline")
    assert {failure.revision for failure in users.failures} <= {digest, "?"}
    assert kube.status("digits")["stableRevision"]["number"] == 1
