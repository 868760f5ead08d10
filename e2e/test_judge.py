"""What the judge must tell apart on real traffic: a small regression, and trouble that both revisions share."""

from typing import Any

import pytest

from e2e.test_stories import phase, rollout, serve, stable_number

HALF = [{"setWeight": 50}, {"analysis": {}}]


def judged_on_errors(uri: str) -> dict[str, Any]:
    """A rollout whose latency is not looked at: a busy machine is no regression."""
    made = rollout("digits", uri, steps=HALF)
    made["spec"]["analysis"]["metrics"] = [{"errorRate": {}}]
    return made


def test_one_failure_in_a_hundred_that_becomes_three_is_rolled_back(kube, crowd, brittle) -> None:
    serve(kube, "digits", brittle("one", 0.01))
    with crowd("digits", 300):
        kube.write(judged_on_errors(brittle("three", 0.03)))
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
    (rejected,) = kube.status("digits")["rejected"]
    assert rejected["reason"]["metric"] == "errorRate"
    assert rejected["reason"]["canary"] > 1.5 * rejected["reason"]["stable"] > 0


def test_trouble_that_both_revisions_share_rolls_nothing_back(kube, crowd, brittle) -> None:
    serve(kube, "digits", brittle("stable", 0.1))
    with crowd("digits", 300) as users:
        kube.write(judged_on_errors(brittle("canary", 0.1)))
        kube.until("it is promoted", lambda: phase(kube, "digits") == "Healthy" and stable_number(kube, "digits") == 2)
    assert users.failures != []
    assert not kube.status("digits").get("rejected")


def test_without_prometheus_there_is_no_verdict_and_with_it_again_the_same_comparison_goes_on(
    world, kube, crowd, brittle
) -> None:
    if world.faults is None:
        pytest.skip("nothing is taken away from a real cluster")
    serve(kube, "digits", brittle("one", 0.01))
    with crowd("digits", 300):
        kube.write(judged_on_errors(brittle("three", 0.03)))
        kube.until("it is judged", lambda: bool(kube.status("digits").get("analysis", {}).get("metrics")))
        started = kube.status("digits")["analysis"]["startedAt"]
        world.faults.cut_prometheus()
        try:
            kube.until("it says so", lambda: kube.status("digits").get("analysis", {}).get("verdict") == "Error")
            assert phase(kube, "digits") == "Progressing"
        finally:
            world.faults.restore_prometheus()
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
    assert kube.status("digits")["analysis"]["startedAt"] == started
