"""`explain`: why a rollout is where it is, what comes next, and what a person may do."""

from typing import Any

import pytest

from seldon_rollouts.explain import sentences

SPEC = {
    "template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}},
    "strategy": {"canary": {"steps": [{"setWeight": 5}, {"analysis": {}}, {"setWeight": 25}]}},
}
MOVING = {
    "phase": "Progressing", "message": "revision 2 is progressing", "observedGeneration": 1, "stepCount": 3,
    "stableRevision": {"hash": "a", "number": 1, "name": "iris-a", "weight": 95},
    "canaryRevision": {"hash": "b", "number": 2, "name": "iris-b", "weight": 5},
    "weights": {"stable": 95, "canary": 5},
}  # fmt: skip


def told(status: dict[str, Any], lacking: dict[str, str] | None = None) -> list[str]:
    rollout = {"metadata": {"namespace": "ml", "name": "iris"}, "spec": SPEC, "status": status}
    return list(sentences(rollout, lacking or {}))


def test_a_rollout_that_nobody_has_looked_at_says_so() -> None:
    assert told({})[0] == "Pending: no controller has looked at it yet; is one running? (`seldon-rollouts doctor`)"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"blockedOn": {"kind": "quota", "message": "no room"}}, "It waits for room in a quota: no room"),
        ({}, "The canary has 5% of requests, not yet seen at the gateway."),
        (
            {"canaryRevision": {"hash": "b", "number": 2, "weight": 2}},
            "The canary has 2% of requests, and is to have 5%.",
        ),
        (
            {"canaryRevision": {"hash": "b", "number": 2, "weight": 40}, "weights": {"stable": 100}},
            "The canary has 40% of requests, and is to have 0%.",
        ),
        (
            {"canaryRevision": {"hash": "b", "number": 2}, "weights": {"stable": 100, "mirror": 100}},
            "The canary has 0% of requests, and is to have 100% copied.",
        ),
        ({"analysis": {"verdict": "NoData"}}, "The judge says NoData"),
        ({"analysis": {"verdict": "Good", "message": "as good"}}, "The judge says Good: as good"),
        ({"currentStepIndex": 1}, "Then: weight 25 %, promotion"),
        (
            {"lastIntent": {"id": "1", "verb": "skip", "outcome": "refused", "message": "it is late"}},
            "The last intent (skip) was refused: it is late",
        ),
    ],
)
def test_each_part_of_the_answer_has_its_sentence(more: dict[str, Any], said: str) -> None:
    assert said in told({**MOVING, **more})


def test_what_a_person_may_do_ends_it() -> None:
    assert told(MOVING)[-1].startswith("A person may now: abort, ")


def test_a_first_revision_is_not_said_to_go_through_steps() -> None:
    first = {"hash": "a", "number": 1, "name": "iris-a"}
    said = told({"phase": "Pending", "message": "the first revision is starting", "canaryRevision": first})
    assert "It is the first revision, and nothing serves beside it" in said[1]
    assert not any("Then:" in one or "judge" in one for one in said)


GATED = {"blockedOn": {"kind": "gate", "message": "waits for rollout ml/features"}}


@pytest.mark.parametrize("status", [{"phase": "Healthy"}, {**MOVING, **GATED}, MOVING])
def test_a_template_that_is_missing_is_named_whatever_is_waited_for(status: dict[str, Any]) -> None:
    said = told(status, {"AnalysisTemplate 'rate'": "there is no AnalysisTemplate 'rate' in namespace ml"})
    assert "No new revision gets a request before this is mended: there is no AnalysisTemplate 'rate'" in " ".join(said)
    assert ("waits for a gate" in " ".join(said)) == ("blockedOn" in status)


def test_a_template_that_is_waited_for_is_named_once() -> None:
    blocked = {"kind": "error", "message": "no AnalysisRun for step-2: there is no AnalysisTemplate 'rate': create it"}
    said = told({**MOVING, "blockedOn": blocked}, {"AnalysisTemplate 'rate'": "there is no AnalysisTemplate 'rate'"})
    assert " ".join(said).count("'rate'") == 1
