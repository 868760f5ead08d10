"""How commands print: text for people, JSON and YAML for programs, names for pipes."""

import json
import os
import shutil
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml

from controller.kube.resources import Resource


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


def reference(resource: Resource, name: str) -> str:
    """Name an object as `kubectl -o name` does."""
    return f"{resource.kind.lower()}.{resource.group}/{name}"


def line(text: str) -> None:
    """Print one line, however long, as it is."""
    print(text, flush=True)


def width() -> int | None:
    """Return how many columns the terminal has; None where nobody looks."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def coloured() -> bool:
    """Say whether the terminal takes colours, and whoever looks wants them."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "unknown")
