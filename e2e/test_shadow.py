"""A shadow on the cluster: copies arrive, no user is answered by it, and the report stands."""

import json
import urllib.parse
import urllib.request
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


def answered_by(url: str, rows: Any, team: str) -> str:
    """Ask once, and return the revision that the answer names."""
    body = json.dumps({"data": {"ndarray": [[float(value) for value in rows[0]]]}}).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json", "x-team": team})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(answer.headers.get("seldon-revision", ""))


def served(world, deployment: str) -> float:
    """Requests that a revision's orchestrators have counted."""
    query = f'sum(seldon_api_executor_server_requests_seconds_count{{deployment_name="{deployment}"}})'
    address = f"{world.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def test_only_requests_that_match_are_copied_and_stable_answers_them(world, kube, crowd, trained) -> None:
    if not world.prometheus_url:
        pytest.skip("nobody counts the copies")
    match = [{"headers": {"X-Team": {"exact": "ours"}}}]
    canary = {"canary": {"steps": [{"setMirror": {"match": match}}, {"pause": {}}]}}
    kube.write(manifests.rollout(trained.uris[0], canary))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    url = f"{world.gateway_url}/seldon/{kube.namespace}/digits/api/v1.0/predictions"
    with crowd("digits", 60) as users:
        kube.write(manifests.rollout(trained.uris[1], canary))
        kube.until("those that match would be copied", lambda: phase(kube) == "Paused")
        status = kube.status("digits")
        by = {answered_by(url, trained.rows, team) for team in ("ours", "theirs") for _ in range(20)}
        child = status["canaryRevision"]["name"]
        kube.until("the copies are counted", lambda: served(world, child) >= 20)
        sent = users.sent
        kube.until("others go on", lambda: users.sent > sent + 300)
    assert served(world, child) == 20
    assert by == set(users.tallies) == {status["stableRevision"]["hash"]}
    assert users.failures == []
