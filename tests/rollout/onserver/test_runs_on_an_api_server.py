"""Templates in a rollout, with both controllers on an API server: ours, or with KUBEBUILDER_ASSETS a real one."""

from typing import Any

import pytest

from analysis.verdict import Verdict
from controller.kube import resources
from controller.kube.errors import InvalidError, NotFoundError
from controller.rollout.act import act
from controller.rollout.actions import CreateRun, DeleteRun, StopRun
from controller.rollout.written import Written

Object = dict[str, Any]
QUERY = {"prometheus": {"query": "vector(1)"}}
ONCE = {"metrics": [{"name": "rate", "successCondition": "result[0] == 1", "provider": QUERY}]}
LONG = {"metrics": [{"name": "rate", "interval": "1s", "count": 600, "provider": QUERY}]}
ENDLESS = {"metrics": [{"name": "rate", "interval": "1s", "successCondition": "result[0] == 1", "provider": QUERY}]}
BETWEEN = {
    "metrics": [
        {"name": "rate", "successCondition": "result[0] > 1", "failureCondition": "result[0] < 1", "provider": QUERY}
    ]
}
NAMED = {"templates": [{"templateName": "rate"}]}
HALF = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
STEP = {"canary": {"steps": [{"setWeight": 50}, {"analysis": NAMED}]}}
BACK = "background"


def over(run: Object) -> bool:
    return (run.get("status") or {}).get("phase", "Pending") not in ("Pending", "Running")


def measured(run: Object) -> bool:
    results = (run.get("status") or {}).get("metricResults") or [{}]
    return bool(results[0].get("measurements"))


async def test_a_run_in_the_background_that_fails_rolls_back(lab) -> None:
    await lab.template(ENDLESS)
    async with lab.controllers():
        await lab.serve(HALF, analysis=NAMED)
        await lab.change("two")
        run = await lab.run(BACK, measured)
        lab.metered.value = "0"
        status = await lab.phase("Degraded")
    (rejected,) = status["rejected"]
    assert rejected["by"] == "analysis"
    assert f"AnalysisRun {run['metadata']['name']} is Failed" in rejected["message"]
    assert [each["phase"] for each in status["analysis"]["runs"]] == ["Failed"]


async def test_one_without_end_is_told_to_end_after_the_promotion(lab) -> None:
    await lab.template(ENDLESS)
    async with lab.controllers():
        await lab.serve({"canary": {"steps": [{"setWeight": 50}, {"analysis": {}}]}}, analysis=NAMED)
        await lab.change("two")
        await lab.run(BACK, measured)
        lab.judge.verdict = Verdict.GOOD
        await lab.phase("Healthy")
        run = await lab.run(BACK, over)
    assert (run["spec"]["terminate"], run["status"]["phase"]) == (True, "Successful")


async def test_a_step_waits_for_its_run_and_goes_on(lab) -> None:
    await lab.template(ONCE)
    lab.judge.verdict = Verdict.GOOD
    async with lab.controllers():
        await lab.serve(STEP)
        await lab.change("two")
        status = await lab.phase("Healthy")
    assert [(each["name"][-7:], each["phase"]) for each in status["analysis"]["runs"]] == [("-step-2", "Successful")]


async def test_an_inconclusive_run_asks_a_person_who_passes_it(lab) -> None:
    await lab.template(BETWEEN)
    lab.judge.verdict = Verdict.GOOD
    async with lab.controllers():
        await lab.serve(STEP)
        await lab.change("two")
        status = await lab.phase("Paused")
        assert "say pass or fail" in status["message"]
        await lab.ask("pass")
        await lab.phase("Healthy")


async def test_and_who_fails_it(lab) -> None:
    await lab.template(BETWEEN)
    async with lab.controllers():
        await lab.serve(STEP)
        await lab.change("two")
        await lab.phase("Paused")
        await lab.ask("fail")
        status = await lab.phase("Degraded")
    assert status["rejected"][-1]["by"] == "ada"


async def test_blue_green_before_and_after_the_switch(lab) -> None:
    await lab.template(ONCE)
    lab.judge.verdict = Verdict.GOOD
    async with lab.controllers():
        strategy = {"blueGreen": {"prePromotionAnalysis": NAMED, "postPromotionAnalysis": NAMED}}
        await lab.serve(strategy)
        await lab.change("two")
        await lab.until(lambda status: (status.get("stableRevision") or {}).get("number") == 2, "the second revision")
        lab.metered.value = "0"
        await lab.change("three")
        status = await lab.phase("Degraded")
    # What failed before the switch is not asked after it.
    assert [run["phase"] for run in status["analysis"]["runs"]] == ["Successful", "Successful", "Failed"]


async def test_a_run_that_somebody_deletes_is_made_again(lab) -> None:
    await lab.template(LONG)
    async with lab.controllers():
        await lab.serve(HALF, analysis=NAMED)
        await lab.change("two")
        run = await lab.run(BACK, measured)
        await lab.client.delete(resources.ANALYSIS_RUN, lab.namespace, run["metadata"]["name"])
        again = await lab.run(BACK, lambda each: each["metadata"]["uid"] != run["metadata"]["uid"] and measured(each))
    assert again["metadata"]["name"] == run["metadata"]["name"]


async def test_what_becomes_of_the_template_changes_no_run_that_was_made(lab) -> None:
    await lab.template(LONG)
    async with lab.controllers():
        await lab.serve(HALF, analysis=NAMED)
        await lab.change("two")
        run = await lab.run(BACK, measured)
        await lab.template(ONCE)
        await lab.client.delete(resources.ANALYSIS_TEMPLATE, lab.namespace, "rate")
        await lab.ask("abort")
        await lab.phase("Degraded")
        ended = await lab.run(BACK, over)
    assert ended["spec"] == run["spec"] | {"terminate": True}
    assert ended["metadata"]["uid"] == run["metadata"]["uid"]


async def test_a_template_that_comes_late_wakes_the_rollout_that_waits_for_it(lab) -> None:
    lab.judge.verdict = Verdict.GOOD
    async with lab.controllers():
        await lab.serve(STEP)
        await lab.change("two")
        status = await lab.until(lambda status: bool(status.get("blockedOn")), "what it waits for")
        assert "there is no AnalysisTemplate 'rate'" in status["blockedOn"]["message"]
        await lab.template(ONCE)
        await lab.phase("Healthy")


async def test_a_controller_that_dies_between_the_run_and_the_status_makes_no_second_one(lab) -> None:
    await lab.template(LONG)
    async with lab.controllers(dies_after="/analysisruns") as client:
        await lab.serve(HALF, analysis=NAMED)
        await lab.change("two")
        run = await lab.run(BACK)
        assert client.dead
    assert (await lab.status())["analysis"]["runs"] == []
    async with lab.controllers():
        status = await lab.until(lambda status: bool(status["analysis"].get("runs")), "the run in the status")
    assert [each["name"] for each in status["analysis"]["runs"]] == [run["metadata"]["name"]]
    assert (await lab.run(BACK))["metadata"]["uid"] == run["metadata"]["uid"]


async def test_a_run_of_that_name_that_is_somebody_elses_is_named(lab) -> None:
    await lab.template(LONG)
    async with lab.controllers():
        await lab.serve(HALF, analysis=NAMED)
        await lab.change("two")
        run = await lab.run(BACK)
        meta = {key: run["metadata"][key] for key in ("name", "namespace")}
        await lab.ask("abort")
        await lab.phase("Degraded")
        await lab.run(BACK, over)
    await lab.client.delete(resources.ANALYSIS_RUN, lab.namespace, meta["name"])
    attempt = meta["name"].rsplit("-", 2)[1]
    theirs = {**meta, "name": meta["name"].replace(f"-{attempt}-", f"-{int(attempt) + 1}-")}
    await lab.client.create(resources.ANALYSIS_RUN, {"metadata": theirs, "spec": LONG})
    async with lab.controllers():
        await lab.ask("retry")
        status = await lab.until(lambda status: "is not this rollout's" in str(status.get("blockedOn")), "what is said")
    assert theirs["name"] in status["blockedOn"]["message"]


class TestActing:
    """What the shell does when the run is another one than what was decided on."""

    @pytest.fixture
    async def run(self, lab) -> Object:
        meta = {"name": "one", "namespace": lab.namespace}
        return await lab.client.create(resources.ANALYSIS_RUN, {"metadata": meta, "spec": LONG})

    async def act(self, lab, *todo: Any) -> None:
        from controller.kube.cluster import Cluster

        await act(Cluster(lab.client), Written(), lab.namespace, "iris", todo)

    async def test_a_run_is_told_to_end(self, lab, run) -> None:
        await self.act(lab, StopRun("one", run["metadata"]["uid"]))
        live = await lab.client.get(resources.ANALYSIS_RUN, lab.namespace, "one")
        assert live["spec"]["terminate"] is True

    async def test_another_one_of_its_name_is_not(self, lab, run) -> None:
        await self.act(lab, StopRun("one", "11111111-2222-3333-4444-555555555555"))
        live = await lab.client.get(resources.ANALYSIS_RUN, lab.namespace, "one")
        assert "terminate" not in live["spec"]

    async def test_one_that_is_gone_needs_no_end(self, lab) -> None:
        await self.act(lab, StopRun("gone", "11111111-2222-3333-4444-555555555555"), DeleteRun("gone", "x"))
        with pytest.raises(NotFoundError):
            await lab.client.get(resources.ANALYSIS_RUN, lab.namespace, "gone")

    async def test_one_that_is_there_is_not_made_again(self, lab, run) -> None:
        config = {"metadata": {"name": "iris", "namespace": lab.namespace}, "revision": 1, "data": {}}
        uid = (await lab.client.create(resources.CONTROLLER_REVISION, config))["metadata"]["uid"]
        owner = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "name": "iris", "uid": uid, "controller": True}
        patch = {"metadata": {"ownerReferences": [owner]}}
        await lab.client.merge_patch(resources.ANALYSIS_RUN, lab.namespace, "one", patch)
        wanted = {"metadata": {"name": "one", "namespace": lab.namespace, "ownerReferences": [owner]}, "spec": ONCE}
        await self.act(lab, CreateRun(wanted))
        live = await lab.client.get(resources.ANALYSIS_RUN, lab.namespace, "one")
        assert live["spec"] == run["spec"]


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"metrics": [{**LONG["metrics"][0], "count": 1}]}, "a run is frozen"),
        ({"args": [{"name": "a", "value": "b"}]}, "a run is frozen"),
        ({"dryRun": [{"metricName": "rate"}]}, "a run is frozen"),
        ({"terminate": True}, ""),
        ({"ttlStrategy": {"secondsAfterCompletion": 60}}, ""),
    ],
)
async def test_a_run_is_frozen_but_for_its_end(lab, patch: Object, said: str) -> None:
    meta = {"name": "one", "namespace": lab.namespace}
    await lab.client.create(resources.ANALYSIS_RUN, {"metadata": meta, "spec": LONG})
    change = lab.client.merge_patch(resources.ANALYSIS_RUN, lab.namespace, "one", {"spec": patch})
    if said:
        with pytest.raises(InvalidError, match=said):
            await change
    else:
        assert (await change)["spec"] == LONG | patch


async def test_what_was_told_to_end_does_not_go_on(lab) -> None:
    meta = {"name": "one", "namespace": lab.namespace}
    await lab.client.create(resources.ANALYSIS_RUN, {"metadata": meta, "spec": LONG | {"terminate": True}})
    with pytest.raises(InvalidError, match="told to end"):
        await lab.client.merge_patch(resources.ANALYSIS_RUN, lab.namespace, "one", {"spec": {"terminate": False}})
