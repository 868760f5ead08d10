"""What a person sees at a glance: where it is, what it waits for, whether it is better, and what is stuck."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from seldon_rollouts.explain import sentences
from seldon_rollouts.view import rows
from seldon_rollouts.view.base import status_of
from seldon_rollouts.view.detail import detail, judged
from seldon_rollouts.view.waiting import waiting

STABLE = {"hash": "a", "number": 1, "name": "iris-a", "role": "stable", "readyReplicas": 1}
CANARY = {"hash": "b", "number": 2, "name": "iris-b", "role": "canary", "readyReplicas": 1}
BOTH = {"stableRevision": STABLE, "canaryRevision": CANARY}
STEPS = {"canary": {"steps": [{"setWeight": 5}, {"analysis": {}}]}}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SAID = "failed requests: 0 % against 0 % on stable, 164 requests"
METRIC = {"name": "errorRate", "verdict": "Inconclusive", "message": SAID}


def rollout(strategy: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    template = {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}
    return {
        "metadata": {"namespace": "ml", "name": "iris"},
        "spec": {"template": template, "strategy": strategy or STEPS},
        "status": {"observedGeneration": 1, "stepCount": 2, **status},
    }


@pytest.mark.parametrize(
    ("status", "states"),
    [
        ({"phase": "Pending", "canaryRevision": CANARY}, "ahead ahead ahead"),
        ({"phase": "Progressing", **BOTH, "currentStepIndex": 1}, "done current ahead"),
        ({"phase": "Promoting", **BOTH, "currentStepIndex": 0}, "done done current"),
        ({"phase": "Degraded", "stableRevision": STABLE, "currentStepIndex": 1}, "done failed ahead"),
        ({"phase": "Healthy", "stableRevision": STABLE, "currentStepIndex": 2}, "done done done"),
    ],
    ids=["the first revision goes through none", "under way", "promoted in full", "rolled back", "at rest"],
)
def test_the_track_tells_where_it_is_and_where_it_failed(status: dict[str, Any], states: str) -> None:
    assert " ".join(step.state for step in detail(rollout(**status)).steps) == states


def test_a_shadow_promises_no_promotion() -> None:
    shadow = rollout({"shadow": {}}, phase="Progressing", **BOTH)
    assert "promotion" not in [step.title for step in detail(shadow).steps]
    assert not any("promotion" in sentence for sentence in sentences(shadow))


def test_the_first_revision_has_no_step_and_no_verdict_in_the_list() -> None:
    first = rows.row(rollout(phase="Pending", canaryRevision=CANARY, analysis={"verdict": "NoData"}))
    assert (first.step, first.verdict) == ("", "")


def test_the_judges_sentence_is_said_once() -> None:
    moving = rollout(
        phase="Progressing", **BOTH, message=f"revision 2 is progressing: step 2 of 2; {SAID}", currentStepIndex=1,
        blockedOn={"kind": "metric", "message": SAID, "since": "2026-01-01T00:00:00Z"},
        analysis={"verdict": "Inconclusive", "message": SAID, "metrics": [METRIC]},
    )  # fmt: skip
    assert "\n".join(sentences(moving)).count(SAID) == 1
    shown = detail(moving)
    assert (shown.headline, shown.judge) == ("revision 2 is progressing: step 2 of 2", SAID)
    assert shown.waits is not None
    assert (shown.waits.what, shown.waits.message, shown.waits.since) == ("evidence on a metric", "", BEGAN)


@pytest.mark.parametrize("kind", ["pods", "weight", "gate", "person", "mesh", "quota", "error", "time", "group"])
def test_what_is_waited_for_names_its_kind_so_that_the_guide_can_be_followed(kind: str) -> None:
    found = waiting(status_of(rollout(blockedOn={"kind": kind, "message": "so it is"})))
    assert found is not None
    assert (kind in found.what, found.message) == (True, "so it is")


@pytest.mark.parametrize(
    ("kind", "minutes", "urgency"),
    [("pods", 14, "moving"), ("pods", 15, "attention"), ("time", 90, "moving"), ("person", 1, "attention")],
)
def test_what_is_stuck_needs_attention(kind: str, minutes: int, urgency: str) -> None:
    blocked = {"kind": kind, "message": "0 of 1", "since": BEGAN.isoformat()}
    found = rows.row(rollout(phase="Progressing", **BOTH, blockedOn=blocked))
    assert rows.as_of(found, BEGAN + timedelta(minutes=minutes)).urgency == urgency


def test_a_first_revision_that_cannot_start_needs_attention() -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "ProgressDeadlineExceeded"}
    assert rows.row(rollout(phase="Pending", conditions=[stalled])).urgency == "attention"
    assert rows.row(rollout(phase="Pending")).urgency == "moving"


REJECTED = {"hash": "b", "number": 2, "at": "2026-01-01T00:05:00Z", "message": "worse"}


@pytest.mark.parametrize(
    ("status", "digest"),
    [
        ({**BOTH, "analysis": {"startedAt": "2026-01-01T00:00:00Z"}}, "b"),
        ({"stableRevision": STABLE, "rejected": [REJECTED], "analysis": {"startedAt": "2026-01-01T00:00:00Z"}}, "b"),
        ({"stableRevision": STABLE, "rejected": [REJECTED], "analysis": {"startedAt": "2026-01-01T00:06:00Z"}}, "a"),
        ({}, ""),
    ],
    ids=["a canary under way", "one that was rolled back", "one that was promoted since", "none yet"],
)
def test_evidence_is_that_of_the_revision_which_was_judged(status: dict[str, Any], digest: str) -> None:
    assert judged(status_of(rollout(**status))) == digest
