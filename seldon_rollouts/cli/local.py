"""`seldon-rollouts local`: a Kubernetes to try things on, made of processes on this machine."""

import asyncio
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from localcluster import control, images, people, state
from localcluster.cluster import ClusterError
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


def _catalogue(file: Path | None) -> Path | None:
    """Read the images now: the node, which needs them, starts when the cluster is half there."""
    try:
        if file is not None:
            images.read(file)
    except images.CatalogueError as error:
        raise typer.BadParameter(str(error)) from None
    return file


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
    catalogue: Annotated[
        Path | None,
        typer.Option("--images", callback=_catalogue, help="YAML: image name to a list of words, the local command."),
    ] = None,
    import_path: Annotated[
        Path | None, typer.Option(help="Where containers find your Python classes.", exists=True, file_okay=False)
    ] = None,
    storage_root: Annotated[
        Path | None,
        typer.Option(help="Stands in for buckets: gs://b/p is FOLDER/gs/b/p.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Start the cluster, and print where it is."""
    flags = {
        "--runtime": runtime.value if runtime else None,
        "--images": catalogue,
        "--import-path": import_path,
        "--storage-root": storage_root,
    }
    node = tuple(word for flag, value in flags.items() if value is not None for word in (flag, str(value)))
    if detach:
        argv = _detached(folder, node, keep_data=keep_data, controller=controller, dashboard=dashboard)
        _say(asyncio.run(control.detach(argv, folder)))
        return
    cluster = local.cluster(
        folder, keep_data=keep_data, with_controller=controller, with_dashboard=dashboard, node_arguments=node
    )

    def ready(_: state.Addresses) -> None:
        if (found := state.read(folder)) is not None:
            _say(found)

    asyncio.run(control.serve(cluster, ready))


def _detached(folder: Path, node: tuple[str, ...], *, keep_data: bool, controller: bool, dashboard: bool) -> list[str]:
    argv = [sys.executable, "-m", "seldon_rollouts", "local", "up", "--data-dir", str(folder)]
    argv += ["--keep-data"] if keep_data else []
    argv += [] if controller else ["--no-controller"]
    argv += [] if dashboard else ["--no-dashboard"]
    return [*argv, *node]


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
    ended = asyncio.run(control.down(folder))
    _console.print("ended" if ended else f"no local cluster runs in {folder}", soft_wrap=True)
