"""Render: the cluster's objects as everything that Envoy is told. Pure; the same snapshot gives the same bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcluster.mesh import policies
from localcluster.mesh.addresses import OCTETS, assign, hosts_file
from localcluster.mesh.clusters import cluster, default_clusters, load_assignment
from localcluster.mesh.errors import RouteError
from localcluster.mesh.listeners import gateway_listener, service_listener
from localcluster.mesh.matches import EVERYTHING
from localcluster.mesh.names import GATEWAY_ROUTES, ClusterKey, service_routes, shared_host
from localcluster.mesh.objects import Key, Object, Service, ServicePort, Snapshot, Speech, key_of
from localcluster.mesh.routes import MESH, Route, Routed, gateway_names, routed
from localcluster.mesh.status import Report

HTTP_PROTOCOLS = frozenset({"HTTP", "HTTP2", "GRPC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where Envoy listens and where its files lie."""

    gateway_port: int
    octet: int = OCTETS.start
    """Services get addresses in 127.`octet`.0.0/16."""
    routes_dir: str
    endpoints_dir: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Envoy refused a VirtualService's routes: of which generation, and what it said."""

    generation: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What `render` has to remember: what was accepted, what was refused, and which addresses are given out."""

    accepted: Mapping[Key, Object] = field(default_factory=dict)
    rejected: Mapping[Key, Rejection] = field(default_factory=dict)
    addresses: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Envoy's resources by name, the hosts file, and what to report of each VirtualService."""

    clusters: Mapping[str, Mapping[str, Any]]
    endpoints: Mapping[str, Mapping[str, Any]]
    routes: Mapping[str, Mapping[str, Any]]
    listeners: Mapping[str, Mapping[str, Any]]
    hosts: str
    addresses: Mapping[Key, str]
    reports: Mapping[Key, Report]
    in_effect: Mapping[Key, Object]
    """The version of each VirtualService that is routed: the present one, or the last accepted one."""
    warnings: tuple[str, ...] = ()


def render(seen: Snapshot, settings: Settings, history: History | None = None) -> Rendered:
    """Translate a snapshot. A VirtualService that cannot be obeyed keeps its last accepted version in effect."""
    history = history or History()
    chosen = [_chosen(each, seen, history) for each in seen.virtual_services]
    translated = [each for each, _, _ in chosen if each is not None]
    addresses = assign(
        (key for key, service in seen.services.items() if not service.headless), history.addresses, octet=settings.octet
    )
    keys = {key for service in seen.services.values() for key in default_clusters(service)}
    keys |= {key for each in translated for key in each.clusters}
    clusters, warnings = _clusters(keys, seen, settings)
    listeners, routes = _inside(seen, translated, addresses, settings)
    routes[GATEWAY_ROUTES] = _gateway(seen, translated)
    listeners["gateway"] = gateway_listener(settings.gateway_port, routes_dir=settings.routes_dir)
    return Rendered(
        clusters=clusters,
        endpoints={key.name: load_assignment(key, seen) for key in sorted(keys)},
        routes=routes,
        listeners=listeners,
        hosts=hosts_file(seen.services.values(), addresses),
        addresses=addresses,
        reports={report.key: report for _, _, report in chosen},
        in_effect={report.key: obj for _, obj, report in chosen if obj is not None},
        warnings=warnings,
    )


def _chosen(obj: Object, seen: Snapshot, history: History) -> tuple[Routed | None, Object | None, Report]:
    """The translation in effect, the object that it came from, and the report."""
    key = key_of(obj)
    generation = int(obj["metadata"].get("generation") or 0)
    refused = history.rejected.get(key)
    if refused is not None and refused.generation == generation:
        return _fallback(key, generation, "Rejected", refused.message, seen=seen, history=history)
    try:
        found = routed(obj, seen)
    except RouteError as error:
        return _fallback(key, generation, "Invalid", str(error), seen=seen, history=history)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        return _fallback(
            key, generation, "Invalid", f"spec: a field has the wrong type: {error}", seen=seen, history=history
        )
    absent = _missing_gateways(found, obj, seen)
    notes = "; ".join((*found.missing, *absent, *found.warnings))
    reason = "DestinationNotFound" if found.missing else "GatewayNotFound" if absent else "Accepted"
    report = Report(
        key=key,
        generation=generation,
        accepted=not (found.missing or absent),
        reason=reason,
        message=notes or "Envoy routes by this version",
        shares=found.shares,
    )
    return found, obj, report


def _fallback(
    key: Key, generation: int, reason: str, message: str, *, seen: Snapshot, history: History
) -> tuple[Routed | None, Object | None, Report]:
    last = history.accepted.get(key)
    found = None
    if last is not None:
        try:
            found = routed(last, seen)
            message = f"{message}; the last accepted version stays in effect"
        except RouteError:
            last = None
    report = Report(
        key=key,
        generation=generation,
        accepted=False,
        reason=reason,
        message=message,
        shares=found.shares if found else (),
    )
    return found, last, report


def _missing_gateways(found: Routed, obj: Object, seen: Snapshot) -> tuple[str, ...]:
    known = {"/".join(key_of(gateway)) for gateway in seen.gateways} | {MESH}
    wanted = gateway_names((obj.get("spec") or {}).get("gateways"), found.key[0])
    return tuple(f"spec.gateways: there is no Gateway {name}" for name in sorted(wanted - known))


def _clusters(
    keys: Iterable[ClusterKey], seen: Snapshot, settings: Settings
) -> tuple[dict[str, Mapping[str, Any]], tuple[str, ...]]:
    found: dict[str, Mapping[str, Any]] = {}
    warnings: dict[str, None] = {}
    for key in sorted(keys):
        found[key.name], said = cluster(key, seen, endpoints_dir=settings.endpoints_dir)
        warnings.update(dict.fromkeys(said))
    return found, tuple(warnings)


def _gateway(seen: Snapshot, translated: Iterable[Routed]) -> dict[str, Any]:
    """The ingress gateway's route table: a virtual host for each host that a Gateway and a VirtualService share."""
    domains: dict[str, list[Route]] = {}
    offers = [(f"{'/'.join(key_of(gateway))}", *offer) for gateway in seen.gateways for offer in _offers(gateway)]
    for each in translated:
        for host in each.hosts:
            taken: dict[str, dict[int, Route]] = {}
            for gateway, port, namespace, pattern in offers:
                domain = shared_host(host, pattern)
                if domain is None or namespace not in ("*", each.key[0]):
                    continue
                for index, route in enumerate(each.routes):
                    if gateway in route.gateways and route.port in (0, port):
                        taken.setdefault(domain, {})[index] = route
            for domain, found in taken.items():
                domains.setdefault(domain, []).extend(found[index] for index in sorted(found))
    hosts = [_virtual_host(domain, _ordered(found)) for domain, found in sorted(domains.items())]
    return _table(GATEWAY_ROUTES, hosts)


def _offers(gateway: Object) -> list[tuple[int, str, str]]:
    """(port, namespace or *, host pattern) of each plain-text HTTP server of a Gateway."""
    found = []
    own = gateway["metadata"].get("namespace", "")
    for server in (gateway.get("spec") or {}).get("servers") or ():
        port = server.get("port") or {}
        if str(port.get("protocol", "")).upper() not in HTTP_PROTOCOLS:
            continue
        for host in server.get("hosts") or ():
            namespace, _, pattern = host.rpartition("/")
            found.append((int(port.get("number") or 0), own if namespace == "." else namespace or "*", pattern))
    return found


def _inside(
    seen: Snapshot, translated: Iterable[Routed], addresses: Mapping[Key, str], settings: Settings
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    """Listeners and route tables of the Services' own addresses."""
    by_host: dict[str, list[Routed]] = {}
    for each in translated:
        for host in each.hosts:
            by_host.setdefault(host, []).append(each)
    listeners: dict[str, Mapping[str, Any]] = {}
    routes: dict[str, Mapping[str, Any]] = {}
    for key in sorted(addresses):
        service = seen.services[key]
        for port in service.ports:
            name = service_routes(*key, port.number)
            listeners[name] = service_listener(service, port, addresses[key], routes_dir=settings.routes_dir)
            if port.speech is not Speech.TCP:
                routes[name] = _service_table(name, service, port, _of_service(service, by_host))
    return listeners, routes


def _of_service(service: Service, by_host: Mapping[str, list[Routed]]) -> list[Routed]:
    short = (service.host, f"{service.name}.{service.namespace}", f"{service.name}.{service.namespace}.svc")
    return [each for host in short for each in by_host.get(host, ())]


def _service_table(name: str, service: Service, port: ServicePort, translated: Iterable[Routed]) -> dict[str, Any]:
    mine = [
        route
        for each in translated
        for route in each.routes
        if MESH in route.gateways and route.port in (0, port.number)
    ]
    plain = {
        "match": dict(EVERYTHING),
        "route": {
            "cluster": ClusterKey(service.namespace, service.name, port.number).name,
            "timeout": "0s",
            "retry_policy": policies.retry_policy(None, ""),
        },
    }
    found = [route.envoy for route in mine] or [plain]
    return _table(name, [_virtual_host("*", found)])


def _ordered(routes: Iterable[Route]) -> list[Mapping[str, Any]]:
    """Routes in order, those that take everything last: the order between VirtualServices is otherwise their age."""
    return [route.envoy for route in sorted(routes, key=lambda each: each.catches_all)]


def _virtual_host(domain: str, routes: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {"name": domain, "domains": [domain], "routes": routes, "include_request_attempt_count": True}


def _table(name: str, hosts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": f"{policies.ENVOY}.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": True,
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": 1048576,
    }
