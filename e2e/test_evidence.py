"""Evidence on the cluster: a slower tail is found, and whoever judges again comes to the same numbers."""

import asyncio
import json
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.providers.prometheus import PrometheusProvider
from analysis.spec import Arm, Comparison
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout import judging
from e2e.test_judge import judged_on_errors
from e2e.test_stories import phase, rollout, serve
from seldon_rollouts.demo.models import SlowClassifier

pytestmark = pytest.mark.long
TICK = timedelta(seconds=2)
SLOW_SHARE = 0.04


def judged_on_latency(uri: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    made = rollout("digits", uri, steps=steps)
    made["spec"]["analysis"]["metrics"] = [{"latency": {}}]
    predictor = made["spec"]["template"]["spec"]["predictors"][0]
    container = {"name": predictor["graph"]["name"], "env": [{"name": "GUNICORN_THREADS", "value": "8"}]}
    predictor["componentSpecs"] = [{"spec": {"containers": [container]}}]
    return made


@pytest.fixture
def slow(spoiled):
    """Make models that wait so many seconds before some of their answers; returns their addresses."""
    return lambda name, seconds: spoiled(
        name, SLOW_SHARE, lambda inner, darkest: SlowClassifier(inner, seconds, darker_than=darkest)
    )


def within(world, deployment: str, seconds: float) -> float:
    """The share of a deployment's requests that took at most so long."""
    name, of = "seldon_api_executor_server_requests_seconds", f'deployment_name="{deployment}"'
    found = []
    for query in (f'sum({name}_bucket{{{of},le="{seconds}"}})', f"sum({name}_count{{{of}}})"):
        address = f"{world.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found.append(float(json.load(answer)["data"]["result"][0]["value"][1]))
    return found[0] / found[1]


def test_a_tail_that_is_a_third_slower_is_rolled_back_though_the_median_is_the_same(world, kube, crowd, slow) -> None:
    if not world.prometheus_url:
        pytest.skip("the Prometheus of a real cluster is not reached from here")
    half = [{"setWeight": 50}, {"analysis": {}}]
    kube.write(judged_on_latency(slow("stable", 0.2), half))
    kube.until("the first revision serves", lambda: phase(kube, "digits") == "Healthy")
    with crowd("digits", 200):
        kube.write(judged_on_latency(slow("slower", 0.26), half))
        kube.until("it is judged", lambda: bool(kube.status("digits").get("analysis", {}).get("metrics")))
        canary, stable = (kube.status("digits")[which]["name"] for which in ("canaryRevision", "stableRevision"))
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
    (rejected,) = kube.status("digits")["rejected"]
    assert rejected["reason"]["metric"] == "latency"
    assert "slower than 250 ms" in rejected["reason"]["message"]
    for deployment in (canary, stable):
        assert within(world, deployment, 0.1) > 0.9  # the median, and much more, is as it was


def test_a_model_that_hangs_is_rolled_back_by_users_who_give_up(kube, crowd, trained, spoiled) -> None:
    serve(kube, "digits", trained.uris[1])
    hangs = spoiled("hangs", 1.0, lambda inner, _: SlowClassifier(inner, 60))
    with crowd("digits", 100, patience=1) as users:
        kube.write(rollout("digits", hangs))
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
    (rejected,) = kube.status("digits")["rejected"]
    assert rejected["reason"]["metric"] == "latency"
    assert users.answered(rejected["hash"]) == 0, "it answered nobody, well or badly"


def replayed(world, kube, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, float]:
    """The evidence that a judge of its own finds in Prometheus for what a status says, by metric."""
    seen = RolloutStatus.model_validate(status)
    arms = {}
    for which in ("stableRevision", "canaryRevision"):
        name = status[which]["name"]
        arms[which] = Arm(kube.namespace, name, (f"{name}-default",))
    watched = Comparison(
        key=(kube.namespace, "digits"),
        stable=arms["stableRevision"],
        canary=arms["canaryRevision"],
        plan=judging.plan(RolloutSpec.model_validate(spec).analysis),
        started_at=seen.analysis.started_at,
        restarts=seen.analysis.restarts,
    )
    monitor = Monitor(Measurer(PrometheusProvider(world.prometheus_url)), step=TICK, settle=timedelta(0))
    monitor.track(watched)
    with ThreadPoolExecutor(1) as aside:  # a loop of its own: the main thread's is pytest's
        aside.submit(asyncio.run, monitor.tick(seen.analysis.updated_at)).result()
    found = judging.opinion(monitor.judgement(watched.key), watched)
    assert found is not None
    return {metric.name: metric.evidence for metric in found.metrics}


def told(status: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]: metric["evidence"] for metric in status["analysis"]["metrics"]}


def judged_since(kube, instant: str, ticks: int = 3) -> bool:
    analysis = kube.status("digits").get("analysis", {})
    at, since = analysis.get("updatedAt"), datetime.fromisoformat(instant)
    return bool(at and analysis["verdict"] != "Error" and datetime.fromisoformat(at) >= since + ticks * TICK)


def waiting_at_half(uri: str) -> dict[str, Any]:
    """A rollout that is judged while it waits for a person, so that nothing but a bad verdict can move it."""
    made = judged_on_errors(uri)
    made["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": 50}, {"pause": {}}]
    return made


def test_after_the_controller_was_killed_the_evidence_is_that_of_a_judge_who_saw_all(
    world, kube, crowd, trained
) -> None:
    if world.faults is None or world.refusals is not None:
        pytest.skip("nothing is killed on a real cluster, or where the controller is the test's own")
    serve(kube, "digits", trained.uris[0])
    made = waiting_at_half(trained.uris[1])
    with crowd("digits", 100):
        kube.write(made)
        kube.until("it waits", lambda: phase(kube, "digits") == "Paused")
        kube.until("it is judged", lambda: bool(kube.status("digits").get("analysis", {}).get("curve")))
        before = kube.status("digits")
        assert told(before) == replayed(world, kube, made["spec"], before)
        world.faults.kill("controller")
        kube.until("it is judged again", lambda: judged_since(kube, before["analysis"]["updatedAt"]))
        after = kube.status("digits")
        assert after["analysis"]["startedAt"] == before["analysis"]["startedAt"]
        assert told(after) == replayed(world, kube, made["spec"], after)
        kept = [point["at"] for point in before["analysis"]["curve"]["points"]]
        assert [point["at"] for point in after["analysis"]["curve"]["points"]][: len(kept)] == kept
    assert phase(kube, "digits") == "Paused"


def failed(status: dict[str, Any]) -> list[bool]:
    """Whether requests of the canary and of stable are known to have failed."""
    (metric,) = status["analysis"]["metrics"]
    return [bool(metric.get(arm)) for arm in ("canary", "stable")]


def test_after_prometheus_was_away_the_evidence_is_that_of_a_judge_who_came_later(world, kube, crowd, brittle) -> None:
    if world.faults is None:
        pytest.skip("nothing is taken away from a real cluster")
    serve(kube, "digits", brittle("stable", 0.1))
    made = waiting_at_half(brittle("canary", 0.1))
    with crowd("digits", 100):
        kube.write(made)
        kube.until("it is judged", lambda: bool(kube.status("digits").get("analysis", {}).get("metrics")))
        kube.until("some failed on both", lambda: all(failed(kube.status("digits"))))
        world.faults.cut_prometheus()
        try:
            kube.until("it says so", lambda: kube.status("digits")["analysis"]["verdict"] == "Error")
            away = kube.status("digits")
        finally:
            world.faults.restore_prometheus()
        assert away["phase"] == "Paused"
        assert "metrics could not be read" in away["analysis"]["message"]
        kube.until("it is judged again", lambda: judged_since(kube, away["analysis"]["updatedAt"], ticks=5))
        after = kube.status("digits")
    assert after["analysis"]["startedAt"] == away["analysis"]["startedAt"]
    assert after["phase"] == "Paused"
    assert told(after) == replayed(world, kube, made["spec"], after)
    assert told(after) != told(away)
