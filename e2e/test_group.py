"""Two rollouts of one group on the cluster: promoted together, and rolled back together for the fault of one."""

from typing import Any

import pytest

from e2e import manifests

pytestmark = pytest.mark.long

MEMBERS = ("digits", "ranker")
LABELS = {"release": "winter"}
STEPS = [{"setWeight": 25}, {"analysis": {}}]


def member(name: str, uri: str, wave: str) -> dict[str, Any]:
    group = {"selector": {"matchLabels": LABELS}, "wave": wave}
    analysis = {"warmup": "4s", "beta": 0.3, "metrics": [{"errorRate": {}}]}
    made = manifests.rollout(uri, {"canary": {"steps": STEPS}}, name=name, note=wave, group=group, analysis=analysis)
    made["metadata"]["labels"] = LABELS
    return made


def phase(kube, name: str) -> str:
    return str(kube.status(name).get("phase"))


def stable_number(kube, name: str) -> int:
    return int(kube.status(name).get("stableRevision", {}).get("number", 0))


def both(kube, wanted: str) -> bool:
    return all(phase(kube, name) == wanted for name in MEMBERS)


def apart(kube) -> list[str]:
    """Say who is promoted while another still shares its traffic; the promoted one is read first."""
    found = []
    for first, second in (MEMBERS, MEMBERS[::-1]):
        ahead, behind = kube.read(first)["status"], kube.read(second)["status"]
        if ahead["stableRevision"]["number"] < 2 or behind["stableRevision"]["number"] == 2:
            continue
        if (weight := behind["canaryRevision"]["weight"]) != 100:
            found.append(f"{first} is promoted, {second} has its canary at {weight}")
    return found


def test_a_group_is_promoted_together_and_goes_back_together_for_one_bad_member(kube, crowd, trained) -> None:
    for name in MEMBERS:
        kube.write(member(name, trained.uris[0], "first"))
    kube.until("the first revisions serve", lambda: both(kube, "Healthy"))
    split: list[str] = []

    def promoted() -> bool:
        split.extend(apart(kube))
        return both(kube, "Healthy") and all(stable_number(kube, name) == 2 for name in MEMBERS)

    with crowd("digits", 150) as users, crowd("ranker", 150) as others:
        for name in MEMBERS:
            kube.write(member(name, trained.uris[1], "second"))
        kube.until("both are promoted", promoted)
        assert [each.failures for each in (users, others)] == [[], []]
        kube.write(member("digits", trained.uris[1], "third"))
        kube.write(member("ranker", trained.uris[2], "third"))
        kube.until("both are rolled back", lambda: both(kube, "Degraded"))
        sent = [each.sent for each in (users, others)]
        kube.until("stable goes on serving", lambda: users.sent > sent[0] + 200 and others.sent > sent[1] + 200)
    assert split == []
    assert [stable_number(kube, name) for name in MEMBERS] == [2, 2]
    bad = kube.status("ranker")["rejected"][-1]
    pulled = kube.status("digits")["rejected"][-1]
    assert (bad["by"], bad["reason"]["metric"]) == ("judge", "errorRate"), pulled["message"]
    assert pulled["by"] == "group"
    assert "of ranker, which is of the same group, was rolled back" in pulled["message"]
    assert users.failures == []
    assert {failure.revision for failure in others.failures} <= {bad["hash"]}
