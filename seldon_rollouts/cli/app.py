"""The commands, put together; every error ends in one line that says what to do."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from controller.errors import ControllerError
from localcluster.cluster import ClusterError
from seldon_rollouts import __version__
from seldon_rollouts.cli import (
    adoption,
    analysis,
    convert,
    dashboard,
    demo,
    doctor,
    install,
    local,
    plan,
    replay,
    rollouts,
    verbs,
)

app = typer.Typer(
    name="seldon-rollouts",
    help="Progressive delivery for machine-learning models on Kubernetes and Istio.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(local.app, name="local")
app.command("demo")(demo.demo)
app.command("dashboard")(dashboard.dashboard)
app.command("convert")(convert.convert)
app.command("doctor")(doctor.doctor)
app.command("install")(install.install)
app.command("plan")(plan.plan)
app.command("replay")(replay.replay)
rollouts.add_to(app)
verbs.add_to(app)
analysis.add_to(app)
adoption.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Progressive delivery for machine-learning models on Kubernetes and Istio."""


def main() -> None:
    """Run the command line; the entry point of the console scripts."""
    errors = Console(stderr=True)
    try:
        app()
    except (ControllerError, ClusterError, FileNotFoundError) as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
