"""What the mesh looks at: a frozen snapshot of the cluster's objects, reduced to what routing needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from localcluster.mesh.names import DOMAIN, pod_address, service_of_host

Object = Mapping[str, Any]
Key = tuple[str, str]


class Speech(Enum):
    """What a Service's port speaks, by the name of the port or its `appProtocol`, as Istio tells it."""

    HTTP = "http"
    HTTP2 = "http2"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. `number` is the Service's port, not the pod's."""

    name: str
    number: int
    speech: Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One ready address behind a Service, with the pod that it belongs to."""

    address: str
    ports: Mapping[str, int]
    """Port number on the pod by the Service's port name (empty for the only, unnamed port)."""
    pod: str = ""
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service with the endpoints that may get requests now."""

    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    endpoints: tuple[Endpoint, ...] = ()
    headless: bool = False

    @property
    def key(self) -> Key:
        """(namespace, name)."""
        return (self.namespace, self.name)

    @property
    def host(self) -> str:
        """The full name inside the cluster."""
        return f"{self.name}.{self.namespace}.{DOMAIN}"

    def port(self, number: int) -> ServicePort | None:
        """The port with this number, if the Service has it."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that `render` looks at. VirtualServices stand in the order of their creation, as in Istio."""

    services: Mapping[Key, Service]
    virtual_services: tuple[Object, ...] = ()
    rules: Mapping[Key, tuple[Object, ...]] = field(default_factory=dict)
    """DestinationRules by the Service that their host means: those of its own namespace first, then by age."""
    gateways: tuple[Object, ...] = ()


def snapshot(
    *,
    services: Iterable[Object],
    slices: Iterable[Object],
    pods: Iterable[Object],
    virtual_services: Iterable[Object] = (),
    destination_rules: Iterable[Object] = (),
    gateways: Iterable[Object] = (),
) -> Snapshot:
    """Join the watched objects. An object that is being deleted counts until it is gone."""
    pods_by_key = {key_of(pod): pod for pod in pods}
    slices_by_service: dict[Key, list[Object]] = {}
    for each in slices:
        owner = (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        slices_by_service.setdefault((each["metadata"].get("namespace", ""), owner), []).append(each)
    return Snapshot(
        services={
            key_of(each): _service(each, slices_by_service.get(key_of(each), ()), pods_by_key) for each in services
        },
        virtual_services=tuple(sorted(virtual_services, key=_age)),
        rules=_rules(destination_rules),
        gateways=tuple(sorted(gateways, key=_age)),
    )


def key_of(obj: Object) -> Key:
    """(namespace, name) of an object."""
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _rules(destination_rules: Iterable[Object]) -> dict[Key, tuple[Object, ...]]:
    found: dict[Key, list[Object]] = {}
    for rule in sorted(destination_rules, key=_age):
        namespace = key_of(rule)[0]
        service = service_of_host(str((rule.get("spec") or {}).get("host") or ""), namespace)
        if service is not None:
            found.setdefault(service, []).append(rule)
    return {
        service: tuple(sorted(rules, key=lambda rule: key_of(rule)[0] != service[0]))
        for service, rules in found.items()
    }


def _age(obj: Object) -> tuple[str, str, str]:
    return (obj["metadata"].get("creationTimestamp") or "", *key_of(obj))


def _service(obj: Object, slices: Iterable[Object], pods: Mapping[Key, Object]) -> Service:
    namespace, name = key_of(obj)
    spec = obj.get("spec") or {}
    found = {}
    for each in slices:
        ports = {port.get("name") or "": port["port"] for port in each.get("ports") or () if port.get("port")}
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in map(pod_address, endpoint.get("addresses") or ()):
                found[address] = _endpoint(address, ports, endpoint.get("targetRef") or {}, namespace, pods)
    return Service(
        namespace=namespace,
        name=name,
        ports=tuple(
            ServicePort(port.get("name") or "", int(port["port"]), _speech(port))
            for port in spec.get("ports") or ()
            if (port.get("protocol") or "TCP") == "TCP"
        ),
        endpoints=tuple(found[address] for address in sorted(found)),
        headless=spec.get("clusterIP") == "None",
    )


def _endpoint(
    address: str, ports: Mapping[str, int], target: Object, namespace: str, pods: Mapping[Key, Object]
) -> Endpoint:
    pod = pods.get((target.get("namespace") or namespace, target.get("name") or "")) or {}
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    return Endpoint(
        address=address, ports=ports, pod=target.get("name") or "", workload=_workload(metadata, labels), labels=labels
    )


def _workload(metadata: Object, labels: Mapping[str, str]) -> str:
    """The Deployment that made the pod: its ReplicaSet's name without the hash, as Istio derives it."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            name: str = owner.get("name", "")
            return (
                name.removesuffix("-" + labels.get("pod-template-hash", ""))
                if owner.get("kind") == "ReplicaSet"
                else name
            )
    return str(metadata.get("name", ""))


def _speech(port: Object) -> Speech:
    words = {(port.get("appProtocol") or "").lower(), (port.get("name") or "").split("-")[0].lower()}
    if words & {"grpc", "http2", "h2c", "kubernetes.io/h2c", "grpc-web"}:
        return Speech.HTTP2
    return Speech.HTTP if words & {"http", "kubernetes.io/ws"} else Speech.TCP
