"""The judge's evidence as metrics of the controller."""

from math import log10

import pytest
from prometheus_client import CollectorRegistry

from analysis.verdict import Finding, Judgement, Verdict
from controller.rollout.evidence import Evidence

JUDGED = {}


def registry() -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(Evidence(JUDGED.items))
    return found


def test_what_is_known_of_a_running_rollout_can_be_scraped_and_goes_with_it() -> None:
    scraped = registry()
    finding = Finding(
        metric="errorRate", verdict=Verdict.INCONCLUSIVE, message="", canary=0.02, evidence=10.0, promote_evidence=0.0,
        step_needed=6.0, canary_requests=500, phi=2.5,
    )  # fmt: skip
    JUDGED["ml", "iris"] = Judgement(verdict=Verdict.INCONCLUSIVE, message="", findings=(finding,))
    of = {"namespace": "ml", "rollout": "iris"}
    metric = of | {"metric": "errorRate"}
    value = scraped.get_sample_value
    assert value("seldon_rollouts_evidence_log10", metric | {"side": "worse"}) == 1
    assert value("seldon_rollouts_evidence_log10", metric | {"side": "promote"}) == -12
    assert value("seldon_rollouts_evidence_threshold_log10", metric | {"side": "worse"}) == 2
    assert value("seldon_rollouts_evidence_threshold_log10", metric | {"side": "step"}) == pytest.approx(log10(6))
    assert value("seldon_rollouts_samples", metric | {"arm": "canary"}) == 500
    assert value("seldon_rollouts_measured", metric | {"arm": "canary"}) == 0.02
    assert value("seldon_rollouts_measured", metric | {"arm": "stable"}) is None
    assert value("seldon_rollouts_phi", metric) == 2.5
    assert value("seldon_rollouts_verdict", of | {"verdict": "Inconclusive"}) == 1
    JUDGED.clear()
    assert value("seldon_rollouts_verdict", of | {"verdict": "Inconclusive"}) is None
