"""Clusters and their endpoints: the pods behind a Service port or a subset of it, with the DestinationRule's policy."""

from collections.abc import Iterable, Mapping
from typing import Any

from localcluster.mesh.destinations import subset_of
from localcluster.mesh.errors import RouteError
from localcluster.mesh.names import ClusterKey, file_name
from localcluster.mesh.objects import Endpoint, Object, Service, ServicePort, Snapshot, Speech
from localcluster.mesh.policies import ENVOY, seconds

METADATA = "mesh"
"""The namespace of our metadata on clusters and endpoints; the metrics' labels are read from it."""
UNLIMITED = 4294967295
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
POLICIES = {
    "ROUND_ROBIN": "ROUND_ROBIN",
    "RANDOM": "RANDOM",
    "LEAST_REQUEST": "LEAST_REQUEST",
    "LEAST_CONN": "LEAST_REQUEST",
}


def cluster(key: ClusterKey, snapshot: Snapshot, *, endpoints_dir: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The Envoy cluster of a key, and warnings about what a DestinationRule asks for and the local mesh does not do."""
    service = snapshot.services.get((key.namespace, key.service))
    port = service.port(key.port) if service else None
    warnings: list[str] = []
    policy: dict[str, Any] = {}
    for rule in snapshot.rules.get((key.namespace, key.service), ())[:1]:
        name = "/".join((rule["metadata"].get("namespace", ""), rule["metadata"]["name"]))
        policy = _merged((rule.get("spec") or {}).get("trafficPolicy") or {}, key.port)
        warnings += [
            f"DestinationRule {name}: {field} is not supported by the local mesh" for field in _unsupported(policy)
        ]
    if key.subset:
        subset = subset_of(snapshot, (key.namespace, key.service), key.subset) or {}
        policy = {**policy, **_merged(subset.get("trafficPolicy") or {}, key.port)}
    try:
        shaped = _shaped(policy, port)
    except RouteError as error:
        warnings.append(f"DestinationRule of {key.name}: {error}; its traffic policy is not applied")
        shaped = _shaped({}, port)
    source = {"resource_api_version": "V3", "path_config_source": {"path": f"{endpoints_dir}/{file_name(key.name)}"}}
    envoy = {
        "@type": f"{ENVOY}.config.cluster.v3.Cluster",
        "name": key.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": source, "service_name": key.name},
        "ignore_health_on_host_removal": True,
        "metadata": {"filter_metadata": {METADATA: _cluster_metadata(key)}},
        **shaped,
    }
    return envoy, tuple(warnings)


def load_assignment(key: ClusterKey, snapshot: Snapshot) -> dict[str, Any]:
    """The endpoints of a cluster. A destination that does not exist has none: Envoy answers 503 (flag UH)."""
    service = snapshot.services.get((key.namespace, key.service))
    found: list[dict[str, Any]] = []
    port = service.port(key.port) if service else None
    if service and port:
        chosen = _chosen(service.endpoints, _labels(key, snapshot))
        for endpoint in chosen:
            number = endpoint.ports.get(port.name)
            if number is not None:
                found.append(_lb_endpoint(endpoint, number, key.namespace))
    return {
        "@type": f"{ENVOY}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": key.name,
        "endpoints": [{"lb_endpoints": found}] if found else [],
    }


def default_clusters(service: Service) -> tuple[ClusterKey, ...]:
    """The clusters that a Service has without any route: one for each port."""
    return tuple(ClusterKey(service.namespace, service.name, port.number) for port in service.ports)


def _labels(key: ClusterKey, snapshot: Snapshot) -> Mapping[str, str] | None:
    if not key.subset:
        return {}
    subset = subset_of(snapshot, (key.namespace, key.service), key.subset)
    return None if subset is None else dict(subset.get("labels") or {})


def _chosen(endpoints: Iterable[Endpoint], labels: Mapping[str, str] | None) -> list[Endpoint]:
    if labels is None:
        return []
    return [each for each in endpoints if all(each.labels.get(name) == value for name, value in labels.items())]


def _lb_endpoint(endpoint: Endpoint, port: int, namespace: str) -> dict[str, Any]:
    labels = endpoint.labels
    canonical = (
        labels.get("service.istio.io/canonical-name") or labels.get("app.kubernetes.io/name") or labels.get("app")
    )
    version = labels.get("service.istio.io/canonical-revision") or labels.get("version") or "latest"
    metadata = {
        "workload": endpoint.workload or "unknown",
        "workload_namespace": namespace,
        "app": labels.get("app") or "unknown",
        "version": labels.get("version") or "unknown",
        "canonical_service": canonical or endpoint.workload or "unknown",
        "canonical_revision": version,
    }
    return {
        "endpoint": {"address": {"socket_address": {"address": endpoint.address, "port_value": port}}},
        "metadata": {"filter_metadata": {METADATA: metadata}},
    }


def _cluster_metadata(key: ClusterKey) -> dict[str, str]:
    host = f"{key.service}.{key.namespace}.svc.cluster.local"
    return {"service": host, "service_name": key.service, "service_namespace": key.namespace}


def _merged(policy: Object, port: int) -> dict[str, Any]:
    """A traffic policy with what it says for one port laid over what it says for all."""
    found = {field: value for field, value in policy.items() if field != "portLevelSettings"}
    for level in policy.get("portLevelSettings") or ():
        if (level.get("port") or {}).get("number") == port:
            found |= {field: value for field, value in level.items() if field != "port"}
    return found


def _unsupported(policy: Object) -> list[str]:
    found = []
    if _tls_mode(policy) not in ("DISABLE", "SIMPLE"):
        found.append("trafficPolicy.tls")
    balancer = policy.get("loadBalancer") or {}
    if balancer.get("consistentHash") or balancer.get("simple") == "PASSTHROUGH":
        found.append("trafficPolicy.loadBalancer." + ("consistentHash" if balancer.get("consistentHash") else "simple"))
    return found + [f"trafficPolicy.{field}" for field in ("tunnel", "proxyProtocol") if policy.get(field)]


def _tls_mode(policy: Object) -> str:
    return str((policy.get("tls") or {}).get("mode") or "DISABLE")


def _encrypted(policy: Object, *, two: bool) -> dict[str, Any]:
    """TLS towards the pods, without a look at their certificates."""
    if _tls_mode(policy) != "SIMPLE":
        return {}
    context = {
        "@type": f"{ENVOY}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"alpn_protocols": ["h2" if two else "http/1.1"]},
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _shaped(policy: Object, port: ServicePort | None) -> dict[str, Any]:
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    simple = str((policy.get("loadBalancer") or {}).get("simple") or "LEAST_REQUEST")
    outliers = policy.get("outlierDetection") or {}
    common = {
        field: value
        for field, value in (
            (
                "idle_timeout",
                seconds(http["idleTimeout"], "connectionPool.http.idleTimeout") if http.get("idleTimeout") else None,
            ),
            ("max_requests_per_connection", http.get("maxRequestsPerConnection")),
        )
        if value
    }
    upgraded = http.get("h2UpgradePolicy") == "UPGRADE"
    speech = port.speech if port else Speech.HTTP
    two = speech is Speech.HTTP2 or (upgraded and speech is Speech.HTTP)
    options = {
        "@type": f"{ENVOY}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}} if two else {"http_protocol_options": {}},
        **({"common_http_protocol_options": common} if common else {}),
    }
    connect = tcp.get("connectTimeout")
    shaped: dict[str, Any] = {
        "connect_timeout": seconds(connect, "connectionPool.tcp.connectTimeout") if connect else "10s",
        "lb_policy": POLICIES.get(simple, "LEAST_REQUEST"),
        "common_lb_config": {"healthy_panic_threshold": {"value": float(outliers.get("minHealthPercent") or 0)}},
        "circuit_breakers": {"thresholds": [_limits(tcp, http)]},
        "typed_extension_protocol_options": {OPTIONS: options},
        **_encrypted(policy, two=two),
    }
    if outliers:
        shaped["outlier_detection"] = _outliers(outliers)
    return shaped


def _limits(tcp: Object, http: Object) -> dict[str, Any]:
    return {
        "max_connections": tcp.get("maxConnections") or UNLIMITED,
        "max_pending_requests": http.get("http1MaxPendingRequests") or UNLIMITED,
        "max_requests": http.get("http2MaxRequests") or UNLIMITED,
        "max_retries": http.get("maxRetries") or UNLIMITED,
        "track_remaining": False,
    }


def _outliers(outliers: Object) -> dict[str, Any]:
    at = "outlierDetection"
    gateway = int(outliers.get("consecutiveGatewayErrors") or 0)
    errors = int(outliers.get("consecutive5xxErrors", 5) or 0)
    return {
        "interval": seconds(outliers.get("interval", "10s"), f"{at}.interval"),
        "base_ejection_time": seconds(outliers.get("baseEjectionTime", "30s"), f"{at}.baseEjectionTime"),
        "max_ejection_percent": int(outliers.get("maxEjectionPercent", 10)),
        "enforcing_success_rate": 0,
        "consecutive_5xx": errors or 5,
        "enforcing_consecutive_5xx": 100 if errors else 0,
        "consecutive_gateway_failure": gateway or 5,
        "enforcing_consecutive_gateway_failure": 100 if gateway else 0,
        **_apart(outliers),
    }


def _apart(outliers: Object) -> dict[str, Any]:
    """Connections that fail, where they are counted apart from what a pod answers."""
    if not outliers.get("splitExternalLocalOriginErrors"):
        return {}
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": int(outliers.get("consecutiveLocalOriginFailures") or 5),
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
    }
