"""Adoption: a live SeldonDeployment becomes a rollout without a failed request. Pure.

1. The first revision is what the SeldonDeployment says, whatever the rollout's template says: nothing new is served
   unjudged. Its pods come up beside the old ones.
2. The SeldonDeployment is marked; no operator touches it or its VirtualService any more.
3. The VirtualService of its name changes owner and routes in one write. There are never two for one path.
4. When the mesh has taken that and connections had time to drain, the SeldonDeployment goes, and its pods with it.

Each step shows in the cluster, so that a crash between any two goes on where it was.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.api import names
from controller.api.deployment import DEFAULTS
from controller.api.meta import ADOPTED_ANNOTATION, BEFORE_ANNOTATION, CONTROLLER_ID_LABEL, ROLLOUTS_GROUP
from controller.api.rollout import RolloutStatus
from controller.rollout import actions
from controller.rollout.actions import Action
from controller.rollout.ground import Ground
from controller.rollout.observed import Observed

NOBODY = "adopted-by-seldon-rollouts"
"""The operator that a marked SeldonDeployment names: there is none of this name."""
_OPERATOR_LABEL = "seldon-deployment-id"
_FOREIGN = (
    "kubectl.kubernetes.io/", "argocd.argoproj.io/", "meta.helm.sh/", "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/", f"{ROLLOUTS_GROUP}/",
)  # fmt: skip
"""Of an object that a tool wrote: annotations and labels by which the tool knows it again."""
_TRACKING = frozenset({"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"})


def template(live: Mapping[str, Any], *, like: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a live SeldonDeployment as the template of a revision: what makes it, without what tracks it.

    Defaults that the webhook filled in, and that the rollout's own template (`like`) does not state, are left out.
    """
    meta = live["metadata"]
    labels, annotations = dict(meta.get("labels") or {}), dict(meta.get("annotations") or {})
    if ADOPTED_ANNOTATION in annotations:
        labels.pop(CONTROLLER_ID_LABEL, None)
        if before := _before(annotations).get("controllerId"):
            labels[CONTROLLER_ID_LABEL] = before
    kept = {"labels": _own(labels), "annotations": _own(annotations)}
    metadata = {key: value for key, value in kept.items() if value}
    spec = dict(live.get("spec") or {})
    for name, value in DEFAULTS.items() if like is not None else ():
        if spec.get(name) == value and name not in ((like or {}).get("spec") or {}):
            del spec[name]
    return {**({"metadata": metadata} if metadata else {}), "spec": spec}


def _own(found: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in found.items() if not key.startswith(_FOREIGN) and key not in _TRACKING}


def _before(annotations: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(annotations.get(BEFORE_ANNOTATION) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def objection(route: Mapping[str, Any], hosts: tuple[str, ...], gateways: tuple[str, ...], about: str) -> str:
    """Say what the rollout would no longer answer that the VirtualService to be taken over does; empty if nothing."""
    spec = route.get("spec") or {}
    lost_hosts = [] if "*" in hosts else [host for host in spec.get("hosts") or () if host not in hosts]
    lost_gateways = [each for each in spec.get("gateways") or ["mesh"] if each not in gateways]
    if not lost_hosts and not lost_gateways:
        return ""
    field, lost = ("hosts", lost_hosts) if lost_hosts else ("gateways", lost_gateways)
    return f"{about} is served at {field} {', '.join(lost)}: write them in spec.routing.{field} to take it over"


def take(obs: Observed, route: Mapping[str, Any]) -> list[Action]:
    """Return the writes that give a standing VirtualService to us with these routes, after its owner is marked."""
    if obs.route is None:
        return [*_mark(obs), actions.ApplyRoute(route)]
    meta = route["metadata"]
    patch = {
        "metadata": {
            "labels": {**meta["labels"], _OPERATOR_LABEL: None},
            "ownerReferences": meta["ownerReferences"],
        },
        "spec": route["spec"],
    }
    return [*_mark(obs), actions.TakeRoute(patch, _version(obs.route.live))]


def _mark(obs: Observed) -> list[Action]:
    if obs.adoptee is None or obs.adoptee.marked:
        return []
    live = obs.adoptee.live
    before: dict[str, Any] = {"controllerId": (live["metadata"].get("labels") or {}).get(CONTROLLER_ID_LABEL)}
    if obs.route is not None:
        meta = obs.route.live["metadata"]
        kept = {"labels": meta.get("labels") or {}, "ownerReferences": meta.get("ownerReferences")}
        before["route"] = {"metadata": kept, "spec": obs.route.live.get("spec") or {}}
    patch = {
        "metadata": {
            "labels": {CONTROLLER_ID_LABEL: NOBODY},
            "annotations": {
                ADOPTED_ANNOTATION: obs.uid,
                BEFORE_ANNOTATION: json.dumps(before, sort_keys=True, separators=(",", ":")),
            },
        }
    }
    return [actions.MarkDeployment(patch, _version(live))]


def unmark(obs: Observed) -> list[Action]:
    """Return the write that gives the SeldonDeployment back to its operator."""
    if obs.adoptee is None or not obs.adoptee.marked:
        return []
    annotations = obs.adoptee.live["metadata"].get("annotations") or {}
    patch = {
        "metadata": {
            "labels": {CONTROLLER_ID_LABEL: _before(annotations).get("controllerId")},
            "annotations": {ADOPTED_ANNOTATION: None, BEFORE_ANNOTATION: None},
        }
    }
    return [actions.MarkDeployment(patch, _version(obs.adoptee.live))]


def give_back(obs: Observed) -> list[Action]:
    """Return the write that makes the VirtualService again what it was before we took it; none if it is not ours."""
    found = _taken(obs)
    if obs.route is None or not obs.route.ours or not found:
        return []
    ours = obs.route.live["metadata"].get("labels") or {}
    labels = {**dict.fromkeys(ours, None), **found["metadata"]["labels"]}
    patch = {
        "metadata": {"labels": labels, "ownerReferences": found["metadata"]["ownerReferences"]},
        "spec": found["spec"],
    }
    return [actions.TakeRoute(patch, _version(obs.route.live))]


def given_back(obs: Observed) -> str:
    """Return the fingerprint of a VirtualService that is not ours again, or not yet; empty where none was kept."""
    return fingerprint(obs) if obs.route is not None and not obs.route.ours and _taken(obs) else ""


def fingerprint(obs: Observed) -> str:
    """Return what is remembered of the route once it is given back."""
    return names.stable_hash({"givenBack": obs.adoptee.live["metadata"].get("uid") if obs.adoptee else None})


def _taken(obs: Observed) -> Mapping[str, Any]:
    """Return the VirtualService as it was before we took it; nothing where there was none."""
    annotations = (obs.adoptee.live["metadata"].get("annotations") or {}) if obs.adoptee is not None else {}
    found = _before(annotations).get("route")
    return found if isinstance(found, dict) else {}


def farewell(
    obs: Observed, status: RolloutStatus, ground: Ground, delay: timedelta, *, now: datetime
) -> tuple[list[Action], datetime | None]:
    """Return the removal of what was taken over, once it has had no traffic for the delay; else when it is due."""
    taken = obs.route is not None and obs.route.ours
    if obs.adoptee is None or not obs.adoptee.marked or status.stable_revision is None or not taken:
        return [], None
    if not ground.in_effect:
        return [], ground.settles_at
    due = (status.weights.changed_at or now) + delay
    if now < due:
        return [], due
    meta = obs.adoptee.live["metadata"]
    return [actions.DeleteDeployment(meta["name"], meta["uid"])], None


def _version(live: Mapping[str, Any]) -> str:
    return str(live["metadata"].get("resourceVersion", ""))


def first_serving(obs: Observed) -> str:
    """Return what is told when the first revision serves all traffic."""
    over = f" of SeldonDeployment {obs.name}, which it takes over" if obs.adoptee else ""
    return f"the first revision serves all traffic{over}"
