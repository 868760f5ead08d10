"""Where a prepackaged server finds its model's files."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.node.errors import StartError
from orchestrator.node.storage import StorageError, fetch


def local(uri: str) -> Path:
    """The folder of a model URI, downloaded where it is not on this machine.

    Raises:
        StartError: it cannot be had.
    """
    if "://" not in uri and Path(uri).exists():
        return Path(uri)
    try:
        folder = Path(tempfile.mkdtemp(prefix="model-"))
        fetch(uri, folder, os.environ)
    except StorageError as error:
        raise StartError(f"parameter model_uri: {error}") from error
    return folder


def found(folder: Path, names: Sequence[str]) -> Path:
    """The first of some files that is in a folder; a folder may also be such a file itself.

    Raises:
        StartError: none is.
    """
    if folder.is_file():
        return folder
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = ", ".join(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else "no such folder"
    raise StartError(
        f"parameter model_uri: {str(folder)!r} has none of {', '.join(names)}; it has: {there or 'nothing'}"
    )


def described(folder: Path) -> dict[str, Any]:
    """What `metadata.yaml` in a model's folder says; nothing when there is none.

    Raises:
        StartError: it is no YAML object.
    """
    file = folder / "metadata.yaml"
    if not file.is_file():
        return {}
    import yaml  # rarely needed: not worth its memory otherwise

    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise StartError(f"{str(file)!r} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise StartError(f"{str(file)!r} must hold an object")
    return said
