"""The manifests that the stories apply, said once."""

from typing import Any


def graph(uri: str) -> dict[str, Any]:
    """Return a graph of one scikit-learn model."""
    return {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": uri}


def rollout(
    uri: str, strategy: dict[str, Any], *, name: str = "digits", replicas: int = 1, note: str = "", **spec: Any
) -> dict[str, Any]:
    """Return a SeldonRollout of one model whose waits are short; `spec` adds to its fields or replaces them.

    A template with another `note` is another revision of the same model.
    """
    predictor = {"name": "default", "replicas": replicas, "graph": graph(uri)}
    template: dict[str, Any] = {"spec": {"predictors": [predictor]}}
    if note:
        template["metadata"] = {"annotations": {"note": note}}
    usual = {"analysis": {"warmup": "4s"}, "scaleDownDelay": "2s", "progressDeadline": "60s"}
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "metadata": {"name": name},
        "spec": {"template": template, "strategy": strategy, **usual, **spec},
    }
