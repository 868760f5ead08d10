"""The local cluster with our controller in it: where the rooms are put together."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.cluster import LocalCluster, Options
from localcluster.ports import free_ports
from localcluster.prometheus import scrape_program
from localcluster.state import Addresses
from localcluster.supervise import Program
from seldon_rollouts import data

PEOPLE = {"editor": ("seldon-rollouts-view", "seldon-rollouts-edit"), "viewer": ("seldon-rollouts-view",)}
"""Users of the local cluster beside its administrator, and the ClusterRoles of each."""
DEFAULT_DIR = Path.home() / ".local" / "share" / "seldon-rollouts" / "local"


@dataclass(frozen=True)
class Pace:
    """How often who looks, in seconds."""

    tick: float = 2.0
    """Between two looks of the judge."""
    settle: float = 2.0
    """How old a moment is when it is read; more than a scrape takes."""
    scrape: float = 1.0
    """Between two visits of Prometheus at the gateway and the pods."""


USUAL = Pace()


def controller(
    at: Addresses,
    pace: Pace = USUAL,
    *,
    controllers: str = "operator,rollout,analysis",
) -> Program:
    """Return the controller as a program of the local cluster, whose Prometheus scrapes it."""
    port = free_ports(("controller",), {})["controller"]
    labels = {"namespace": "seldon-system", "pod": "seldon-rollouts-controller"}
    scrape_program(Path(at.data_dir), "controller", f"127.0.0.1:{port}", labels)
    argv = (
        sys.executable, "-m", "controller",
        "--kubeconfig", at.kubeconfig,
        "--prometheus-url", at.prometheus_url,
        "--tick", f"{pace.tick:g}s",
        "--settle", f"{pace.settle:g}s",
        "--controllers", controllers,
        "--leader-elect",
        "--listen", f"127.0.0.1:{port}",
    )  # fmt: skip
    return Program(name="controller", argv=argv, ready_url=f"http://127.0.0.1:{port}/readyz", ready_timeout=60)


def dashboard(at: Addresses) -> Program:
    """Return the dashboard as a program of the local cluster; its `ready_url` starts with where it is."""
    port = free_ports(("dashboard",), {})["dashboard"]
    argv = (
        sys.executable, "-m", "seldon_rollouts", "dashboard",
        "--kubeconfig", at.kubeconfig,
        "--prometheus-url", at.prometheus_url,
        "--port", str(port),
    )  # fmt: skip
    return Program(name="dashboard", argv=argv, ready_url=f"http://127.0.0.1:{port}/healthz")


def dashboard_url(cluster: LocalCluster) -> str:
    """Return where the dashboard of a running cluster is; empty when it has none."""
    program = cluster.programs.get("dashboard")
    return program.program.ready_url.removesuffix("healthz") if program else ""


def cluster(
    folder: Path,
    *,
    keep_data: bool = False,
    pace: Pace = USUAL,
    with_controller: bool = True,
    with_dashboard: bool = False,
    real_api_server: bool = False,
    node_arguments: tuple[str, ...] = (),
) -> LocalCluster:
    """Return a local cluster with our definitions installed and the controller running in it.

    Args:
        folder: where it keeps its files.
        keep_data: whether they survive `down`.
        pace: how often Prometheus and the judge look.
        with_controller: whether the controller runs as part of it.
        with_dashboard: whether the dashboard does.
        real_api_server: use the kube-apiserver and etcd that KUBEBUILDER_ASSETS names.
        node_arguments: more flags for the runner of pods.
    """

    def extra(at: Addresses) -> Iterable[Program]:
        programs = [controller(at, pace)] if with_controller else []
        return [*programs, *([dashboard(at)] if with_dashboard else [])]

    options = Options(
        crds=(data.folder("crds"),),
        roles=(data.folder("manifests") / "base" / "rbac-people.yaml",),
        people=PEOPLE,
        extra=extra,
        scrape_seconds=pace.scrape,
        keep_data=keep_data,
        api_server="real" if real_api_server else "embedded",
        node_arguments=node_arguments,
    )
    return LocalCluster(folder, options)
