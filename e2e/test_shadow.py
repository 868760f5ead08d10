"""A shadow on the cluster: copies arrive, no user is answered by it, and the report stands."""

from typing import Any

import pytest

from e2e import manifests

SHADOW = {"percentage": 100, "untilVerdict": {"maxDuration": "2m"}}


def rollout(uri: str, shadow: dict[str, Any]) -> dict[str, Any]:
    return manifests.rollout(uri, {"shadow": shadow})


def phase(kube) -> str:
    return str(kube.status("digits").get("phase"))


@pytest.mark.long
def test_a_good_shadow_is_reported_and_goes_on_into_its_canary(kube, crowd, trained) -> None:
    then = {**SHADOW, "then": {"steps": [{"setWeight": 50}, {"analysis": {}}]}}
    kube.write(rollout(trained.uris[0], then))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[1], then))
        kube.until("copies are taken", lambda: kube.status("digits").get("canaryRevision", {}).get("mirror") == 100)
        canary = kube.status("digits")["canaryRevision"]["hash"]
        kube.until("the shadow has its report", lambda: "shadow" in kube.status("digits"))
        reported = kube.status("digits")["shadow"]
        kube.until("it is promoted", lambda: phase(kube) == "Healthy" and "canaryRevision" not in kube.status("digits"))
    assert users.failures == []
    assert (reported["verdict"], reported["hash"]) == ("Good", canary)
    assert min(metric["canaryRequests"] for metric in reported["metrics"]) >= 100
    assert kube.status("digits")["stableRevision"]["hash"] == canary


def test_a_bad_shadow_is_reported_and_no_user_ever_met_it(kube, crowd, trained) -> None:
    kube.write(rollout(trained.uris[1], SHADOW))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[2], SHADOW))
        kube.until("it is rejected", lambda: phase(kube) == "Degraded")
    status = kube.status("digits")
    assert users.failures == []
    assert (status["shadow"]["verdict"], status["rejected"][-1]["reason"]["metric"]) == ("Bad", "errorRate")
    assert status["shadow"]["hash"] == status["rejected"][-1]["hash"]
    assert set(users.tallies) == {status["stableRevision"]["hash"]}, "nobody was answered by it"
