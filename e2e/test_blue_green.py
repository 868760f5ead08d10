"""Blue-green on the cluster: a preview by header and by path, one switch, and the way back."""

import json
import urllib.request
from typing import Any

import pytest

from e2e import manifests

PREVIEW = {"previewHeader": {"name": "X-Preview", "value": "yes"}}
UNJUDGED = {"prePromotionAnalysis": {"skip": True}}


def rollout(uri: str, blue_green: dict[str, Any], delay: str = "2s") -> dict[str, Any]:
    analysis = {"warmup": "4s", "beta": 0.3, "metrics": [{"errorRate": {}}]}
    return manifests.rollout(uri, {"blueGreen": blue_green}, analysis=analysis, scaleDownDelay=delay)


def phase(kube) -> str:
    return str(kube.status("digits").get("phase"))


def stable_number(kube) -> int:
    return int(kube.status("digits").get("stableRevision", {}).get("number", 0))


def answered_by(url: str, rows: Any, headers: dict[str, str] | None = None) -> str:
    """Ask once, and return the revision that the answer names."""
    row = [float(value) for value in rows[0]]
    body = json.dumps({"data": {"ndarray": [row]}}).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(answer.headers.get("seldon-revision", ""))


def test_a_preview_is_tried_by_header_and_path_then_switched_and_back_at_once(world, kube, crowd, trained) -> None:
    waiting = {**PREVIEW, **UNJUDGED, "autoPromotionEnabled": False}
    kube.write(rollout(trained.uris[0], waiting, delay="60s"))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    url = f"{world.gateway_url}/seldon/{kube.namespace}/digits/api/v1.0/predictions"
    with crowd("digits", 120) as users:
        kube.write(rollout(trained.uris[1], waiting, delay="60s"))
        kube.until("it waits for a person", lambda: phase(kube) == "Paused")
        status = kube.status("digits")
        blue, green = status["stableRevision"]["hash"], status["canaryRevision"]["hash"]
        kube.until("the header leads there", lambda: answered_by(url, trained.rows, {"x-preview": "yes"}) == green)
        assert answered_by(url, trained.rows) == blue
        answered_by(f"{world.gateway_url}{status['canaryRevision']['path']}api/v1.0/predictions", trained.rows)
        kube.ask("digits", "promote")
        kube.until("it is switched", lambda: phase(kube) == "Healthy" and stable_number(kube) == 2)
        assert answered_by(url, trained.rows) == green
        kube.write(rollout(trained.uris[0], waiting, delay="60s"))
        kube.until("it is back", lambda: phase(kube) == "Healthy" and stable_number(kube) == 1, timeout=20)
        assert answered_by(url, trained.rows) == blue
    assert users.failures == []


@pytest.mark.long
def test_a_good_model_is_switched_after_its_verdict_and_kept_after_the_next(kube, crowd, trained) -> None:
    judged = {"postPromotionAnalysis": {}}
    kube.write(rollout(trained.uris[0], judged))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[1], judged))
        kube.until("it is promoted", lambda: phase(kube) == "Healthy" and stable_number(kube) == 2)
    assert users.failures == []


def test_a_bad_model_that_was_switched_to_unjudged_is_switched_back(kube, crowd, trained) -> None:
    unjudged = {**UNJUDGED, "postPromotionAnalysis": {}}
    kube.write(rollout(trained.uris[1], unjudged))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[2], unjudged))
        kube.until("it is switched back", lambda: phase(kube) == "Degraded")
        sent = users.sent
        kube.until("stable goes on serving", lambda: users.sent > sent + 300)
    rejected = kube.status("digits")["rejected"][-1]
    assert rejected["reason"]["metric"] == "errorRate"
    assert {failure.revision for failure in users.failures} <= {rejected["hash"]}
