"""What Prometheus is told to scrape."""

from __future__ import annotations

import re
from typing import Any

import pytest

from localcluster.prometheus import GATEWAY_STATISTICS, Settings, configuration, pod_targets


def pod(name: str = "iris-1", *, phase: str = "Running", address: str = "127.1.0.1", **more: Any) -> dict[str, Any]:
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/path": "/prometheus"}
    ports = [{"name": "http", "containerPort": 8000}, {"name": "metrics", "containerPort": 8000}]
    return {
        "metadata": {"namespace": "ml", "name": name, "annotations": more.get("annotations", annotations)},
        "spec": {"containers": [{"name": "engine", "ports": more.get("ports", ports)}]},
        "status": {"phase": phase, "podIP": address},
    }


def test_a_pod_is_scraped_at_its_port_named_metrics_with_its_namespace_and_name() -> None:
    assert pod_targets([pod()]) == [
        {
            "targets": ["127.1.0.1:8000"],
            "labels": {
                "namespace": "ml",
                "pod": "iris-1",
                "container": "engine",
                "__metrics_path__": "/prometheus",
            },
        }
    ]


@pytest.mark.parametrize(
    "unwanted",
    [pod(phase="Pending"), pod(address=""), pod(annotations={}), pod(annotations={"prometheus.io/scrape": "false"})],
)
def test_a_pod_that_does_not_run_or_does_not_ask_for_it_is_not_scraped(unwanted: dict[str, Any]) -> None:
    assert pod_targets([unwanted]) == []


def test_the_annotation_names_the_port_where_no_port_is_called_metrics() -> None:
    annotated = pod(annotations={"prometheus.io/scrape": "true", "prometheus.io/port": "6000"}, ports=[])
    (target,) = pod_targets([annotated])
    assert target["targets"] == ["127.1.0.1:6000"]
    assert target["labels"]["__metrics_path__"] == "/metrics"


def test_targets_stand_in_a_fixed_order() -> None:
    pods = [pod("b", address="127.1.0.2"), pod("a", address="127.1.0.1")]
    assert pod_targets(pods) == pod_targets(reversed(pods))


def test_the_gateway_is_there_from_the_start_and_its_metrics_have_istios_names() -> None:
    config = configuration(
        Settings(gateway_admin_port=9901, targets_file="targets.json", programs_files="program-*.json")
    )
    gateway = config["scrape_configs"][0]
    assert config["global"]["scrape_interval"] == "1000ms"
    assert gateway["static_configs"][0]["targets"] == ["127.0.0.1:9901"]
    rename = gateway["metric_relabel_configs"][0]
    name = re.fullmatch(rename["regex"], "envoy_istio_requests_total")
    assert name is not None
    assert name.group(1) == "istio_requests_total"


@pytest.mark.parametrize(
    ("statistic", "wanted"),
    [
        ("istio.requests_total.reporter.source", True),
        ("istio.request_duration_milliseconds", True),
        ("cluster.ml/iris/8000/canary.upstream_rq_503", True),
        ("cluster.ml/iris/8000.upstream_rq_5xx", True),
        ("cluster.ml/iris/8000.upstream_rq_total", True),
        ("cluster.ml/iris/8000.upstream_rq_time", False),
        ("cluster.ml/iris/8000.external.upstream_rq_200", False),
        ("http.gateway.downstream_rq_total", False),
    ],
)
def test_only_what_is_looked_at_is_scraped_from_envoy(statistic: str, wanted: bool) -> None:
    assert bool(re.search(GATEWAY_STATISTICS, statistic)) is wanted
