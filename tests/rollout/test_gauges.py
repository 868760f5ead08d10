"""Where rollouts stand, as metrics of the controller."""

from collections import Counter
from typing import Any

from prometheus_client import CollectorRegistry

from controller.rollout.gauges import Gauges

AT_REST = {
    "metadata": {"namespace": "ml", "name": "iris"},
    "status": {
        "phase": "Degraded",
        "stableRevision": {"number": 1},
        "weights": {"stable": 100},
        "rejected": [{"at": "2026-05-04T10:00:00Z"}, {"at": "2026-05-04T11:00:00.5Z"}],
    },
}
UNDER_WAY = {
    "metadata": {"namespace": "ml", "name": "digits"},
    "status": {
        "phase": "Progressing",
        "stableRevision": {"number": 3, "weight": 99.5},
        "canaryRevision": {"number": 4, "weight": 0.5, "mirror": 20},
        "currentStepIndex": 1,
        "stepCount": 5,
        "weights": {"stable": 95, "canary": 5, "observed": {"canaryPercent": 0.4}},
        "blockedOn": {"kind": "metric", "since": "2026-05-04T10:00:00Z"},
    },
}


def scraped(*rollouts: dict[str, Any]) -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(Gauges(lambda: rollouts))
    return found


def value(name: str, rollout: dict[str, Any], **labels: str) -> float | None:
    meta = rollout["metadata"]
    of = {"namespace": meta["namespace"], "rollout": meta["name"], **labels}
    return scraped(rollout).get_sample_value(f"seldon_rollouts_rollout_{name}", of)


def test_a_rollout_under_way_tells_where_it_is() -> None:
    told = {
        ("phase", "phase", "Progressing"): 1,
        ("phase", "phase", "Paused"): None,
        ("revision", "role", "stable"): 3,
        ("revision", "role", "canary"): 4,
        ("step", "", ""): 2,
        ("steps", "", ""): 5,
        ("weight_percent", "arm", "stable"): 99.5,
        ("weight_percent", "arm", "canary"): 0.5,
        ("weight_percent", "arm", "mirrored"): 20,
        ("observed_percent", "", ""): 0.4,
        ("blocked_since_timestamp_seconds", "kind", "metric"): 1777888800,
    }
    found = {
        (name, label, word): value(name, UNDER_WAY, **({label: word} if label else {})) for name, label, word in told
    }
    assert found == told


def test_the_last_step_is_never_passed() -> None:
    done = {**UNDER_WAY, "status": {**UNDER_WAY["status"], "phase": "Promoting", "currentStepIndex": 5}}
    assert value("step", done) == 5


def test_at_rest_few_series_are_left_and_a_rollback_has_its_time() -> None:
    series = [sample for family in scraped(AT_REST).collect() for sample in family.samples]
    assert Counter(sample.name.removeprefix("seldon_rollouts_rollout_") for sample in series) == {
        "phase": 1, "revision": 1, "last_rollback_timestamp_seconds": 1,
    }  # fmt: skip
    assert value("last_rollback_timestamp_seconds", AT_REST) == 1777892400.5


def test_before_the_controller_has_looked_it_is_pending() -> None:
    assert value("phase", {"metadata": {"namespace": "ml", "name": "new"}}, phase="Pending") == 1


def test_nothing_is_left_of_a_rollout_that_is_gone() -> None:
    rollouts = [UNDER_WAY]
    registry = CollectorRegistry()
    registry.register(Gauges(lambda: rollouts))
    of = {"namespace": "ml", "rollout": "digits"}
    assert registry.get_sample_value("seldon_rollouts_rollout_step", of) == 2
    rollouts.clear()
    assert [sample for family in registry.collect() for sample in family.samples] == []
