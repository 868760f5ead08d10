"""`seldon-rollouts install`: the manifests for one installation, to be looked at and applied."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml

from seldon_rollouts import data
from seldon_rollouts.bundle import GATEWAY, PROMETHEUS, Installation, bundle
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
    pod_monitors: Annotated[bool, typer.Option(help="The Prometheus operator is there.")] = True,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="The dashboard, too.")] = False,
) -> None:
    """Print the manifests of an installation: seldon-rollouts install | kubectl apply --server-side -f -"""
    if not prometheus_url.startswith(("http://", "https://")):
        raise UsageError(f"--prometheus-url {prometheus_url!r}: expected http://HOST:PORT or https://HOST")
    if gateway.count("/") != 1:
        raise UsageError(f"--gateway {gateway!r}: expected namespace/name, such as istio-system/seldon-gateway")
    wanted = Installation(
        controllers=controllers.value,
        prometheus_url=prometheus_url,
        gateway=gateway,
        registry=registry,
        pod_monitors=pod_monitors,
        dashboard=dashboard,
    )
    yaml.safe_dump_all(bundle(documents(dashboard=dashboard), wanted), sys.stdout, sort_keys=False, width=1_000_000)


def documents(*, dashboard: bool) -> list[dict[str, Any]]:
    """Return what we ship, as it stands in the files that the base names."""
    manifests, crds = data.folder("manifests"), data.folder("crds")
    folders = [crds, manifests / "base", *([manifests / "dashboard"] if dashboard else [])]
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8")) if each]
