"""How commands print: text for people, JSON and YAML for programs, names for pipes."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml

from seldon_rollouts.cli.connect import CONSOLE


class Format(StrEnum):
    """What `-o` takes."""

    TEXT = "text"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="text, wide, name, json or yaml.")]


def data(output: Format, value: Any) -> bool:
    """Print a value as JSON or YAML, where that is asked for; say whether it was."""
    if output is Format.JSON:
        print(json.dumps(value, indent=2))
    elif output is Format.YAML:
        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    return output in (Format.JSON, Format.YAML)


def line(text: str) -> None:
    """Print one line, however long, without guessing at colours."""
    CONSOLE.print(text, highlight=False, soft_wrap=True, markup=False)
