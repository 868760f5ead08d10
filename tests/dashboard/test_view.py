"""The dashboard's view models: pure, from objects as the API gives them."""

import math
from typing import Any

import pytest

from analysis.providers.provider import Series as Answered
from seldon_rollouts.dashboard import charts
from seldon_rollouts.view import rows
from seldon_rollouts.view.detail import detail
from seldon_rollouts.view.rows import Filter


def rollout(name: str = "iris", **status: Any) -> dict[str, Any]:
    graph = {"name": "root", "children": [{"name": "classifier", "modelUri": "gs://m/v2"}]}
    return {
        "metadata": {"namespace": "ml", "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "template": {"spec": {"predictors": [{"name": "default", "graph": graph}]}},
            "strategy": {"canary": {"steps": [{"setMirror": {}}, {"setWeight": 5}, {"pause": {}}, {"analysis": {}}]}},
        },
        "status": status,
    }


MOVING = {
    "phase": "Progressing",
    "message": "revision 2 is progressing",
    "stepCount": 4,
    "currentStepIndex": 1,
    "stableRevision": {
        "hash": "aaa",
        "number": 1,
        "name": "iris-aaa",
        "role": "stable",
        "replicas": 2,
        "readyReplicas": 2,
        "weight": 95,
    },
    "canaryRevision": {
        "hash": "bbb",
        "number": 2,
        "name": "iris-bbb",
        "replicas": 2,
        "readyReplicas": 1,
        "message": "starting",
        "weight": 5,
    },
    "weights": {"stable": 95, "canary": 5, "observed": {"canaryPercent": 4.8}},
    "analysis": {
        "verdict": "Inconclusive",
        "updatedAt": "2026-01-01T00:01:00Z",
        "metrics": [{"name": "errorRate", "verdict": "Inconclusive", "evidence": 3.5, "promoteEvidence": 2.0}],
    },
}


def test_a_moving_rollout_shows_its_steps_weights_and_judge() -> None:
    shown = detail(rollout(**MOVING))
    assert [step.state for step in shown.steps] == ["done", "current", "ahead", "ahead", "ahead"]
    assert [step.title for step in shown.steps] == [
        "mirror 100 %",
        "weight 5 %",
        "pause for a person",
        "judge",
        "promotion",
    ]
    assert [(each.number, each.weight, each.ready) for each in shown.revisions] == [(1, 95, 2), (2, 5, 1)]
    assert shown.revisions[1].models == ("gs://m/v2",)
    assert (shown.row.step, shown.observed_percent, shown.metrics[0].evidence) == ("2 of 4", 4.8, 3.5)


def test_what_is_shown_is_what_the_route_carries_whatever_is_asked_for() -> None:
    asked = {"weights": {"stable": 50, "canary": 50}}
    left = {"hash": "ccc", "number": 3, "name": "iris-ccc", "role": "retired", "weight": 10}
    stable = {**MOVING["stableRevision"], "weight": 85}
    shown = detail(rollout(**{**MOVING, **asked, "stableRevision": stable, "retiredRevisions": [left]}))
    assert (shown.row.stable_weight, shown.row.canary_weight, shown.row.mirror) == (85, 5, 0)
    assert [each.weight for each in shown.revisions] == [85, 5, 10]


def test_copies_are_no_share_of_the_requests() -> None:
    canary = {**MOVING["canaryRevision"], "weight": 0, "mirror": 100}
    shown = detail(rollout(**{**MOVING, "canaryRevision": canary, "weights": {"observed": {"canaryPercent": 50}}}))
    assert (shown.observed_percent, shown.row.mirror) == (None, 100)


def test_what_is_judged_has_the_limit_of_the_spec_and_says_whether_it_can_be_judged() -> None:
    condition = {
        "type": "AnalysisReady", "status": "False", "reason": "NoSeries", "message": "no metrics",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    found = rollout(**MOVING, conditions=[condition])
    assert detail(found).metrics[0].limit is None
    found["spec"]["analysis"] = {"metrics": [{"errorRate": {"max": 0.02}, "action": "abort"}, {"latency": {}}]}
    shown = detail(found)
    assert (shown.metrics[0].limit, shown.chances) == (
        0.02,
        "It cannot be judged: no metrics (NoSeries, see `seldon-rollouts doctor`)",
    )


def test_a_rollback_is_shown_with_its_reason() -> None:
    reason = {"metric": "latency", "samples": 420, "window": "30s", "message": "slower"}
    rejected = [
        {"hash": "bbb", "number": 2, "at": "2026-01-01T00:02:00Z", "by": "judge", "message": "slower", "reason": reason}
    ]
    shown = detail(rollout(phase="Degraded", rejected=rejected))
    (last,) = shown.rejections
    assert (last.metric, last.samples, last.window, shown.row.urgency) == ("latency", 420, "30s", "attention")
    assert shown.row.last_rollback == "revision 2: slower"


@pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, {"phase": "Healthy", "stepCount": 4}])
def test_any_status_can_be_shown(status: dict[str, Any]) -> None:
    assert detail(rollout(**status)).row.name == "iris"


def test_a_spec_that_is_not_valid_has_no_steps_and_is_shown_all_the_same() -> None:
    broken = rollout(phase="Invalid", message="spec.strategy: no")
    broken["spec"]["strategy"] = {"canary": {"steps": [{"setWeight": 300}]}}
    shown = detail(broken)
    assert (shown.steps, shown.row.message) == ((), "spec.strategy: no")


def test_the_list_puts_what_needs_attention_first_and_finds_by_name() -> None:
    phases = {"a": "Healthy", "b": "Progressing", "c": "Degraded", "aa": "Paused"}
    made = rows.ordered(rows.row(rollout(name, phase=phase)) for name, phase in phases.items())
    assert [row.name for row in made] == ["c", "aa", "b", "a"]
    asks = rows.row(rollout("d", phase="Progressing", blockedOn={"kind": "person", "message": "approve owner"}))
    assert asks.urgency == "attention"
    assert [row.name for row in made if Filter(search="ML/B").wants(row)] == ["b"]
    assert [row.name for row in made if Filter(urgency="rest").wants(row)] == ["a"]
    assert not [row for row in made if Filter(namespace="other").wants(row)]


def test_a_rollout_that_no_controller_has_looked_at_says_so_and_serves_nothing() -> None:
    row = rows.row(rollout())
    assert (row.phase, row.stable_weight, row.canary_weight) == ("Pending", 0, 0)
    assert row.message.startswith("no controller has looked at it yet")


def test_a_status_of_another_version_is_shown_as_such() -> None:
    assert "cannot be read" in detail(rollout(phase="Imaginary")).row.message


def test_gaps_in_prometheus_are_left_out_of_a_line() -> None:
    (line,) = charts.series([Answered(b'{"deployment_name": "iris-b"}', [(1, 2.0), (2, math.nan), (3, 4.0)])])
    assert line.points == ((1.0, 2.0), (3.0, 4.0))


@pytest.mark.parametrize("name", ['a"b', "a}", "", "a b"])
def test_what_is_no_kubernetes_name_never_becomes_promql(name: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes name"):
        charts.queries("ml", name)
