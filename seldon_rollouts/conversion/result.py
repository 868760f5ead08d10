"""What a conversion gives, and the parts that all of them are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.errors import ControllerError

Object = Mapping[str, Any]
API = "rollouts.seldon.io/v1alpha1"


class ConversionError(ControllerError):
    """An object cannot be converted; the text says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A SeldonRollout or a template, and what of the original has no counterpart or is done differently."""

    source: str
    """Such as `Rollout iris`."""
    rollout: dict[str, Any]
    notes: tuple[str, ...]


def rollout(obj: Object, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a SeldonRollout with the name and namespace of the original."""
    meta = obj.get("metadata") or {}
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if meta.get(key)}
    return {"apiVersion": API, "kind": "SeldonRollout", "metadata": kept, "spec": spec}


def of_pods(name: str, template: Object, replicas: Any) -> dict[str, Any]:
    """Return a SeldonDeployment's template around a pod template: its first container becomes a MODEL."""
    pod = dict(template.get("spec") or {})
    containers = pod.get("containers") or ()
    if not containers:
        raise ConversionError(f"{name}: the pod template has no containers to make a model of")
    component: dict[str, Any] = {"spec": pod}
    meta = template.get("metadata") or {}
    if kept := {key: meta[key] for key in ("labels", "annotations") if meta.get(key)}:
        component["metadata"] = kept
    predictor = {
        "name": "default",
        "componentSpecs": [component],
        "graph": {"name": str(containers[0]["name"]), "type": "MODEL"},
        **({"replicas": replicas} if replicas is not None else {}),
    }
    return {"spec": {"predictors": [predictor]}}


POD_NOTE = (
    "the pod's first container became a MODEL node: it has to speak one of Seldon's protocols on its first port; "
    "with spec.protocol you choose which"
)


def unknown(fields: Iterable[str], known: Iterable[str], where: str) -> list[str]:
    """Return a note for each field that nobody looked at."""
    return [f"{where}{field}: no counterpart, left out" for field in sorted(set(fields) - set(known))]
