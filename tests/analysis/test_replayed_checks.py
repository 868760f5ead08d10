"""Past windows before a plan with typed checks: on a real Prometheus, filled with a past that promtool wrote."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from analysis.checks import ClientErrorRate, OutlierRate, PredictionDrift, Reward, ShadowAgreement, TrafficSplit
from analysis.providers.prometheus import PrometheusProvider
from analysis.replay import ReplayError, replay
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan, Shift
from analysis.verdict import Verdict
from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts.cli.app import program as commands
from tests.analysis.backfilled import Revision, backfill

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
STEP = timedelta(seconds=10)
BEFORE = 1800
CLASSES = {"setosa": 0.6, "virginica": 0.4}
STABLE = Revision("iris-1", 45, ("stable-a", "stable-b"), outliers=0.01, reward=0.9, classes=CLASSES)
EQUAL = Revision("iris-2", 5, ("equal",), outliers=0.01, reward=0.9, classes=CLASSES, differing=(0.01, 0.01))
OTHER = Revision(
    *("iris-3", 15, ("other",)),
    failed=0.001,
    refused=0.12,
    outliers=0.06,
    reward=0.7,
    classes={"setosa": 0.3, "virginica": 0.7},
    differing=(0.3, 0.01),
)
BARE = Revision("wine-1", 20, ("bare",))
CHECKS = (TrafficSplit(), PredictionDrift(), ShadowAgreement(), Reward(), OutlierRate(), ClientErrorRate())
NAMES = tuple([check.name for check in CHECKS])
ANALYSIS = {"metrics": [{"errorRate": {}}, {"latency": {}}, *[{name: {}} for name in NAMES]]}
TEMPLATE = {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}
ROLLOUT = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "SeldonRollout",
    "metadata": {"name": "iris", "namespace": "ml"},
    "spec": {"template": TEMPLATE, "analysis": ANALYSIS},
}


@pytest.fixture
async def past(prometheus, tmp_path):
    """Where Prometheus is, and the window: ten minutes beside stable, which had been alone for half an hour."""
    end = int(time.time()) // 10 * 10
    begin = end - 600
    late = [Revision(**{**vars(one), "since": BEFORE}) for one in (EQUAL, OTHER)]
    backfill(tmp_path / "data", (STABLE, *late, BARE), start=begin - BEFORE, seconds=BEFORE + 600)
    prometheus.scrape()
    await prometheus.start()
    return prometheus.url, datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)


def comparison(started_at: datetime, canary: str, *, weight: float | None):
    return Comparison(
        key=("ml", canary),
        stable=Arm("ml", "iris-1"),
        canary=Arm("ml", canary),
        plan=Plan(metrics=(ErrorRate(), Latency(), *CHECKS)),
        started_at=started_at,
        shifts=() if weight is None else (Shift(at=started_at, share=weight),),
    )


async def judged(past, canary: str, *, weight: float | None):
    url, started, until = past
    return await replay(PrometheusProvider(url), comparison(started, canary, weight=weight), until, step=STEP)


async def test_each_check_is_judged_in_a_past_window(past):
    equal = await judged(past, "iris-2", weight=0.1)
    assert {one.metric: one.verdict for one in equal.last.findings if one.verdict is not Verdict.GOOD} == {}
    assert (equal.last.verdict, equal.left, equal.asks) == (Verdict.GOOD, (), False)

    other = await judged(past, "iris-3", weight=0.1)  # it gets a quarter
    spoke = {name: other.spoke(name) for name in ("errorRate", *NAMES)}
    assert {name for name, said in spoke.items() if said is not None} == set(NAMES)
    assert other.last.verdict is Verdict.GOOD  # none of them rolls back
    assert other.asks
    at, finding = spoke["outlierRate"]
    assert past[1] < at < past[2]
    assert finding.canary == pytest.approx(0.06, rel=0.3)
    earlier = [one for one in other.judgements if one.updated_at < at]
    assert all(
        one.verdict is not Verdict.BAD for each in earlier for one in each.findings if one.metric == "outlierRate"
    )

    unknown = await judged(past, "iris-3", weight=None)
    assert [(one.metric, one.why) for one in unknown.left] == [
        ("traffic", "the canary's weight in this time is not known")
    ]
    assert "traffic" not in {one.metric for each in unknown.judgements for one in each.findings}
    assert unknown.last.findings == tuple([one for one in other.last.findings if one.metric != "traffic"])


async def test_what_a_window_cannot_carry_is_left_out_and_said(past):
    halves = await judged(past, "iris-1", weight=0.5)
    assert [one.metric for one in halves.left] == ["traffic", "shadowAgreement"]
    kept = ("errorRate", "latency", "predictionDrift", "reward", "outlierRate", "clientErrorRate")
    assert {one.metric: one.verdict for one in halves.last.findings} == dict.fromkeys(kept, Verdict.GOOD)
    url, started, until = past
    alone = Plan(metrics=(TrafficSplit(action="abort"), OutlierRate()))
    asked = replace(comparison(started, "iris-2", weight=None), plan=alone)
    said = "nothing that the plan requires can be replayed: traffic: the canary's weight in this time is not known"
    with pytest.raises(ReplayError, match=said):
        await replay(PrometheusProvider(url), asked, until, step=STEP)


def typed(url: str, *words: str):
    return asyncio.to_thread(CliRunner().invoke, commands(), ["replay", "--prometheus-url", url, "-n", "ml", *words])


async def test_the_command_judges_with_a_rollouts_own_plan(past, tmp_path):
    url, started, until = past
    file = tmp_path / "iris.yaml"
    file.write_text(yaml.safe_dump(ROLLOUT))
    window = ("--from", started.isoformat(), "--to", until.isoformat(), "-f", str(file))
    done = await typed(url, *window, "--stable", "iris-1", "--canary", "iris-2", "--weight", "10")
    assert done.exit_code == 0, done.output
    assert "not replayed" not in done.output

    done = await typed(url, *window, "--stable", "iris-1", "--canary", "iris-3")
    assert done.exit_code == 3, done.output  # all that is required is good, and a person is asked
    assert "not replayed: traffic: the canary's weight in this time is not known (give --weight)" in done.output
    assert "outlierRate (pause): a person would have been asked" in done.output
    assert "clientErrorRate (warn): it would have warned" in done.output
    done = await typed(url, *window, "--stable", "iris-1", "--canary", "iris-3", "-o", "json")
    written = json.loads(done.output)
    assert [one["metric"] for one in written["notReplayed"]] == ["traffic"]
    said = {one["metric"]: one for one in written["metrics"]}
    assert (said["reward"]["verdict"], said["reward"]["action"]) == ("Bad", "pause")
    assert written["from"] < said["reward"]["badAt"] <= written["to"]

    done = await typed(url, *window, "--stable", "iris-1", "--canary", "wine-1")
    assert "seldon_prediction_outlier_total and seldon_prediction_row_total of wine-1 is not there" in done.output
    assert "outlierRate (pause): NoData: rows marked as outliers: the canary's orchestrators count none" in done.output


async def rollouts(kubeconfig: str, states: dict[str, dict]) -> None:
    async with Client(connector(kubeconfig, None, now=clock.now)) as client:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}
        await client.create(resources.NAMESPACE, space)
        for name, state in states.items():
            made = await client.create(
                resources.SELDON_ROLLOUT, ROLLOUT | {"metadata": {"name": name, "namespace": "ml"}}
            )
            version = made["metadata"]["resourceVersion"]
            await client.patch_status(resources.SELDON_ROLLOUT, "ml", name, state, resource_version=version)


async def test_a_plan_foretells_each_check_of_which_something_was_counted(past):
    url, _, _ = past
    stable = {"hash": "a", "number": 1, "name": "iris-1", "role": "stable"}
    canary = stable | {"hash": "b", "number": 2, "name": "iris-2", "role": "canary"}
    states = {
        "shadowed": {"stableRevision": stable, "canaryRevision": canary, "weights": {"mirror": 100}},
        "alone": {"stableRevision": stable},
        "bare": {"stableRevision": stable | {"name": "wine-1"}},
    }
    async with running_server(crds=[ROOT / "crds"]) as server:
        kubeconfig = str(server.kubeconfig_path)
        await rollouts(kubeconfig, states)

        async def planned(*words: str) -> str:
            line = ["plan", *words, "-n", "ml", "--past", "20m", "--kubeconfig", kubeconfig, "--prometheus-url", url]
            done = await asyncio.to_thread(CliRunner().invoke, commands(), line)
            assert done.exit_code == 0, done.output
            return done.output

        found = json.loads(await planned("shadowed", "-o", "json"))
        assert found["requestsPerSecond"] == pytest.approx(45, rel=0.1)  # copies come on top of nobody's
        told = {one["metric"]: one for one in found["weights"][0]["checks"]}
        assert (set(told), found["notForetold"]) == (set(NAMES), [])
        assert all(
            each["seconds"] is None or each["seconds"] >= 150 for one in told.values() for each in one["noticed"]
        )
        shown = await planned("alone")
        assert "outlierRate (pause): outliers +5 points" in shown
        assert "predictionDrift (warn): 50 % of the answers setosa become others" in shown
        assert "not foretold: shadowAgreement: in this time no copy was compared" in shown
        bare = json.loads(await planned("bare", "-o", "json"))
        assert [one["metric"] for one in bare["notForetold"]] == [
            "predictionDrift", "shadowAgreement", "reward", "outlierRate"
        ]  # fmt: skip
        assert [one["metric"] for one in bare["weights"][0]["checks"]] == ["traffic", "clientErrorRate"]


async def test_a_canary_under_way_is_judged_again_with_its_own_weights(past):
    url, started, until = past
    moment = f"{started:%FT%TZ}"
    revision = {"hash": "a", "number": 1, "name": "iris-1", "role": "stable"}
    status = {
        "stableRevision": revision,
        "canaryRevision": {**revision, "hash": "b", "number": 2, "name": "iris-2", "role": "canary"},
        "analysis": {"startedAt": moment, "weights": [{"at": moment, "percent": 10}]},
    }
    async with running_server(crds=[ROOT / "crds"]) as server:
        kubeconfig = str(server.kubeconfig_path)
        await rollouts(kubeconfig, {"iris": status, "idle": {"stableRevision": revision}})
        asked = ("--kubeconfig", kubeconfig, "--to", until.isoformat(), "--rollout")
        done = await typed(url, *asked, "iris")
        assert done.exit_code == 0, done.output
        assert "traffic (pause): Good: traffic: the canary takes" in done.output
        assert f"iris-2 against iris-1, {moment} to {until:%FT%TZ}" in done.output
        done = await typed(url, *asked, "idle", "--from", moment)
        assert done.exit_code == 2
        assert "or the --rollout of a canary under way" in " ".join(done.output.replace("│", " ").split())
        done = await typed(url, *asked, "iros")
        assert "did you mean iris?" in str(done.exception)
