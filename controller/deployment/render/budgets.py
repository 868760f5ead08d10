"""PodDisruptionBudgets: each covers the pods of its own Deployment, and no others."""

from collections.abc import Mapping
from typing import Any

from controller.api.deployment import ComponentSpec
from controller.deployment.render import labels
from controller.deployment.subject import Subject


def render_budget(
    subject: Subject, component: ComponentSpec, deployment: str, selector: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return the disruption budget of a component's Deployment; None when it has none."""
    spec = component.pdb_spec
    if spec is None:
        return None
    limits = {"minAvailable": spec.min_available, "maxUnavailable": spec.max_unavailable}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": labels.metadata(subject, deployment, {}),
        "spec": {
            "selector": {"matchLabels": dict(selector)},
            **{name: value for name, value in limits.items() if value is not None},
        },
    }
