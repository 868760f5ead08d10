"""A SeldonDeployment as a rollout: its spec is the template, and it takes over where the deployment serves."""

from collections.abc import Mapping
from typing import Any

from seldon_rollouts.conversion.result import Converted, Object, rollout

ADOPTION = (
    "spec.adopt: it takes over from the SeldonDeployment of its name without a failed request; "
    "take that one out of what you apply"
)


def from_seldon_deployment(obj: Object, _: Mapping[tuple[str, str], Object]) -> Converted:
    """Return a rollout with the default canary, that adopts the SeldonDeployment of its name."""
    meta, spec = obj.get("metadata") or {}, dict(obj.get("spec") or {})
    predictors = list(spec.get("predictors") or ())
    notes = [ADOPTION]
    shares = [each for each in predictors if each.get("traffic") is not None and not each.get("shadow")]
    if len(shares) > 1:
        notes.append(
            "several predictors share the traffic: inside a revision they go on to; to make one of them the canary, "
            "leave the others out of the template"
        )
    template: dict[str, Any] = {"spec": spec}
    kept = {
        key: {name: value for name, value in (meta.get(key) or {}).items() if not name.startswith("kubectl.kubernetes")}
        for key in ("labels", "annotations")
    }
    if any(kept.values()):
        template["metadata"] = {key: value for key, value in kept.items() if value}
    made = {"template": template, "strategy": {"canary": {"weights": [5, 25, 50]}}, "adopt": True}
    return Converted(source=f"SeldonDeployment {meta.get('name', '')}", rollout=rollout(obj, made), notes=tuple(notes))
