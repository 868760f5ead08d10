"""Metrics with the names and labels of Istio's standard metrics, from Envoy's statistics access logger.

Envoy names them `envoy_istio_requests_total` and so on; the Prometheus configuration takes the prefix off and turns the
`-` of an empty value into Istio's `unknown` (`localcluster/prometheus.py`). Durations are whole milliseconds, as there.
"""

from functools import cache
from typing import Any

from localcluster.mesh.clusters import METADATA
from localcluster.mesh.policies import ENVOY

SOURCE_WORKLOAD = "seldon-gateway"
BUCKETS = [
    0.5,
    1,
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1000,
    2500,
    5000,
    10000,
    30000,
    60000,
    300000,
    600000,
    1800000,
    3600000,
]
"""Upper bounds of the histograms, in milliseconds or bytes: Istio's."""


@cache
def access_log(source: str) -> list[dict[str, Any]]:
    """The access loggers of a listener; `source` is the workload that the requests come from, as far as it is known.

    The same list each time: thousands of listeners share it, and nobody changes it.
    """
    grpc = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    plain = {"header_filter": {"header": {**grpc["header_filter"]["header"], "invert_match": True, **_EMPTY}}}
    return [_logger("http", source, plain), _logger("grpc", source, grpc)]


_EMPTY = {"treat_missing_header_as_empty": True}


def statistics() -> dict[str, Any]:
    """`stats_config` of the bootstrap: the histograms' buckets."""
    return {"histogram_bucket_settings": [{"match": {"safe_regex": {"regex": ".*"}}, "buckets": BUCKETS}]}


def _logger(protocol: str, source: str, wanted: dict[str, Any]) -> dict[str, Any]:
    tags = [{"name": name, "value_format": value} for name, value in _labels(protocol, source).items()]
    duration = {"name": "request_duration_milliseconds", "tags": tags}
    return {
        "name": "envoy.access_loggers.stats",
        "filter": wanted,
        "typed_config": {
            "@type": f"{ENVOY}.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "istio",  # `stats_scope` would follow it, and older Envoys do not know that
            "counters": [{"stat": {"name": "requests_total", "tags": tags}, "value_fixed": 1}],
            "histograms": [{"stat": duration, "unit": "Milliseconds", "value_format": "%DURATION%"}],
        },
    }


def _labels(protocol: str, source: str) -> dict[str, str]:
    return {
        "reporter": "source",
        "source_workload": source,
        "source_workload_namespace": "istio-system" if source == SOURCE_WORKLOAD else "unknown",
        "destination_service": f"%CLUSTER_METADATA({METADATA}:service)%",
        "destination_service_name": f"%CLUSTER_METADATA({METADATA}:service_name)%",
        "destination_service_namespace": f"%CLUSTER_METADATA({METADATA}:service_namespace)%",
        "destination_workload": f"%UPSTREAM_METADATA({METADATA}:workload)%",
        "destination_workload_namespace": f"%UPSTREAM_METADATA({METADATA}:workload_namespace)%",
        "destination_app": f"%UPSTREAM_METADATA({METADATA}:app)%",
        "destination_version": f"%UPSTREAM_METADATA({METADATA}:version)%",
        "destination_canonical_service": f"%UPSTREAM_METADATA({METADATA}:canonical_service)%",
        "destination_canonical_revision": f"%UPSTREAM_METADATA({METADATA}:canonical_revision)%",
        "request_protocol": protocol,
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
    } | ({"grpc_response_status": "%GRPC_STATUS_NUMBER%"} if protocol == "grpc" else {})
