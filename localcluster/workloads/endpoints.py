"""EndpointSlices: which addresses stand behind a Service, and whether each is ready, serving or on its way out."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from localcluster.objects import Object
from localcluster.selectors import covers, labels_of
from localcluster.workloads.actions import Action, Create, Delete, Patch, Plan
from localcluster.workloads.pods import is_ending, is_finished, is_ready, owner_reference

DISCOVERY = "discovery.k8s.io/v1"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
SLICE_SIZE = 100
DOMAIN = "cluster.local"
Ports = tuple[tuple[str, int, str, str], ...]
"""(name, number, protocol, application protocol) for each port of a Service."""
Shape = tuple[str, Ports]
"""What all endpoints of one slice share: the type of their addresses, and their ports."""


def plan(service: Object, pods: Sequence[Object], slices: Sequence[Object]) -> Plan:
    """What to do for one Service. `pods` and `slices` are those of its namespace; others' are skipped here."""
    name = service["metadata"]["name"]
    mine = {piece["metadata"]["name"]: piece for piece in slices if _is_slice_of(piece, name)}
    selector = service["spec"].get("selector")
    if is_ending(service) or not selector or service["spec"].get("type") == "ExternalName":
        return Plan(
            tuple(Delete(group_version=DISCOVERY, plural="endpointslices", target=gone) for gone in mine.values())
        )
    behind = [pod for pod in pods if covers(selector, labels_of(pod)) and _has_address(pod)]
    wanted = _slices(service, sorted(behind, key=lambda pod: str(pod["metadata"]["name"])))
    actions: list[Action] = []
    for key, piece in wanted.items():
        present = mine.pop(key, None)
        if present is None:
            actions.append(Create(group_version=DISCOVERY, plural="endpointslices", obj=piece))
        elif any((present.get(field) or []) != piece[field] for field in ("endpoints", "ports")):
            patch = {"endpoints": piece["endpoints"], "ports": piece["ports"]}
            actions.append(Patch(group_version=DISCOVERY, plural="endpointslices", target=present, patch=patch))
    actions += [Delete(group_version=DISCOVERY, plural="endpointslices", target=gone) for gone in mine.values()]
    return Plan(tuple(actions))


def _is_slice_of(piece: Object, service: str) -> bool:
    labels = labels_of(piece)
    return labels.get(SERVICE_NAME) == service and labels.get(MANAGED_BY) == MANAGER


def _has_address(pod: Object) -> bool:
    return bool((pod.get("status") or {}).get("podIP")) and not is_finished(pod)


def _slices(service: Object, behind: Sequence[Object]) -> dict[str, Object]:
    """Slices by name: one for each type of address and set of resolved ports, in pieces of at most 100 endpoints."""
    groups: dict[Shape, list[Object]] = {}
    for pod in behind:
        groups.setdefault((address_of(pod)[0], _ports(service, pod)), []).append(pod)
    if not groups:
        groups["FQDN", _ports(service, None)] = []
    wanted: dict[str, Object] = {}
    for shape, members in groups.items():
        for start in range(0, max(1, len(members)), SLICE_SIZE):
            piece = _slice(service, shape, members[start : start + SLICE_SIZE], start)
            wanted[piece["metadata"]["name"]] = piece
    return wanted


def address_of(pod: Object) -> tuple[str, str]:
    """The type and the text of a pod's address in a slice: a loopback address stands as the pod's DNS name.

    Kubernetes refuses loopback addresses in EndpointSlices, and `127-1-0-2.ml.pod.cluster.local` says the same.
    """
    address = ipaddress.ip_address(pod["status"]["podIP"])
    if address.is_loopback:
        return "FQDN", f"{address.compressed.replace('.', '-')}.{pod['metadata']['namespace']}.pod.{DOMAIN}"
    return f"IPv{address.version}", address.compressed


def _slice(service: Object, shape: Shape, members: Sequence[Object], start: int) -> Object:
    meta, spec = service["metadata"], service["spec"]
    kind, ports = shape
    digest = hashlib.sha256(repr((shape, start)).encode()).hexdigest()[:5]
    labels = {**(meta.get("labels") or {}), SERVICE_NAME: meta["name"], MANAGED_BY: MANAGER}
    if spec.get("clusterIP") == "None":
        labels[HEADLESS] = ""
    always = bool(spec.get("publishNotReadyAddresses"))
    return {
        "apiVersion": DISCOVERY,
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": kind,
        "endpoints": [_endpoint(pod, meta["name"], always=always) for pod in members],
        "ports": [_port(*port) for port in ports],
    }


def _endpoint(pod: Object, service: str, *, always: bool) -> dict[str, Any]:
    meta, spec, ending = pod["metadata"], pod["spec"], is_ending(pod)
    serving = is_ready(pod) or always
    endpoint: dict[str, Any] = {
        "addresses": [address_of(pod)[1]],
        "conditions": {"ready": (serving and not ending) or always, "serving": serving, "terminating": ending},
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    }
    if spec.get("nodeName"):
        endpoint["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain") == service:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def _ports(service: Object, pod: Object | None) -> Ports:
    """The Service's ports as numbers of this pod; a named target port that the pod does not have is left out."""
    resolved = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort") or port["port"]
        protocol = port.get("protocol") or "TCP"
        number = target if isinstance(target, int) else _named_port(pod, target, protocol)
        if number:
            resolved.append((port.get("name") or "", number, protocol, port.get("appProtocol") or ""))
    return tuple(resolved)


def _named_port(pod: Object | None, name: str, protocol: str) -> int:
    if name.isdigit():
        return int(name)
    for container in pod["spec"]["containers"] if pod else ():
        for port in container.get("ports") or ():
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return 0


def _port(name: str, number: int, protocol: str, application: str) -> Mapping[str, Any]:
    told: dict[str, Any] = {"name": name, "port": number, "protocol": protocol}
    return told | ({"appProtocol": application} if application else {})
