"""Graphs, revisions, acts and past rollouts as views: pure, from objects as the API gives them."""

from typing import Any

import pytest

from controller.rollout.phases import INTENTS, Phase
from seldon_rollouts.view.acts import acts
from seldon_rollouts.view.graphs import models, predictors
from seldon_rollouts.view.measuring import analysis_runs
from seldon_rollouts.view.past import episodes
from seldon_rollouts.view.revisions import pod

NOBODYS: dict[str, Any] = {"name": "run-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
ROUTER: dict[str, Any] = {
    "name": "default",
    "replicas": 2,
    "graph": {
        "name": "router", "type": "ROUTER",
        "children": [
            {"name": "a", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m/a"},
            {"name": "b", "type": "MODEL"},
        ],
    },
    "componentSpecs": [
        {"spec": {"containers": [{"name": "b", "image": "me/b:2"}, {"name": "router", "image": "me/r"}]}},
    ],
}  # fmt: skip


def rollout(phase: str = "Healthy", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ml", "name": "iris"},
        "spec": {
            "template": {"spec": {"predictors": [ROUTER]}},
            "strategy": {"canary": {"steps": [{"setWeight": 5}, {"setWeight": 50}]}},
        },
        "status": {"phase": phase, **status},
    }


def test_a_graph_has_its_nodes_with_their_images_and_models() -> None:
    (predictor,) = predictors({"predictors": [ROUTER]})
    root = predictor.graph
    assert (root.name, root.type, root.image, predictor.replicas) == ("router", "ROUTER", "me/r", 2)
    assert [(each.model_uri, each.image) for each in root.children] == [("gs://m/a", ""), ("", "me/b:2")]
    assert models({"predictors": [ROUTER]}) == ("me/r", "gs://m/a", "me/b:2")


@pytest.mark.parametrize("spec", [{}, {"predictors": None}, {"predictors": ["no"]}, {"predictors": [{"name": "x"}]}])
def test_what_is_no_graph_is_left_out(spec: dict[str, Any]) -> None:
    assert predictors(spec) == ()


@pytest.mark.parametrize("phase", list(Phase))
def test_every_verb_is_told_in_every_phase_with_its_effect_or_why_not(phase: Phase) -> None:
    told = acts(rollout(phase.value))
    assert {act.verb for act in told} == {verb.value for verb in INTENTS}
    assert all(act.effect for act in told)
    assert [act.legal for act in told] == sorted((act.legal for act in told), reverse=True)


def test_an_effect_names_the_revisions_and_what_comes_next() -> None:
    status = {
        "stableRevision": {"hash": "a", "number": 3},
        "canaryRevision": {"hash": "b", "number": 4},
        "stepCount": 2,
    }
    told = {act.verb: act.effect for act in acts(rollout("Progressing", **status))}
    assert told["abort"] == "All traffic goes back to revision 3 in one write; revision 4 is rejected."
    assert told["promote"] == "revision 4 goes on to step 2, weight 50 %, without waiting longer."


@pytest.mark.parametrize(("gates", "offered"), [([], False), ([{"gate": {"approval": {"name": "boss"}}}], True)])
def test_a_gate_is_approved_only_where_the_strategy_has_one(gates: list[dict[str, Any]], offered: bool) -> None:
    gated = rollout("Progressing")
    gated["spec"]["strategy"]["canary"]["steps"] += gates
    approve = next(act for act in acts(gated) if act.verb == "approve")
    assert (approve.legal, "asks for no approval" in approve.effect) == (offered, not offered)


@pytest.mark.parametrize(
    ("phase", "status", "verb", "why_not"),
    [
        ("Paused", {"approvals": [{"name": "boss", "by": "a", "at": "2026-01-01T00:00:00Z"}]}, "approve", "was given"),
        ("Healthy", {}, "retry", "no revision was rejected"),
        ("Healthy", {"pinned": {"hash": "a", "template": "b", "by": "me", "at": "2026-01-01T00:00:00Z"}}, "retry", ""),
        ("Healthy", {"stableRevision": {"hash": "a", "number": 1}}, "rollback", "no other revision yet"),
        ("Healthy", {"stableRevision": {"hash": "a", "number": 2}}, "rollback", ""),
    ],
)
def test_what_would_be_refused_is_not_offered(phase: str, status: dict[str, Any], verb: str, why_not: str) -> None:
    asked = rollout(phase, **status)
    asked["spec"]["strategy"]["canary"]["steps"].append({"gate": {"approval": {"name": "boss"}}})
    act = next(act for act in acts(asked) if act.verb == verb)
    assert (act.legal, why_not in act.effect) == (not why_not, True)


def entry(minute: int, kind: str, revision: int) -> dict[str, Any]:
    return {"at": f"2026-01-01T00:{minute:02}:00Z", "type": kind, "message": kind.lower(), "revision": revision}


def test_the_history_falls_into_rollouts_each_with_its_end() -> None:
    history = [
        entry(0, "RevisionCreated", 1), entry(1, "Promoted", 1),
        entry(2, "RevisionCreated", 2), entry(3, "StepCompleted", 2), entry(4, "RolledBack", 2),
        entry(5, "Retried", 2), entry(6, "RevisionCreated", 3),
    ]  # fmt: skip
    told = [(each.revision, each.outcome, len(each.entries)) for each in episodes(rollout(history=history))]
    assert told == [(3, "", 1), (2, "", 1), (2, "RolledBack", 3), (1, "Promoted", 2)]


def test_a_shadow_ends_with_its_report_unless_its_canary_goes_on() -> None:
    history = [
        entry(0, "RevisionCreated", 2), entry(1, "ShadowEnded", 2),
        entry(2, "RevisionCreated", 3), entry(3, "ShadowEnded", 3),
    ]  # fmt: skip
    outcomes = {
        phase: [(each.revision, each.outcome) for each in episodes(rollout(phase, history=history))]
        for phase in ("Shadowed", "Progressing")
    }
    assert outcomes == {
        "Shadowed": [(3, "Shadowed"), (2, "Shadowed")],
        "Progressing": [(3, ""), (2, "Shadowed")],
    }


def waiting(last: dict[str, Any] | None = None, **why: str) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "c", "state": {"waiting": why}, "lastState": last or {}}]}


CRASHED = {"terminated": {"exitCode": 1, "message": "no such file"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, ""),
        (waiting(CRASHED, reason="CrashLoopBackOff"), "c: CrashLoopBackOff, last exit code 1: no such file"),
        (waiting(reason="ImagePullBackOff", message="gone"), "c: ImagePullBackOff: gone"),
        ({"conditions": [UNSCHEDULABLE]}, "Unschedulable: no GPU"),
        (waiting(reason="ContainerCreating"), ""),
    ],
)
def test_a_pod_says_in_its_own_words_why_it_is_not_ready(status: dict[str, Any], says: str) -> None:
    assert pod({"metadata": {"name": "p"}, "status": status}).message == says


def test_runs_are_newest_first_and_one_that_nobody_can_read_says_so() -> None:
    strange = {"metadata": NOBODYS, "status": {"phase": "Splendid"}}
    newer = {"metadata": {**NOBODYS, "name": "run-2", "creationTimestamp": "2026-01-02T00:00:00Z"}}
    found = analysis_runs([strange, newer])
    assert [(each.name, each.phase, each.ended) for each in found] == [
        ("run-2", "Pending", ""),
        ("run-1", "Pending", ""),
    ]
    assert "cannot be read" in found[1].message
