"""`seldon-rollouts install`: the manifests for one installation, to be looked at and applied."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from seldon_rollouts import data
from seldon_rollouts.bundle import GATEWAY, PROMETHEUS, Installation, bundle
from seldon_rollouts.bundle import grafana as grafana_dashboards
from seldon_rollouts.cli.connect import UsageError


class Controllers(StrEnum):
    """Which controllers are installed."""

    BOTH = "both"
    OPERATOR = "operator"
    ROLLOUT = "rollout"


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("install")(install)


def install(
    controllers: Annotated[
        Controllers, typer.Option(help="rollout: beside a Seldon Core v1 operator that is there already.")
    ] = Controllers.BOTH,
    prometheus_url: Annotated[str, typer.Option(help="Where the judge reads.")] = PROMETHEUS,
    gateway: Annotated[str, typer.Option(help="The Istio Gateway, as namespace/name.")] = GATEWAY,
    registry: Annotated[str, typer.Option(help="Where the images are; Docker Hub when absent.")] = "",
    prometheus_secret: Annotated[
        str, typer.Option(help="The Secret of seldon-system with what Prometheus asks for: token, ca.crt, ...")
    ] = "",
    pod_monitors: Annotated[bool, typer.Option(help="The Prometheus operator is there.")] = True,
    service_monitor: Annotated[
        bool, typer.Option("--service-monitor", help="A ServiceMonitor for the controller, not a PodMonitor.")
    ] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Alerts, as a PrometheusRule.")] = False,
    grafana: Annotated[
        bool, typer.Option("--grafana", help="Dashboards, in a ConfigMap that Grafana's sidecar finds.")
    ] = False,
    monitoring_label: Annotated[
        list[str] | None,
        typer.Option(help="A label, as name=value, that your Prometheus or Grafana chooses by; again for more."),
    ] = None,
    webhooks: Annotated[
        bool, typer.Option("--webhooks", help="What is wrong with an object is said when it is applied.")
    ] = False,
    notifications: Annotated[
        bool, typer.Option("--notifications", help="Tell people; the Secret seldon-rollouts-notifications says whom.")
    ] = False,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="The dashboard, too.")] = False,
) -> None:
    """Print the manifests of an installation: seldon-rollouts install | kubectl apply --server-side -f -"""
    if not prometheus_url.startswith(("http://", "https://")):
        raise UsageError(f"--prometheus-url {prometheus_url!r}: expected http://HOST:PORT or https://HOST")
    if gateway.count("/") != 1:
        raise UsageError(f"--gateway {gateway!r}: expected namespace/name, such as istio-system/seldon-gateway")
    if not pod_monitors and (rules or service_monitor):
        raise UsageError("--no-pod-monitors: without the Prometheus operator leave out --rules and --service-monitor")
    wanted = Installation(
        controllers=controllers.value,
        prometheus_url=prometheus_url,
        prometheus_secret=prometheus_secret,
        gateway=gateway,
        registry=registry,
        pod_monitors=pod_monitors,
        service_monitor=service_monitor,
        rules=rules,
        grafana=grafana,
        monitoring_labels=dict(map(_label, monitoring_label or ())),
        webhooks=webhooks,
        notifications=notifications,
        dashboard=dashboard,
    )
    if pod_monitors:
        print("with PodMonitors for the Prometheus operator; where there is none: --no-pod-monitors", file=sys.stderr)
    yaml.safe_dump_all(bundle(documents(wanted), wanted), sys.stdout, sort_keys=False, width=1_000_000)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"--monitoring-label {text!r}: expected name=value, such as release=prometheus")
    return name, value


def documents(wanted: Installation) -> list[dict[str, Any]]:
    """Return what we ship of an installation, as it stands in the files that the base and the components name."""
    manifests = data.folder("manifests")
    monitoring, webhook = manifests / "components" / "monitoring", manifests / "components" / "webhook"
    places = (
        (True, data.folder("crds"), "*.yaml"),
        (True, manifests / "base", "*.yaml"),
        (wanted.webhooks, webhook, "*.yaml"),
        (wanted.rules, monitoring, "prometheus-rule.yaml"),
        (wanted.dashboard, manifests / "dashboard", "*.yaml"),
    )
    files = [path for use, folder, names in places if use for path in sorted(folder.glob(names))]
    files = [path for path in files if path.name != "kustomization.yaml"]
    found = [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8")) if each]
    return [*found, *([grafana_dashboards(_dashboards(monitoring / "grafana"))] if wanted.grafana else [])]


def _dashboards(folder: Path) -> dict[str, str]:
    names = {"rollouts.json": "seldon-rollouts.json", "models.json": "seldon-rollouts-models.json"}
    return {name: (folder / file).read_text("utf-8") for file, name in names.items()}
