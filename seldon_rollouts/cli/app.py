"""The commands, put together; every error ends in one line that says what to do."""

import gc
import os
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from controller.errors import ControllerError, plain
from seldon_rollouts import __version__

ROOMS = {
    "local": ("local",),
    "demo": ("demo",),
    "listing": ("list",),
    "rollouts": ("get", "status", "history", "explain", "diff"),
    "verbs": (
        "promote", "promote-full", "skip", "pause", "resume", "abort", "retry", "restart", "pass", "fail", "approve",
        "rollback",
    ),
    "plan": ("plan",),
    "replay": ("replay",),
    "analysis": ("analyze", "lint"),
    "convert": ("convert",),
    "adoption": ("adopt",),
    "leaving": ("leave",),
    "install": ("install",),
    "doctor": ("doctor",),
    "dashboard": ("dashboard",),
    "completion": ("completion",),
    "version": ("version",),
}  # fmt: skip
"""Which module has which commands: only that of the command that is asked for is loaded, so that it answers at once."""

UNANSWERED = {"analyze": 4, "replay": 4, "status": 4}
"""The commands of which 1 is an answer, Failed or Bad or rolled back, and with what an error of theirs ends."""


class Commands(TyperGroup):
    """The commands. Typer reads values by pydantic, which puts a word of its own before a sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Read what is left of the command line, and run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise


def program(first: str = "") -> typer.Typer:
    """Return the program as far as it is needed.

    Args:
        first: the first word that it is called with; all commands are loaded when it is none of them.
    """
    app = typer.Typer(
        name="seldon-rollouts",
        cls=Commands,
        help="Progressive delivery for machine-learning models on Kubernetes and Istio.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(root)
    rooms = [room for room, names in ROOMS.items() if first in names] or list(ROOMS)
    for room in [] if first == "--version" else rooms:
        import_module(f"seldon_rollouts.cli.{room}").add_to(app)
    return app


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Progressive delivery for machine-learning models on Kubernetes and Istio."""


def main() -> None:
    """Run the command line; the entry point of the console scripts."""
    gc.set_threshold(100_000, 20, 20)  # a command makes much, drops little, and ends soon
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        program(first)()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read has read enough, as in `list -A | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if not isinstance(error, _told()):
            if first not in UNANSWERED:
                raise
            traceback.print_exception(error)
            sys.exit(UNANSWERED[first])
        typer.secho("error:", fg="red", err=True, nl=False)
        print(f" {error}", file=sys.stderr)
        if hint := _advice(error):
            print(hint, file=sys.stderr)
        sys.exit(UNANSWERED.get(first, 1))


def _advice(error: Exception) -> str:
    """Return what to do about an answer of the API server; only a command that asked it has loaded what knows."""
    if "controller.kube.errors" not in sys.modules:
        return ""
    from seldon_rollouts.cli.advice import advice

    return advice(error)


def _told() -> tuple[type[Exception], ...]:
    """Return the errors whose text says what to do; the local cluster's only where it was loaded."""
    known: tuple[type[Exception], ...] = (ControllerError, OSError)
    cluster = sys.modules.get("localcluster.cluster")
    return (*known, cluster.ClusterError) if cluster is not None else known
