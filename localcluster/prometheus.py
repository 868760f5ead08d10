"""The real Prometheus for the local cluster: `python -m localcluster.prometheus`.

It scrapes the gateway as one target that is there from the start, so that no rollout waits for discovery, and pods by
the annotations `prometheus.io/scrape` and `prometheus.io/path` at their container ports named `metrics`, as upstream's
Prometheus does. Pods reach it by a file of targets. Prometheus takes up new ones in steps of 5 s that no setting
changes; measured: a new pod's series are there after 3 to 5 s.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from localcluster.client import ApiClient
from localcluster.kubeconfig import KubeconfigError
from localcluster.programs import MissingProgramError, find_prometheus
from localcluster.reflector import Reflector
from localcluster.supervise import Program, ProgramError, Supervised

Object = Mapping[str, Any]

GATEWAY_STATISTICS = (
    r"^(istio\.|cluster\.[^.]+\."
    r"(upstream_rq_(\d+|\dxx|total|retry|timeout|pending_overflow)|upstream_cx_connect_fail)$)"
)
"""Which of Envoy's statistics are scraped: Istio's metrics, and each cluster's own counts (of mirrors too)."""
UNKNOWN = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_workload",
    "destination_workload_namespace",
    "destination_app",
    "destination_version",
    "destination_canonical_service",
    "destination_canonical_revision",
)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the Prometheus configuration depends on. Seconds may be fractions."""

    gateway_admin_port: int
    targets_file: str
    programs_files: str
    """Files of targets that are no pods: a glob."""
    scrape_seconds: float = 1.0


def configuration(settings: Settings) -> dict[str, Any]:
    """The content of prometheus.yml."""
    interval = f"{round(settings.scrape_seconds * 1000)}ms"
    gateway = {
        "job_name": "gateway",
        "metrics_path": "/stats/prometheus",
        "params": {"usedonly": [""], "filter": [GATEWAY_STATISTICS]},
        "static_configs": [
            {
                "targets": [f"127.0.0.1:{settings.gateway_admin_port}"],
                "labels": {"namespace": "istio-system", "pod": "seldon-gateway"},
            }
        ],
        "metric_relabel_configs": [
            {
                "source_labels": ["__name__"],
                "regex": "envoy_(istio_.*)",
                "target_label": "__name__",
                "replacement": "$1",
            },
            *(_unknown(label) for label in UNKNOWN),
        ],
    }
    pods = {
        "job_name": "pods",
        "file_sd_configs": [{"files": [settings.targets_file], "refresh_interval": "1s"}],
        "honor_labels": False,
    }
    programs = {
        "job_name": "programs",
        "file_sd_configs": [{"files": [settings.programs_files], "refresh_interval": "1s"}],
        "honor_labels": True,
    }
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [gateway, pods, programs],
    }


def scrape_program(data_dir: Path, name: str, address: str, labels: Mapping[str, str]) -> None:
    """Have a program of a local cluster scraped at `/metrics`; its own labels go before these.

    Args:
        data_dir: the local cluster's folder.
        name: the program's, for the file.
        address: host and port.
        labels: what its series carry, such as namespace and pod.
    """
    folder = data_dir / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"program-{name}.json", orjson.dumps([{"targets": [address], "labels": dict(labels)}]))


def pod_targets(pods: Iterable[Object]) -> list[dict[str, Any]]:
    """The targets file: one entry for each container port named `metrics` of each running pod that wants scraping.

    `prometheus.io/port` names the port where no container port is called `metrics`.
    """
    found = [entry for pod in pods for entry in _targets(pod)]
    return sorted(found, key=lambda entry: str(entry["targets"]))


def _targets(pod: Object) -> list[dict[str, Any]]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    address = status.get("podIP")
    if annotations.get("prometheus.io/scrape") != "true" or not address or status.get("phase") != "Running":
        return []
    ports = [
        (container["name"], port["containerPort"])
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("name") == "metrics"
    ]
    if not ports and annotations.get("prometheus.io/port"):
        ports = [("", annotations["prometheus.io/port"])]
    labels = {"namespace": metadata["namespace"], "pod": metadata["name"]}
    path = annotations.get("prometheus.io/path") or "/metrics"
    return [
        {
            "targets": [f"{address}:{number}"],
            "labels": {**labels, "__metrics_path__": path, **({"container": container} if container else {})},
        }
        for container, number in sorted(set(ports))
    ]


def _unknown(label: str) -> dict[str, Any]:
    """Istio says `unknown` where Envoy has nothing to say; only for the metrics that have the label at all."""
    return {
        "source_labels": ["__name__", label],
        "regex": "istio_.*;-?",
        "target_label": label,
        "replacement": "unknown",
    }


def prometheus_program(binary: str, *, config: Path, data: Path, port: int, retention: str = "6h") -> Program:
    """The server as a program to keep running, on loopback, without its lifecycle and admin endpoints."""
    return Program(
        name="prometheus-server",
        argv=(
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={retention}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        ),
        ready_url=f"http://127.0.0.1:{port}/-/ready",
    )


async def serve(client: ApiClient, server: Supervised, targets_file: Path) -> None:
    """Run the server and keep its targets file in step with the pods, until cancelled."""
    pods = Reflector(client, "v1", "pods")
    try:
        _replace(targets_file, b"[]")
        await server.start()
        await server.ready()
        pods.start()
        await pods.synced()
        while True:
            pods.changed.clear()
            _replace(targets_file, orjson.dumps(pod_targets(pods.objects.values())))
            await pods.changed.wait()
    finally:
        await pods.stop()
        await server.stop()


def _replace(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)


def main() -> int:
    """Parse the arguments and work until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m localcluster.prometheus", description="Run the local Prometheus.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the cluster whose pods are scraped")
    parser.add_argument("--data-dir", type=Path, required=True, help="where its configuration and its data lie")
    parser.add_argument("--port", type=int, required=True, help="its port on 127.0.0.1")
    parser.add_argument(
        "--gateway-admin-port", type=int, required=True, help="Envoy's admin page, the gateway's metrics"
    )
    parser.add_argument("--scrape-seconds", type=float, default=1.0, help="time between two scrapes (default 1)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(_main(arguments))
    except (KubeconfigError, MissingProgramError, ProgramError) as error:
        log.error("%s", error)
        return 1
    return 0


async def _main(arguments: argparse.Namespace) -> None:
    server, targets = _server(arguments)
    async with ApiClient.from_kubeconfig(arguments.kubeconfig) as client:
        work = asyncio.create_task(serve(client, server, targets))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work


def _server(arguments: argparse.Namespace) -> tuple[Supervised, Path]:
    """Write the configuration; the server to run and the file of its targets."""
    folder: Path = arguments.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    config, targets = folder / "prometheus.yml", folder / "targets.json"
    settings = Settings(
        gateway_admin_port=arguments.gateway_admin_port,
        targets_file=str(targets),
        programs_files=str(folder / "program-*.json"),
        scrape_seconds=arguments.scrape_seconds,
    )
    config.write_text(yaml.safe_dump(configuration(settings), sort_keys=False), "utf-8")
    program = prometheus_program(find_prometheus(), config=config, data=folder / "data", port=arguments.port)
    return Supervised(program, folder / "prometheus-server.log"), targets


if __name__ == "__main__":
    sys.exit(main())
