"""`kubectl_complete-seldon_rollouts`: what kubectl (1.26 or newer) asks when somebody presses tab in our plugin.

It is called with the words after the plugin's name, the last being what is completed, and answers a line for each
choice, `value<tab>what it is`, and a directive: 4 is "no file names". Source: kubectl's pkg/cmd/plugin_completion.go,
cobra's ShellCompDirective.
"""

import sys
from typing import Any

from typer._click.shell_completion import CompletionItem, ShellComplete  # theirs alone knows which word is completed
from typer.main import get_command

from seldon_rollouts.cli.app import program

NO_FILES = ":4"


class _Kubectl(ShellComplete):
    name = "kubectl"
    source_template = ""

    def source_vars(self) -> dict[str, Any]:
        return {}  # kubectl has a script of its own

    def get_completion_args(self) -> tuple[list[str], str]:
        *words, incomplete = sys.argv[1:] or [""]
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.value}\t{item.help}" if item.help else str(item.value)


def main() -> None:
    """Print what the last word may become; the entry point that kubectl calls."""
    words = sys.argv[1:]
    command = get_command(program(words[0] if len(words) > 1 else ""))
    said = _Kubectl(command, {}, "kubectl seldon-rollouts", "").complete()
    print("\n".join(filter(None, (said, NO_FILES))))
