"""A group of rollouts on an API server, ours or a real one: promoted as one, or rolled back as one."""

from typing import Any

import pytest

from analysis.verdict import Verdict
from controller.kube import resources

Object = dict[str, Any]
MEMBERS = ("iris", "ranker")
LABELS = {"release": "winter"}
STEPS = {"canary": {"steps": [{"setWeight": 20}, {"analysis": {}}]}}


def group(wave: str) -> Object:
    return {"selector": {"matchLabels": LABELS}, "wave": wave}


async def begin(lab: Any) -> None:
    """Both serve a first revision, and a second has begun in each."""
    for name in MEMBERS:
        await lab.serve(STEPS, name, LABELS, group=group("one"), scaleDownDelay="0s")
    for name in MEMBERS:
        await lab.change("two", name, group=group("two"))


async def hosts(lab: Any, name: str) -> set[str]:
    """Where a rollout's requests go."""
    route = await lab.client.get(resources.VIRTUAL_SERVICE, lab.namespace, name)
    return {part["destination"]["host"].split(".")[0] for http in route["spec"]["http"] for part in http["route"]}


async def test_who_is_ready_waits_and_both_are_promoted_once_the_other_is_too(lab) -> None:
    lab.judge.verdicts = {"iris": Verdict.GOOD}
    async with lab.controllers():
        await begin(lab)
        waits = await lab.until(lambda status: (status.get("group") or {}).get("level") == "Ready", "iris is ready")
        assert waits["weights"]["canary"] == 20
        lab.judge.verdicts["ranker"] = Verdict.GOOD
        statuses = [await lab.phase("Healthy", name) for name in MEMBERS]
    assert [status["stableRevision"]["number"] for status in statuses] == [2, 2]
    for name, status in zip(MEMBERS, statuses, strict=True):
        assert {host.rsplit("-", 1)[0] for host in await hosts(lab, name)} == {status["stableRevision"]["name"]}


@pytest.mark.parametrize("dies", [False, True], ids=["the controller lives", "the controller dies meanwhile"])
async def test_both_go_back_for_the_fault_of_one(lab, dies: bool) -> None:
    lab.judge.verdicts = {"iris": Verdict.GOOD}
    async with lab.controllers():
        await begin(lab)
        await lab.until(lambda status: (status.get("group") or {}).get("level") == "Ready", "iris is ready")
        if not dies:
            lab.judge.verdicts["ranker"] = Verdict.BAD
            await lab.phase("Degraded", "ranker")
            await lab.phase("Degraded")
    lab.judge.verdicts["ranker"] = Verdict.BAD
    async with lab.controllers():
        bad, pulled = await lab.phase("Degraded", "ranker"), await lab.phase("Degraded")
    assert [each["rejected"][-1]["by"] for each in (bad, pulled)] == ["judge", "group"]
    assert "revision 2 of ranker, which is of the same group, was rolled back" in pulled["rejected"][-1]["message"]
    for name, status in zip(MEMBERS, (pulled, bad), strict=True):
        assert status["stableRevision"]["number"] == 1
        assert {host.rsplit("-", 1)[0] for host in await hosts(lab, name)} == {status["stableRevision"]["name"]}


async def test_a_members_labels_are_the_servers_business_and_a_wrong_group_is_named(lab) -> None:
    async with lab.controllers():
        await lab.serve(STEPS, "iris", LABELS, group=group("one"))
        await lab.serve(STEPS, "ranker", LABELS)
        await lab.change("two", group=group("two"))
        blocked = await lab.until(lambda status: bool(status.get("blockedOn")), "what stands in its way")
    assert f"rollout {lab.namespace}/ranker has the labels of the group" in blocked["blockedOn"]["message"]
