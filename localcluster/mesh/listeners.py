"""Listeners: the ingress gateway, and one loopback address with its ports for each Service."""

from typing import Any

from localcluster.mesh.metrics import SOURCE_WORKLOAD, access_log
from localcluster.mesh.names import GATEWAY_ROUTES, ClusterKey, file_name, service_routes
from localcluster.mesh.objects import Service, ServicePort, Speech
from localcluster.mesh.policies import ENVOY

BUFFER = 32 * 1024 * 1024
"""Bytes that Envoy holds of a request to be able to repeat or mirror it: a large tensor fits."""
LISTENER = f"{ENVOY}.config.listener.v3.Listener"


def gateway_listener(port: int, *, routes_dir: str) -> dict[str, Any]:
    """The ingress gateway on 127.0.0.1; HTTP/1.1 and HTTP/2 (gRPC) on the same port."""
    manager = http_manager("gateway", GATEWAY_ROUTES, SOURCE_WORKLOAD, routes_dir=routes_dir)
    return {
        "@type": LISTENER,
        "name": "gateway",
        **_bound("127.0.0.1", port),
        "filter_chains": [{"filters": [manager]}],
    }


def service_listener(service: Service, port: ServicePort, address: str, *, routes_dir: str) -> dict[str, Any]:
    """One port of a Service's address inside the cluster: routed as HTTP, or passed on as bytes."""
    name = service_routes(service.namespace, service.name, port.number)
    if port.speech is Speech.TCP:
        target = ClusterKey(service.namespace, service.name, port.number).name
        one: dict[str, Any] = {
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": f"{ENVOY}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "service",
                "cluster": target,
            },
        }
    else:
        one = http_manager("service", name, "unknown", routes_dir=routes_dir)
    return {"@type": LISTENER, "name": name, **_bound(address, port.number), "filter_chains": [{"filters": [one]}]}


def http_manager(statistics: str, routes: str, source: str, *, routes_dir: str) -> dict[str, Any]:
    """The HTTP filter of a listener, with its route table in a file of its own."""
    path = f"{routes_dir}/{file_name(routes)}"
    source_of_routes = {"resource_api_version": "V3", "path_config_source": {"path": path}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": statistics,
            "server_name": "istio-envoy",
            "use_remote_address": True,
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "rds": {"route_config_name": routes, "config_source": source_of_routes},
            "access_log": access_log(source),
            "http_filters": http_filters(),
        },
    }


def http_filters() -> list[dict[str, Any]]:
    """What every request passes: injected faults, then the router."""
    return [
        _filter("envoy.filters.http.fault", f"{ENVOY}.extensions.filters.http.fault.v3.HTTPFault"),
        _filter("envoy.filters.http.router", f"{ENVOY}.extensions.filters.http.router.v3.Router"),
    ]


def _filter(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": kind}}


def _bound(address: str, port: int) -> dict[str, Any]:
    where = {"socket_address": {"address": address, "port_value": port}}
    return {"address": where, "per_connection_buffer_limit_bytes": BUFFER}
