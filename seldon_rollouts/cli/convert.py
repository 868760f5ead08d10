"""`seldon-rollouts convert`: manifests of others as SeldonRollouts."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.conversion import convert as converted
from seldon_rollouts.documents import documents


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("convert")(convert)


def convert(
    files: Annotated[list[Path], typer.Argument(help="YAML files, folders of them, or - for standard input.")],
) -> None:
    """Print SeldonRollouts for SeldonDeployments, Argo Rollouts (and templates), Flagger Canaries; say what is lost."""
    made = converted(_documents(files))
    notes = Console(stderr=True)
    for each in made:
        for note in each.notes:
            notes.print(f"{each.source}: {note}", highlight=False, soft_wrap=True, markup=False)
    yaml.safe_dump_all([each.rollout for each in made], sys.stdout, sort_keys=False, width=1_000_000)


def _documents(files: list[Path]) -> Iterator[dict[str, Any]]:
    try:
        for each in documents(files):
            found = each.object
            if not isinstance(found, dict) or not all(
                isinstance(found.get(key, {}), dict) for key in ("metadata", "spec")
            ):
                raise UsageError(f"{each.file}: expected Kubernetes objects, each with metadata and spec")
            yield found
    except ValueError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; expected a YAML file") from None
