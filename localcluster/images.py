"""The image catalogue: which local command stands for a container image."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMMAND_ANNOTATION = "local.rollouts.seldon.io/command."
PYTHON = "{python}"
"""In a command: the Python interpreter that we run on."""
NODE = (PYTHON, "-m", "orchestrator.node")
ORCHESTRATOR = (PYTHON, "-m", "orchestrator")
STORAGE = (PYTHON, "-m", "orchestrator.node.storage")
SERVERS = {
    "sklearnserver": (*NODE, "orchestrator.node.sklearnserver.SKLearnServer"),
    "xgboostserver": (*NODE, "orchestrator.node.xgboostserver.XGBoostServer"),
    "mlflowserver": (*NODE, "orchestrator.node.mlflowserver.MLFlowServer"),
}
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "seldonio/rollouts-orchestrator": ORCHESTRATOR,
    "seldonio/rollouts-node": NODE,
    "seldonio/rollouts-storage-initializer": STORAGE,
    **{f"seldonio/rollouts-{name}": command for name, command in SERVERS.items()},
    "seldonio/seldon-core-executor": ORCHESTRATOR,
    "seldonio/rclone-storage-initializer": STORAGE,
    "seldonio/storage-initializer": STORAGE,
    "kfserving/storage-initializer": STORAGE,
    **{f"seldonio/{name}": command for name, command in SERVERS.items()},
    # Tools that every machine has: the container's own command runs as it is written.
    "busybox": (),
    "alpine": (),
    "python": (),
}


class ImageNotFoundError(Exception):
    """No local command stands for an image; the message says how to give it one."""


class CatalogueError(ValueError):
    """A catalogue file cannot be used; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Commands by image name, without tag and digest; an entry also covers the images below it (`name/...`)."""

    commands: Mapping[str, tuple[str, ...]]

    @classmethod
    def default(cls) -> Catalogue:
        """Our images and upstream's."""
        return cls(BUILT_IN)

    def extended(self, more: Mapping[str, tuple[str, ...]]) -> Catalogue:
        """With entries added or replaced."""
        return Catalogue({**self.commands, **more})

    def find(self, image: str) -> tuple[str, ...] | None:
        """The command of the longest entry that covers an image, None when there is none."""
        name = repository(image)
        parts = name.split("/")
        for length in range(len(parts), 0, -1):
            for candidate in ("/".join(parts[:length]), "/".join(parts[:length]).removeprefix("docker.io/")):
                if candidate in self.commands:
                    return self.commands[candidate]
        return None

    def argv(self, container: Mapping[str, Any], annotated: str | None) -> list[str]:
        """The words to run for a container: the annotated command line, else the image's with the container's own
        `command` and `args` in Kubernetes' sense. Raises ImageNotFoundError.
        """
        name, image = container["name"], container.get("image") or ""
        if annotated is not None:
            import shlex

            try:
                words = shlex.split(annotated)
            except ValueError as error:
                raise ImageNotFoundError(f"annotation {COMMAND_ANNOTATION}{name}: {error}: {annotated!r}") from error
            return [*words, *(container.get("args") or ())]
        found = self.find(image)
        command, args = list(container.get("command") or ()), list(container.get("args") or ())
        if found is None or not (found or command or args):
            raise ImageNotFoundError(missing(name, image))
        words = [*command, *args] if command else [*found, *args]
        return [
            sys.executable if word in (PYTHON, "python", "python3") and index == 0 else word
            for index, word in enumerate(words)
        ]


def missing(container: str, image: str) -> str:
    """What to do about an image that is not in the catalogue."""
    return (
        f"no local command is known for image {image!r} of container {container!r}: annotate the pod template with "
        f"{COMMAND_ANNOTATION}{container}: <command line>, or start the local cluster with --images FILE.yaml that has "
        f"the line `{repository(image) or 'NAME'}: [program, argument, ...]`"
    )


def repository(image: str) -> str:
    """An image name without tag and digest: `host:5000/a/b:1@sha256:...` is `host:5000/a/b`."""
    return re.sub(r":[\w][\w.\-]*$", "", image.partition("@")[0])


def read(file: Path) -> dict[str, tuple[str, ...]]:
    """A catalogue file: a YAML mapping of image name to a list of words. Raises CatalogueError."""
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CatalogueError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CatalogueError(f"{file}: expected a mapping of image names to lists of words")
    entries = {}
    for image, words in content.items():
        if not isinstance(words, list) or not words:
            raise CatalogueError(
                f"{file}: {image}: expected a list of words such as [python, -m, module], got {words!r}"
            )
        entries[repository(str(image))] = tuple(str(word) for word in words)
    return entries
