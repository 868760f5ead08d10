"""The command lines of the cluster's own programs."""

import sys
from collections.abc import Mapping
from pathlib import Path

from localcluster.state import Addresses
from localcluster.supervise import Program


def addresses(data_dir: Path, ports: Mapping[str, int]) -> Addresses:
    """Where everything of a cluster with these ports is found."""
    return Addresses(
        data_dir=str(data_dir),
        kubeconfig=str(data_dir / "kubeconfig"),
        api_url=f"https://127.0.0.1:{ports['api']}",
        gateway_url=f"http://127.0.0.1:{ports['gateway']}",
        gateway_admin_url=f"http://127.0.0.1:{ports['gateway-admin']}",
        prometheus_url=f"http://127.0.0.1:{ports['prometheus']}",
        hosts_file=str(data_dir / "mesh" / "hosts"),
    )


def api_server(at: Addresses, *, tokens: Path) -> Program:
    """Our embedded API server, which knows the people of a token file; it writes the kubeconfig."""
    where = (
        "--data-dir",
        f"{at.data_dir}/apiserver",
        "--kubeconfig",
        at.kubeconfig,
        "--log-dir",
        f"{at.data_dir}/pods",
        "--tokens",
        str(tokens),
    )
    argv = _module("localcluster.apiserver", "--port", _port(at.api_url), *where)
    return Program(name="apiserver", argv=argv, ready_url=f"{at.api_url}/readyz", stop_timeout=5.0)


def node(at: Addresses, *, collect_garbage: bool = False, arguments: tuple[str, ...] = ()) -> Program:
    """The workload controllers and the runner of pods; with a real API server also the garbage collector."""
    where = ("--kubeconfig", at.kubeconfig, "--data-dir", f"{at.data_dir}/node", "--log-dir", f"{at.data_dir}/pods")
    more = ("--collect-garbage",) if collect_garbage else ()
    argv = _module("localcluster.node", *where, "--hosts-file", at.hosts_file, *more, *arguments)
    return Program(name="node", argv=argv, stop_timeout=15.0)


def mesh(at: Addresses) -> Program:
    """Envoy and what configures it."""
    where = ("--kubeconfig", at.kubeconfig, "--data-dir", f"{at.data_dir}/mesh")
    ports = ("--gateway-port", _port(at.gateway_url), "--admin-port", _port(at.gateway_admin_url))
    return Program(
        name="mesh", argv=_module("localcluster.mesh", *where, *ports), ready_url=f"{at.gateway_admin_url}/ready"
    )


def prometheus(at: Addresses, *, scrape_seconds: float) -> Program:
    """Prometheus and what finds its targets."""
    where = (
        "--kubeconfig",
        at.kubeconfig,
        "--data-dir",
        f"{at.data_dir}/prometheus",
        "--port",
        _port(at.prometheus_url),
    )
    gateway = ("--gateway-admin-port", _port(at.gateway_admin_url), "--scrape-seconds", str(scrape_seconds))
    return Program(
        name="prometheus",
        argv=_module("localcluster.prometheus", *where, *gateway),
        ready_url=f"{at.prometheus_url}/-/ready",
    )


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _port(url: str) -> str:
    return url.rpartition(":")[2]
