"""`seldon-rollouts convert`: manifests of others as SeldonRollouts."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.conversion import convert as converted


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("convert")(convert)


def convert(
    files: Annotated[list[Path], typer.Argument(help="YAML files; - for standard input.")],
) -> None:
    """Print SeldonRollouts for SeldonDeployments, Argo Rollouts (and templates), Flagger Canaries; say what is lost."""
    made = converted([each for file in files for each in _documents(file)])
    notes = Console(stderr=True)
    for each in made:
        for note in each.notes:
            notes.print(f"{each.source}: {note}", highlight=False, soft_wrap=True, markup=False)
    yaml.safe_dump_all([each.rollout for each in made], sys.stdout, sort_keys=False, width=1_000_000)


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        found = [each for each in yaml.safe_load_all(text) if each]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f":{place.line + 1}" if place is not None else ""
        raise UsageError(f"{file}{line}: {getattr(error, 'problem', None) or 'expected YAML'}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: expected YAML in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; expected a YAML file") from None
    every = [
        item
        for each in found
        for item in (each.get("items") or () if isinstance(each, dict) and each.get("kind") == "List" else [each])
    ]
    for each in every:
        if not isinstance(each, dict) or not all(isinstance(each.get(key, {}), dict) for key in ("metadata", "spec")):
            raise UsageError(f"{file}: expected Kubernetes objects, each with metadata and spec")
    return every
