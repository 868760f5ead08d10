"""Read what stands for one SeldonDeployment out of the caches."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from controller.deployment.observed import Identity, Observed, identity
from controller.deployment.render import Desired
from controller.deployment.render.labels import ID
from controller.deployment.subject import Subject
from controller.kube.cluster import Cluster
from controller.kube.resources import (
    AUTHORIZATION_POLICY,
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    PEER_AUTHENTICATION,
    POD,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
    SERVICE,
    VIRTUAL_SERVICE,
    Resource,
)

SERVICE_NAME = "kubernetes.io/service-name"
WRITTEN: Mapping[str, Resource] = {
    each.kind: each
    for each in (
        SERVICE,
        DEPLOYMENT,
        HORIZONTAL_POD_AUTOSCALER,
        SCALED_OBJECT,
        POD_DISRUPTION_BUDGET,
        DESTINATION_RULE,
        VIRTUAL_SERVICE,
        AUTHORIZATION_POLICY,
        PEER_AUTHENTICATION,
    )
}
"""The kinds that the operator writes, by name."""
MESH = (VIRTUAL_SERVICE, DESTINATION_RULE)
SECURITY = (AUTHORIZATION_POLICY, PEER_AUTHENTICATION)
OPTIONAL = frozenset({*MESH, *SECURITY, SCALED_OBJECT})
"""Kinds that a cluster may lack."""


def observe(
    cluster: Cluster, subject: Subject, desired: Desired, *, use_mesh: bool, patience: timedelta = timedelta(0)
) -> Observed:
    """Return a snapshot of what belongs to a SeldonDeployment, and of what stands under the names that it wants.

    Args:
        cluster: the caches.
        subject: the SeldonDeployment.
        desired: what is rendered for it.
        use_mesh: whether Istio's kinds are written where they are served.
        patience: how long the mesh's answer for a first route is waited for.
    """
    mesh = use_mesh and all(cluster.available(each) for each in MESH)
    objects: dict[Identity, Mapping[str, Any]] = {}
    for wanted in desired.objects():
        kind, name = identity(wanted)
        live = cluster.get(WRITTEN[kind], subject.namespace, name)
        if live is not None:
            objects[kind, name] = live
    for kind, resource in WRITTEN.items():
        for live in cluster.owned(resource, subject.uid):
            objects[kind, live["metadata"]["name"]] = live
    if subject.awaits_route:
        objects.pop((VIRTUAL_SERVICE.kind, subject.name), None)
    belongs = {ID: subject.name}
    slices = cluster.selected(ENDPOINT_SLICE, subject.namespace, belongs)
    return Observed(
        uid=subject.uid,
        objects=objects,
        endpoints=endpoints(slices),
        reached=reached(slices),
        pods=tuple(cluster.selected(POD, subject.namespace, belongs)),
        mesh=mesh,
        patience=patience,
        keda=cluster.available(SCALED_OBJECT),
        security=use_mesh and all(cluster.available(each) for each in SECURITY),
    )


def reached(slices: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[tuple[str, int]]]:
    """Return the ports at which each Service leads to pods, by name and number, out of its EndpointSlices."""
    found: dict[str, set[tuple[str, int]]] = {}
    for piece in slices:
        service = (piece["metadata"].get("labels") or {}).get(SERVICE_NAME, "")
        if piece.get("endpoints"):
            ports = {(each.get("name") or "", int(each.get("port") or 0)) for each in piece.get("ports") or ()}
            found.setdefault(service, set()).update(ports)
    return {service: frozenset(ports) for service, ports in found.items()}


def endpoints(slices: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Return the names of the ready pods behind each Service, out of its EndpointSlices."""
    found: dict[str, set[str]] = {}
    for piece in slices:
        service = (piece["metadata"].get("labels") or {}).get(SERVICE_NAME, "")
        for endpoint in piece.get("endpoints") or ():
            pod = (endpoint.get("targetRef") or {}).get("name")
            if pod and (endpoint.get("conditions") or {}).get("ready") is not False:
                found.setdefault(service, set()).add(pod)
    return {service: frozenset(pods) for service, pods in found.items()}
