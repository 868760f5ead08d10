"""`seldon-rollouts local`: a Kubernetes to try things on, made of processes on this machine."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from localcluster import people, state
from localcluster.cluster import ClusterError, LocalCluster
from seldon_rollouts import local

app = typer.Typer(
    help="A local cluster: API server, node, Envoy and Prometheus as processes on this machine.", no_args_is_help=True
)


class Runtime(StrEnum):
    """Real model servers that can stand in for our own light one."""

    SELDON_CORE = "seldon-core"
    MLSERVER = "mlserver"


DataDir = Annotated[Path, typer.Option("--data-dir", help="Where the cluster keeps its files.")]
_console = Console()


def add_to(program: typer.Typer) -> None:
    """Put the commands into the program."""
    program.add_typer(app, name="local")


@app.command()
def up(
    folder: DataDir = local.DEFAULT_DIR,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep objects and metrics over a restart.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready; `down` ends it.")] = False,
    controller: Annotated[bool, typer.Option(help="Run our controller in it.")] = True,
    dashboard: Annotated[bool, typer.Option(help="Run the dashboard in it.")] = True,
    runtime: Annotated[
        Runtime | None,
        typer.Option(help="Serve models by these real servers, installed in an environment of their own."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="YAML: image name to a list of words, the local command.")] = None,
    import_path: Annotated[Path | None, typer.Option(help="Where containers find your Python classes.")] = None,
    storage_root: Annotated[Path | None, typer.Option(help="Stands in for buckets: gs://b/p is FOLDER/gs/b/p.")] = None,
) -> None:
    """Start the cluster, and print where it is."""
    flags = {
        "--runtime": runtime.value if runtime else None,
        "--images": images,
        "--import-path": import_path,
        "--storage-root": storage_root,
    }
    node = tuple(word for flag, value in flags.items() if value is not None for word in (flag, str(value)))
    if detach:
        _detach(folder, node, keep_data=keep_data, controller=controller, dashboard=dashboard)
        return
    cluster = local.cluster(
        folder, keep_data=keep_data, with_controller=controller, with_dashboard=dashboard, node_arguments=node
    )
    asyncio.run(_up(folder, cluster))


async def _up(folder: Path, cluster: LocalCluster) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with cluster:
        found = state.read(folder)
        if found is not None:
            _say(found)
        await ended.wait()


def _detach(folder: Path, node: tuple[str, ...], *, keep_data: bool, controller: bool, dashboard: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "seldon_rollouts", "local", "up", "--data-dir", str(folder)]
    argv += ["--keep-data"] if keep_data else []
    argv += [] if controller else ["--no-controller"]
    argv += [] if dashboard else ["--no-dashboard"]
    argv += node
    log = folder / "up.out"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        found = state.read(folder)
        if found is not None and found.phase == "Ready" and found.pid == process.pid:
            _say(found)
            return
        time.sleep(0.1)
    raise ClusterError(f"the local cluster did not start:\n{log.read_text(errors='replace')}")


def _say(found: state.State) -> None:
    at, dashboard = found.addresses, found.programs.get("dashboard", "").removesuffix("healthz")
    for line in (
        f"export KUBECONFIG={at.kubeconfig}",
        f"gateway     {at.gateway_url}",
        f"prometheus  {at.prometheus_url}",
        f"API server  {at.api_url}",
        *([f"dashboard   {dashboard}"] if dashboard else []),
        *(f"sign in as {name}: {token}" for name, token in people.read(Path(at.data_dir) / people.FILE).items()),
    ):
        _console.print(line, highlight=False, soft_wrap=True)


@app.command()
def status(folder: DataDir = local.DEFAULT_DIR) -> None:
    """Say whether the cluster runs, and where; ends with 1 when it does not."""
    found = state.read(folder)
    if found is None or not state.runs(folder):
        _console.print(f"no local cluster runs in {folder}", soft_wrap=True)
        raise typer.Exit(1)
    _console.print(f"{found.phase}, process {found.pid}")
    _say(found)


@app.command()
def env(folder: DataDir = local.DEFAULT_DIR) -> None:
    """Print where the cluster is as shell variables: eval "$(seldon-rollouts local env)"."""
    found = state.read(folder)
    if found is None or not state.runs(folder):
        raise ClusterError(f"no local cluster runs in {folder}; start one: seldon-rollouts local up --detach")
    at = found.addresses
    variables = {"KUBECONFIG": at.kubeconfig, "GATEWAY_URL": at.gateway_url, "PROMETHEUS_URL": at.prometheus_url}
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def down(folder: DataDir = local.DEFAULT_DIR) -> None:
    """End the cluster; what it kept with `--keep-data` stays."""
    found = state.read(folder)
    if found is None or not state.runs(folder):
        _console.print(f"no local cluster runs in {folder}", soft_wrap=True)
        return
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while state.runs(folder):
        if time.monotonic() > deadline:
            raise ClusterError(f"process {found.pid} does not end; look at {folder / 'logs'}")
        time.sleep(0.1)
    _console.print("ended")
