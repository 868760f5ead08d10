"""Plain again: a rollout that is deleted to be left gives its place to a SeldonDeployment of its name. Pure.

The stage shows in the cluster alone, so that a crash between any two writes goes on where it was. No revision goes
before its replacement serves: the route changes hands in one write, once all pods of the SeldonDeployment are ready.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from controller.api import names
from controller.api.meta import LEFT_ANNOTATION, MANAGED_BY, ROLE_LABEL, ROLLOUT_LABEL
from controller.api.rollout import Blocker, RolloutStatus
from controller.api.routing import Routing
from controller.rollout import actions, matching, revisions, traffic
from controller.rollout.actions import Action
from controller.rollout.ground import MESH_GRACE, wanted_spec
from controller.rollout.observed import Observed

_OPERATOR_LABEL = "seldon-deployment-id"
_MARKS = {ROLE_LABEL: "stable"}
_HOSTS, _GATEWAYS = "seldon.io/istio-host", "seldon.io/istio-gateway"


class Stage(StrEnum):
    """How far the leaving is."""

    MAKE = "make"
    """There is no SeldonDeployment of the rollout's name: it is made, marked so that no operator routes it yet."""
    MARK = "mark"
    """Somebody else applied one: it is marked."""
    PODS = "pods"
    """Its pods come up; stable serves."""
    ROUTE = "route"
    """They are ready: the VirtualService changes owner and routes in one write."""
    NOTE = "note"
    """It did, and a crash came before that was written down: the drain is counted from now."""
    UNMARK = "unmark"
    """Its operator looks after it again, route and all."""
    MESH = "mesh"
    """The mesh takes the route."""
    DRAIN = "drain"
    """Connections to the revisions drain."""
    OVER = "over"
    """The revisions go, and the rollout with them."""


UNCERTAIN = frozenset({Stage.MAKE, Stage.MARK, Stage.PODS, Stage.MESH})
"""What may take for ever."""
MOVES = frozenset({Stage.ROUTE, Stage.NOTE})
"""From these on the time is counted in which connections drain."""


def stage(obs: Observed, status: RolloutStatus, *, now: datetime, delay: timedelta) -> Stage:
    """Say how far the leaving is, from what stands in the cluster; the time of the drain is from the status."""
    plain, route = obs.plain, obs.route
    if plain is None:
        return Stage.MAKE
    if route is not None and not _handed(obs):
        if not _marked(obs):
            return Stage.MARK
        return Stage.ROUTE if plain.available and plain.serving else Stage.PODS
    if route is None:
        # Nobody is served now: the operator makes the route as soon as it may.
        return Stage.UNMARK if _marked(obs) else Stage.OVER if plain.available else Stage.PODS
    if status.weights.route_hash != fingerprint(obs):
        return Stage.NOTE
    if _marked(obs):
        return Stage.UNMARK
    if route.accepted is False:
        return Stage.MESH
    return Stage.DRAIN if now < due(status, delay) else Stage.OVER


def due(status: RolloutStatus, delay: timedelta) -> datetime:
    """Return when the connections to the revisions have had time to drain, since the mesh took the route.

    Raises:
        ValueError: the route has not changed hands.
    """
    since = status.weights.accepted_at or status.weights.changed_at
    if since is None:
        raise ValueError("the route has not changed hands")
    return since + max(delay, MESH_GRACE)


def fingerprint(obs: Observed) -> str:
    """Return what is remembered of the route that leads to the SeldonDeployment."""
    return names.stable_hash({"plain": obs.plain.live["metadata"].get("uid") if obs.plain else None})


def _handed(obs: Observed) -> bool:
    owners = obs.route.live["metadata"].get("ownerReferences") or () if obs.route is not None else ()
    uid = obs.plain.live["metadata"].get("uid") if obs.plain is not None else None
    return any(each.get("controller") and each.get("uid") == uid for each in owners)


def _marked(obs: Observed) -> bool:
    return obs.plain is not None and obs.plain.role == "stable"


def actions_of(step: Stage, obs: Observed, status: RolloutStatus) -> list[Action]:
    """Return the write of a stage; none where it only waits."""
    match step:
        case Stage.MAKE:
            return [actions.MakeDeployment(deployment(obs, status))]
        case Stage.MARK:
            return [_mark(obs, {**_MARKS, ROLLOUT_LABEL: obs.name})]
        case Stage.ROUTE:
            return [_hand_over(obs)]
        case Stage.UNMARK:
            return unmark(obs)
        case Stage.PODS | Stage.NOTE | Stage.MESH | Stage.DRAIN | Stage.OVER:
            return []


def told(step: Stage, obs: Observed) -> str:
    """Say what is waited for."""
    about = f"SeldonDeployment {obs.namespace}/{obs.name}"
    match step:
        case Stage.MAKE | Stage.MARK | Stage.PODS:
            plain = obs.plain
            if plain is None:
                return f"{about}, which takes over, is made"
            why = f": {plain.refused or plain.message}" if plain.refused or plain.message else ""
            return f"{about}, which takes over, has {plain.ready_replicas} of {plain.replicas} pods ready{why}"
        case Stage.ROUTE | Stage.NOTE | Stage.UNMARK:
            return f"all traffic goes to {about}"
        case Stage.MESH:
            return (obs.route.message if obs.route else "") or "waiting for the mesh to take the route"
        case Stage.DRAIN | Stage.OVER:
            return f"{about} serves all traffic; connections to the revisions drain"


def waits_for(step: Stage) -> Blocker:
    """Return the kind of what is waited for."""
    return "pods" if step in (Stage.MAKE, Stage.MARK, Stage.PODS) else "mesh"


def deployment(obs: Observed, status: RolloutStatus) -> dict[str, Any]:
    """Return the SeldonDeployment that takes the rollout's place, marked.

    Raises:
        ValueError: there is no stable revision.
    """
    stable = status.stable_revision
    if stable is None:
        raise ValueError(f"{obs.namespace}/{obs.name} has no stable revision")
    revision = obs.revisions[stable.hash]
    said = ((obs.live.get("metadata") or {}).get("annotations") or {}).get(LEFT_ANNOTATION)
    made = becomes(
        (obs.namespace, obs.name), revision.template, obs.routing, wanted_spec(obs, status, revision, "stable")
    )
    meta = made["metadata"]
    meta["labels"] = {**meta.get("labels", {}), **_MARKS, ROLLOUT_LABEL: obs.name}
    meta["annotations"] = {**meta.get("annotations", {}), LEFT_ANNOTATION: said or left(revision.number)}
    return made


def becomes(
    where: tuple[str, str], template: Mapping[str, Any], routing: Routing, spec: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a revision as a plain SeldonDeployment, at the rollout's hosts and gateways.

    Args:
        where: the rollout's namespace and name.
        template: the revision's.
        routing: the rollout's.
        spec: the revision's, with the pods that it should have.
    """
    meta = template.get("metadata") or {}
    routed = {_HOSTS: ",".join(routing.hosts), _GATEWAYS: ",".join(routing.gateways)}
    annotations = {**(meta.get("annotations") or {}), **{key: value for key, value in routed.items() if value}}
    kept = {"labels": dict(meta.get("labels") or {}), "annotations": annotations}
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {
            "name": where[1],
            "namespace": where[0],
            **{key: value for key, value in kept.items() if value},
        },
        "spec": dict(spec),
    }


def left(revision: int, by: str = "", reason: str = "") -> str:
    """Return what is kept of who had a rollout left, why, and at which revision."""
    said = {"revision": revision, "by": by, "reason": reason}
    return json.dumps({key: value for key, value in said.items() if value}, ensure_ascii=False)


def _mark(obs: Observed, labels: Mapping[str, str | None]) -> actions.MarkDeployment:
    live = obs.plain.live if obs.plain is not None else {"metadata": {}}
    return actions.MarkDeployment({"metadata": {"labels": labels}}, str(live["metadata"].get("resourceVersion", "")))


def unmark(obs: Observed) -> list[Action]:
    """Return the write that gives the SeldonDeployment to its operator, where it is marked."""
    return [_mark(obs, {ROLLOUT_LABEL: None, ROLE_LABEL: None})] if _marked(obs) else []


def _hand_over(obs: Observed) -> actions.TakeRoute:
    """Return the write that gives the VirtualService to the SeldonDeployment, owner and routes at once."""
    if obs.plain is None or obs.route is None:
        raise ValueError(f"{obs.namespace}/{obs.name} has nothing to hand over")
    owner = {**obs.plain.live, "name": obs.name, "uid": obs.plain.live["metadata"].get("uid", "")}
    owner.setdefault("apiVersion", "machinelearning.seldon.io/v1")
    owner.setdefault("kind", "SeldonDeployment")
    spec = obs.plain.live.get("spec") or {}
    prefix = names.prediction_prefix(obs.namespace, obs.name)
    rest = {**matching.rest(prefix), **_targets(obs, spec, grpc=False), "retries": dict(traffic.RETRIES)}
    grpc = {**matching.grpc(obs.namespace, obs.name), **_targets(obs, spec, grpc=True)}
    patch = {
        "metadata": {
            "labels": {ROLLOUT_LABEL: None, MANAGED_BY: None, _OPERATOR_LABEL: obs.name},
            "ownerReferences": [revisions.owner_reference(owner)],
        },
        "spec": {"http": [rest, {**grpc, "retries": dict(traffic.RETRIES)}]},
    }
    return actions.TakeRoute(patch, str(obs.route.live["metadata"].get("resourceVersion", "")))


def _targets(obs: Observed, spec: Mapping[str, Any], *, grpc: bool) -> dict[str, Any]:
    """Return where a plain SeldonDeployment's requests go."""

    def target(part: revisions.Destination) -> dict[str, Any]:
        port = part.grpc_port if grpc else part.http_port
        return {"host": part.host, "subset": part.subset, "port": {"number": port}}

    parts = revisions.destinations_of(obs.name, obs.namespace, spec, obs.defaults.ports)
    live = [{"destination": target(part), "weight": part.share} for part in parts if not part.shadow]
    copies = [{"destination": target(part), "percentage": {"value": part.share}} for part in parts if part.shadow]
    return {"route": live, **({"mirrors": copies} if copies else {})}
