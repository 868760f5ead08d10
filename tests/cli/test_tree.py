"""A rollout as a tree, from the objects that belong to it."""

from typing import Any

import pytest

from seldon_rollouts.view.tree import Part, tree


def obj(name: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ml", "name": name, "labels": labels}, **more}


def shown(part: Part, depth: int = 0) -> list[str]:
    lines = [f"{'  ' * depth}{part.kind} {part.name}: {part.state}"]
    return lines + [line for each in part.parts for line in shown(each, depth + 1)]


def test_each_revision_has_its_seldondeployment_deployments_and_pods() -> None:
    rollout = obj("iris", {}, status={
        "phase": "Progressing",
        "stableRevision": {
            "hash": "a", "number": 1, "name": "iris-a", "role": "stable", "replicas": 1, "readyReplicas": 1,
            "weight": 80,
        },
        "canaryRevision": {"hash": "b", "number": 2, "name": "iris-b", "replicas": 2, "readyReplicas": 0},
        "retiredRevisions": [{"hash": "c", "number": 3, "name": "iris-c", "role": "retired", "weight": 20}],
        "weights": {"stable": 95, "canary": 5},
    })  # fmt: skip
    children = [
        obj("iris-a", {"rollouts.seldon.io/revision-hash": "a"}, status={"state": "Available"}),
        obj("iris-b", {"rollouts.seldon.io/revision-hash": "b"}, status={"state": "Creating"}),
    ]
    of_b = {"seldon-deployment-id": "iris-b", "app": "b"}
    deployments = [obj("iris-b-default", of_b, spec={"replicas": 2, "selector": {"matchLabels": {"app": "b"}}})]
    waiting = {"name": "c", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pods = [obj("iris-b-0", of_b, status={"phase": "Running", "containerStatuses": [waiting]})]
    assert shown(tree(rollout, children, deployments, pods)) == [
        "SeldonRollout ml/iris: Progressing",
        "  revision 1 iris-a: stable 80 %, 1/1 pods ready",
        "    SeldonDeployment iris-a: Available",
        "  revision 2 iris-b: canary 0 %, 0/2 pods ready",
        "    SeldonDeployment iris-b: Creating",
        "      Deployment iris-b-default: 0/2 ready",
        "        Pod iris-b-0: Running, 3 restarts",
        "  revision 3 iris-c: retired 20 %, 0/0 pods ready",
    ]


@pytest.mark.parametrize(
    ("analysis", "said"),
    [({"verdict": "NoData"}, "NoData"), ({"verdict": "Good", "message": "all is well"}, "Good: all is well")],
)
def test_a_canary_says_what_the_judge_says(analysis: dict[str, str], said: str) -> None:
    revisions = {
        "stableRevision": {"hash": "a", "number": 1, "name": "iris-a"},
        "canaryRevision": {"hash": "b", "number": 2, "name": "iris-b", "role": "canary"},
    }
    canary = tree(obj("iris", {}, status={"phase": "Progressing", **revisions, "analysis": analysis})).parts[-1]
    assert canary.message == said


def test_what_is_not_there_is_left_out() -> None:
    assert shown(tree(obj("iris", {}))) == ["SeldonRollout ml/iris: Pending"]


def test_what_is_said_above_is_not_said_again_below() -> None:
    said = "0 of 1 pods available: container c: CrashLoopBackOff: no weights here"
    revision = {"hash": "a", "number": 1, "name": "iris-a", "role": "canary", "replicas": 1, "message": said}
    status = {"phase": "Pending", "message": f"the first revision is starting; {said}", "canaryRevision": revision}
    child = obj("iris-a", {"rollouts.seldon.io/revision-hash": "a"}, status={"state": "Creating", "description": said})
    whole = tree(obj("iris", {}, status=status), [child])
    below = whole.parts[0]
    assert (whole.message.count(said), below.message, below.parts[0].message) == (1, "", "")
