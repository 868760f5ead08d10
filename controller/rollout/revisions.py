"""Revisions: what makes one, how it is numbered and kept, and where its requests go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api import names
from controller.api.meta import RESTARTED_ANNOTATION, REVISION_LABEL, ROLE_LABEL, ROLLOUT_LABEL
from controller.errors import InvalidSpecError
from controller.rollout.bare import node_ports
from controller.rollout.scaling import predictors


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where predictors are served, as the operator is set: by orchestrators, and where the ports of nodes begin."""

    engine_http: int = 8000
    engine_grpc: int = 5001
    node_http: int = 9000
    node_grpc: int = 9500


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One state of the template."""

    hash: str
    number: int
    template: Mapping[str, Any]
    """`{metadata, spec}` of the SeldonDeployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A predictor that takes a share of its revision's requests."""

    service: str
    host: str
    subset: str
    http_port: int
    grpc_port: int
    share: int
    """Percent of the revision's live requests; for a shadow, percent that it gets copied."""
    shadow: bool = False


def template_hash(template: Mapping[str, Any]) -> str:
    """Hash what makes a revision: the template without replicas and traffic, which never start a rollout."""
    spec = _without(template.get("spec") or {}, "replicas")
    if isinstance(spec.get("predictors"), list):
        spec["predictors"] = [_identity(predictor) for predictor in spec["predictors"]]
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("annotations", "labels") if metadata.get(key)}
    return names.stable_hash({"metadata": kept, "spec": spec})


def _identity(predictor: Any) -> Any:
    if not isinstance(predictor, dict):
        return predictor
    kept = _without(predictor, "replicas", "traffic")
    if RESTARTED_ANNOTATION in (notes := kept.get("annotations") or {}):
        kept["annotations"] = _without(notes, RESTARTED_ANNOTATION)
        if not kept["annotations"]:
            del kept["annotations"]
    if isinstance(kept.get("componentSpecs"), list):
        kept["componentSpecs"] = [_without(part, "replicas") for part in kept["componentSpecs"]]
    if isinstance(kept.get("svcOrchSpec"), dict):
        kept["svcOrchSpec"] = _without(kept["svcOrchSpec"], "replicas")
    return kept


def _without(part: Any, *names: str) -> Any:
    return {key: value for key, value in part.items() if key not in names} if isinstance(part, dict) else part


def check_template(template: Mapping[str, Any]) -> None:
    """Refuse a template that no rollout could serve.

    Raises:
        InvalidSpecError: it has no predictor, a predictor has no name, two predictors would share a Service, or
            its requests come from a topic.
    """
    spec = template.get("spec") or {}
    if isinstance(spec, dict) and spec.get("serverType") == "kafka":
        raise InvalidSpecError(
            "spec.template.spec.serverType",
            "kafka",
            "rpc: a topic's messages do not pass the mesh, which divides requests, so each revision would answer all",
        )
    parts = spec.get("predictors")
    if not isinstance(parts, list) or not parts:
        raise InvalidSpecError("spec.template.spec.predictors", parts, "a list of at least one predictor")
    for index, predictor in enumerate(parts):
        where = f"spec.template.spec.predictors[{index}]"
        if not isinstance(predictor, dict) or not predictor.get("name"):
            raise InvalidSpecError(f"{where}.name", None, "a name")
        pinned = (predictor.get("annotations") or {}).get(names.SVC_NAME_ANNOTATION)
        if pinned:
            field = f"{where}.annotations[{names.SVC_NAME_ANNOTATION}]"
            raise InvalidSpecError(field, pinned, "no fixed Service name: each revision needs a Service of its own")
    live = [predictor for predictor in parts if not predictor.get("shadow")]
    if not live:
        raise InvalidSpecError(
            "spec.template.spec.predictors", "only shadows", "at least one predictor that is no shadow"
        )


def destinations(rollout: str, namespace: str, revision: Revision, ports: Ports) -> tuple[Destination, ...]:
    """Return where a revision's requests go: its live predictors by their traffic, and its shadows."""
    name = names.revision_name(rollout, revision.hash)
    return destinations_of(name, namespace, revision.template.get("spec") or {}, ports)


def destinations_of(deployment: str, namespace: str, spec: Mapping[str, Any], ports: Ports) -> tuple[Destination, ...]:
    """Return where the requests of a SeldonDeployment of this name go."""
    parts = predictors(spec)
    served = [_served(spec, part, ports) for part in parts]
    live = [predictor for predictor in parts if not predictor.get("shadow")]
    weights = [int(predictor.get("traffic") or 0) for predictor in live]
    if sum(weights) == 0:
        weights = [1] * len(live)
    shares = dict(zip((predictor["name"] for predictor in live), apportion(100, weights), strict=True))
    return tuple(_destination(deployment, namespace, part, shares, at) for part, at in zip(parts, served, strict=True))


def _served(spec: Mapping[str, Any], predictor: Mapping[str, Any], ports: Ports) -> tuple[int, int]:
    notes = predictor.get("annotations") or {}
    if str(notes.get(names.NO_ENGINE_ANNOTATION, "")).lower() == "true":
        return node_ports(spec, predictor, ports.node_http, ports.node_grpc)
    return ports.engine_http, ports.engine_grpc


def _destination(
    child: str, namespace: str, predictor: Mapping[str, Any], shares: Mapping[str, int], served: tuple[int, int]
) -> Destination:
    annotations = predictor.get("annotations") or {}
    service = names.predictor_service(child, predictor["name"], annotations)
    shadow = bool(predictor.get("shadow"))
    return Destination(
        service=service,
        host=names.service_host(service, namespace),
        subset=predictor["name"],
        http_port=served[0],
        grpc_port=served[1],
        share=int(predictor.get("traffic") or 100) if shadow else shares[predictor["name"]],
        shadow=shadow,
    )


def apportion(total: int, weights: Iterable[int]) -> list[int]:
    """Split a whole number in proportion to weights, exactly (largest remainder; ties go to the first).

    Raises:
        ValueError: a weight is negative, or all are zero.
    """
    parts = list(weights)
    whole = sum(parts)
    if whole <= 0 or min(parts) < 0:
        raise ValueError(f"weights must be positive in sum and none negative, found {parts}")
    floors = [total * part // whole for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (-(total * parts[i] % whole), i))
    for index in order[: total - sum(floors)]:
        floors[index] += 1
    return floors


def child_object(owner: Mapping[str, Any], revision: Revision, *, role: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Render a revision's SeldonDeployment.

    Args:
        owner: the rollout's `{apiVersion, kind, name, namespace, uid}`.
        revision: what it serves.
        role: stable, canary or retired.
        spec: the revision's, with the pods that it should have.
    """
    metadata = revision.template.get("metadata") or {}
    labels = {
        **(metadata.get("labels") or {}),
        ROLLOUT_LABEL: owner["name"],
        REVISION_LABEL: revision.hash,
        ROLE_LABEL: role,
    }
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {
            "name": names.revision_name(owner["name"], revision.hash),
            "namespace": owner["namespace"],
            "labels": labels,
            **({"annotations": dict(metadata["annotations"])} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": dict(spec),
    }


def owner_reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference that makes an object ours, for garbage collection and for watches."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["name"],
        "uid": owner["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def history_object(owner: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """Render a revision's ControllerRevision, which keeps its template after the child is gone."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": names.revision_name(owner["name"], revision.hash),
            "namespace": owner["namespace"],
            "labels": {ROLLOUT_LABEL: owner["name"], REVISION_LABEL: revision.hash},
            "ownerReferences": [owner_reference(owner)],
        },
        "data": {"template": dict(revision.template)},
        "revision": revision.number,
    }


def surplus(revisions: Mapping[str, Revision], keep: frozenset[str], limit: int) -> tuple[str, ...]:
    """Return the hashes to drop from history: the oldest beyond the limit, never one that is in use."""
    idle = sorted((r for r in revisions.values() if r.hash not in keep), key=lambda r: r.number)
    return tuple(revision.hash for revision in idle[: max(0, len(idle) - limit)])
