"""The scenes of the demo, as data: what is applied, what must come of it, and how an observer tells."""

from dataclasses import dataclass
from typing import Any, Literal

NAMESPACE, NAME = "demo", "digits"
Outcome = Literal["Promoted", "RolledBack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One revision's story."""

    number: int
    title: str
    model: int
    """Which trained model, by index."""
    expected: Outcome
    metric: str = ""
    """For a rollback: the metric that must be its reason."""
    kill_controller_at_step: int | None = None
    """Kill the controller without warning once this step is under way."""


SCENES = (
    Scene(number=1, title="a first model is deployed", model=0, expected="Promoted"),
    Scene(
        number=2,
        title="a better model takes over; the controller is killed on the way",
        model=1,
        expected="Promoted",
        kill_controller_at_step=1,
    ),
    Scene(number=3, title="a model that fails on 5 % of images", model=2, expected="RolledBack", metric="errorRate"),
    Scene(number=4, title="a model that is 150 ms slower", model=3, expected="RolledBack", metric="latency"),
)


def rollout(uri: str) -> dict[str, Any]:
    """Return the demo's SeldonRollout for a model; from scene to scene only the model's URI changes."""
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": uri}
    # The slow model waits, and would queue behind itself with the one thread that a model has by default.
    container = {"name": "classifier", "env": [{"name": "GUNICORN_THREADS", "value": "8"}]}
    predictor = {
        "name": "default",
        "replicas": 1,
        "graph": graph,
        "componentSpecs": [{"spec": {"containers": [container]}}],
    }
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "template": {"spec": {"predictors": [predictor]}},
            "strategy": {
                "canary": {"steps": [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}, {"analysis": {}}]},
            },
            # Shorter than a production rollout's minute: processes on one machine are warm at once.
            "analysis": {"warmup": "4s"},
            "scaleDownDelay": "10s",
            "progressDeadline": "90s",
        },
    }
