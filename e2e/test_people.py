"""What people ask for beside going on, on the cluster under traffic: other pods, and back to an earlier revision."""

from typing import Any

from e2e import manifests


def rollout(uri: str) -> dict[str, Any]:
    canary = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
    analysis = {"warmup": "4s", "beta": 0.3, "metrics": [{"errorRate": {}}]}
    return manifests.rollout(uri, canary, analysis=analysis, rollbackWindow={"revisions": 1})


def test_restart_and_rollback_lose_no_request_and_write_no_spec(kube, crowd, trained) -> None:
    def at(phase: str, number: int) -> bool:
        status = kube.status("digits")
        return status.get("phase") == phase and status.get("stableRevision", {}).get("number") == number

    kube.write(rollout(trained.uris[0]))
    kube.until("the first revision serves", lambda: at("Healthy", 1))
    with crowd("digits", 120) as users:
        kube.write(rollout(trained.uris[1]))
        kube.until("the canary has its weight", lambda: kube.status("digits").get("phase") == "Paused")
        kube.ask("digits", "restart")
        kube.until("all pods were replaced", lambda: restarted(kube))
        kube.ask("digits", "promote-full")
        kube.until("it is promoted", lambda: at("Healthy", 2))
        generation = kube.read("digits")["metadata"]["generation"]
        kube.ask("digits", "rollback", revision=1)
        kube.until("it is back", lambda: at("Healthy", 1))
    status = kube.status("digits")
    assert users.failures == []
    assert kube.read("digits")["metadata"]["generation"] == generation
    assert (status["pinned"]["number"], "pinned by" in status["message"]) == (1, True)


def restarted(kube) -> bool:
    """Say whether both revisions have the pods that were asked for, and all are ready."""
    status = kube.status("digits")
    asked = status.get("lastIntent", {})
    children = [status["stableRevision"], status["canaryRevision"]]
    plural = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}
    found = [kube.read(child["name"], **plural) for child in children]
    stamped = all(
        "rollouts.seldon.io/restarted-at" in (predictor.get("annotations") or {})
        for each in found
        for predictor in each["spec"]["predictors"]
    )
    current = all(each["status"].get("observedGeneration") == each["metadata"]["generation"] for each in found)
    available = all(each["status"].get("state") == "Available" for each in found)
    return asked.get("verb") == "restart" and stamped and current and available
