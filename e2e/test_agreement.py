"""Answers to copies, compared by the canary's orchestrators on the cluster: a difference pauses, noise does not."""

from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from e2e import manifests

SHADOW = {"shadow": {"percentage": 100, "untilVerdict": {"maxDuration": "5m"}}}
PATIENCE = 300
"""Seconds. Stable is asked a tenth of the time, so that on a busy machine few copies a second are compared."""
METRICS = [{"errorRate": {}}, {"shadowAgreement": {"perSecond": 40}, "required": True}]


def compared(uri: str, **more: Any) -> dict[str, Any]:
    return manifests.rollout(uri, SHADOW, analysis={"warmup": "4s", "metrics": METRICS}, **more)


def phase(kube) -> str:
    return str(kube.status("digits").get("phase"))


def agreement(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return next(metric for metric in metrics if metric["name"] == "shadowAgreement")


@pytest.mark.long
def test_a_shadow_that_answers_otherwise_asks_a_person_and_says_how_often(kube, crowd, trained) -> None:
    kube.write(compared(trained.uris[1]))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 120) as users:
        kube.write(compared(trained.uris[0]))
        kube.until("a person is asked", lambda: phase(kube) == "Paused", PATIENCE)
    status = kube.status("digits")
    found = agreement(status["analysis"]["metrics"])
    assert users.failures == []
    assert status["pauseReason"].startswith("answers that differ from stable's: ")
    assert "against 0 % between two of its own" in status["pauseReason"]
    assert (found["verdict"], found["action"], found["stable"]) == ("Bad", "pause", 0)
    assert 0.02 < found["canary"] < 0.4


@pytest.mark.long
def test_a_model_that_differs_from_itself_is_not_held_against_the_next(kube, crowd, spoiled) -> None:
    def noisy(inner: Any, _: float) -> Any:
        return make_pipeline(FunctionTransformer(np.random.poisson), inner)

    uri = spoiled("noisy", 0.1, noisy)
    kube.write(compared(uri))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 120):
        kube.write(compared(uri, note="again"))
        kube.until("the shadow is over", lambda: phase(kube) in ("Shadowed", "Paused", "Degraded"), PATIENCE)
    report = kube.status("digits")["shadow"]
    found = agreement(report["metrics"])
    assert (phase(kube), report["verdict"], found["verdict"]) == ("Shadowed", "Good", "Good")
    assert found["stable"] > 0.02
    assert found["canary"] > 0.02
