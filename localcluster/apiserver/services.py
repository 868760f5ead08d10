"""Services: defaults, refusals, and the addresses that the cluster gives them."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from localcluster.apiserver.errors import Cause, invalid
from localcluster.apiserver.history import Event, History
from localcluster.apiserver.metadata import check_labels, immutable, required, unsupported, wrong_value
from localcluster.apiserver.preparation import Draft

JsonObject = dict[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_NODE_PORTS = range(30000, 32768)
_NETWORK = ipaddress.ip_network("10.96.0.0/16")


class ServiceRules:
    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if not port.get("targetPort"):
                port["targetPort"] = port.get("port", 0)
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        new.setdefault("status", {}).setdefault("loadBalancer", {})

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        spec = new["spec"]
        if spec["type"] not in _TYPES:
            yield unsupported("spec.type", spec["type"], _TYPES)
        ports = spec.get("ports") or []
        if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
            yield required("spec.ports")
        yield from check_labels(spec.get("selector"), "spec.selector")
        names: set[str] = set()
        for at, port in enumerate(ports):
            yield from _check_port(port, f"spec.ports[{at}]", names, several=len(ports) > 1)
        if spec["type"] == "ExternalName" and not spec.get("externalName"):
            yield required("spec.externalName")
        kept = old is None or "ExternalName" in (old["spec"].get("type"), spec["type"])
        if old is not None and not kept and spec.get("clusterIP") != old["spec"].get("clusterIP"):
            yield immutable("spec.clusterIPs[0]", spec.get("clusterIPs"))


def _check_port(port: JsonObject, field: str, names: set[str], *, several: bool) -> Iterable[Cause]:
    name = port.get("name", "")
    if several and not name:
        yield required(f"{field}.name")
    elif name and name in names:
        yield Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{field}.name")
    names.add(name)
    for key in ("port", "targetPort"):
        number = port.get(key, 0)
        if isinstance(number, int) and not 0 < number < 65536:
            yield wrong_value(f"{field}.{key}", number, "must be between 1 and 65535, inclusive")


class Addresses:
    """Gives every Service its cluster address, and a node port where its type has one. Both are free again after it."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._taken: dict[str, tuple[str, str]] = {}
        self._next = int(_NETWORK.network_address) + 1
        for key, entry in history.entries("services").items():
            self._hold(key, entry.object)
        history.listeners.append(self._happened)

    def _happened(self, event: Event) -> None:
        if event.collection == "services":
            if event.previous is not None:
                for what in _held(event.previous):
                    self._taken.pop(what, None)
            if event.type != "DELETED":
                self._hold(event.key, event.entry.object)

    def _hold(self, key: tuple[str, str], service: JsonObject) -> None:
        for what in _held(service):
            self._taken[what] = key

    def admit(self, draft: Draft) -> None:
        """Completes a Service. Raises ApiError 422 for an address that another has or that is none of ours."""
        if draft.kind.collection != "services":
            return
        metadata, spec = draft.new["metadata"], draft.new["spec"]
        key = (metadata.get("namespace", ""), metadata.get("name", ""))
        if spec["type"] == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return
        self._address(draft, spec, key)
        for port in spec.get("ports") or ():
            if spec["type"] in ("NodePort", "LoadBalancer"):
                self._node_port(draft, port, key)
            else:
                port.pop("nodePort", None)

    def _address(self, draft: Draft, spec: JsonObject, key: tuple[str, str]) -> None:
        before = (draft.old or {}).get("spec", {})
        asked = spec.get("clusterIP") or before.get("clusterIP") or ""
        if not asked:
            asked = self._free_address()
        elif asked != "None":
            holder = self._taken.get(asked)
            if holder not in (None, key):
                raise self._refused(draft, wrong_value("spec.clusterIPs", [asked], "provided IP is already allocated"))
            if not _inside(asked):
                why = f"failed to allocate IP {asked}: the provided IP is not in the valid range {_NETWORK}"
                raise self._refused(draft, wrong_value("spec.clusterIPs", [asked], why))
        spec["clusterIP"] = asked
        spec["clusterIPs"] = [asked]

    def _free_address(self) -> str:
        last = int(_NETWORK.broadcast_address)
        for _ in range(_NETWORK.num_addresses):
            address = str(ipaddress.ip_address(self._next))
            self._next = self._next + 1 if self._next + 1 < last else int(_NETWORK.network_address) + 1
            if address not in self._taken:
                return address
        raise OSError(f"no address is left in {_NETWORK}")

    def _node_port(self, draft: Draft, port: JsonObject, key: tuple[str, str]) -> None:
        asked = port.get("nodePort")
        if not asked:
            port["nodePort"] = next(number for number in _NODE_PORTS if f"port {number}" not in self._taken)
            self._taken[f"port {port['nodePort']}"] = key
        elif self._taken.get(f"port {asked}") not in (None, key):
            cause = wrong_value("spec.ports[0].nodePort", asked, "provided port is already allocated")
            raise self._refused(draft, cause)

    @staticmethod
    def _refused(draft: Draft, cause: Cause) -> Exception:
        return invalid("", "Service", draft.new["metadata"]["name"], [cause])


def _held(service: JsonObject) -> list[str]:
    spec = service.get("spec") or {}
    held = [spec["clusterIP"]] if spec.get("clusterIP") not in (None, "", "None") else []
    return held + [f"port {port['nodePort']}" for port in spec.get("ports") or () if port.get("nodePort")]


def _inside(address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in _NETWORK
    except ValueError:
        return False
