"""Envoy's bootstrap: where its admin page is and which files it watches."""

from typing import Any

from localcluster.mesh.metrics import statistics


def bootstrap(*, admin_port: int, listeners_file: str, clusters_file: str) -> dict[str, Any]:
    """The bootstrap document. Histograms are merged when they are read, so that a scrape is never 5 s old."""
    return {
        "node": {"id": "seldon-gateway", "cluster": "local"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        "dynamic_resources": {"lds_config": _file(listeners_file), "cds_config": _file(clusters_file)},
        "stats_flush_on_admin": True,
        "stats_config": statistics(),
    }


def _file(path: str) -> dict[str, Any]:
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}
