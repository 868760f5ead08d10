"""`completion`: what makes a shell complete our commands and flags."""

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script  # typer's own `--show-completion` guesses the shell

PROGRAM = "seldon-rollouts"


class Shell(StrEnum):
    """Shells that it knows."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("completion")(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print what makes a shell complete our commands, such as: source <(seldon-rollouts completion bash)"""
    variable = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
    print(get_completion_script(prog_name=PROGRAM, complete_var=variable, shell=shell.value))
