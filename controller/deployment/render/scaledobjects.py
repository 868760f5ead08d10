"""KEDA's ScaledObjects: an autoscaler by events for one Deployment (reference, sections 1.5 and 2.6)."""

from typing import Any

from controller.api.deployment import ComponentSpec
from controller.deployment.render import labels
from controller.deployment.subject import Subject

KEDA = "keda.sh/v1alpha1"


def render_scaled_object(subject: Subject, component: ComponentSpec, deployment: str) -> dict[str, Any] | None:
    """Return the ScaledObject of a component's Deployment; None when it has none."""
    spec = component.keda_spec
    if spec is None:
        return None
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    given = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "apiVersion": KEDA,
        "kind": "ScaledObject",
        "metadata": labels.metadata(subject, deployment, {}),
        "spec": {"scaleTargetRef": target, **given},
    }
