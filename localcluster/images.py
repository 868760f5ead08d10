"""The image catalogue: which local command stands for a container image."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

COMMAND_ANNOTATION = "local.rollouts.seldon.io/command."
PYTHONS = ("python", "python3")
"""As the first word of a command: the Python interpreter that we run on."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an image is here: the words of its entry point, and the environment that it brings along.

    Both may name variables of the container as `$(NAME)`.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


NODE = ("python", "-m", "orchestrator.node")
ORCHESTRATOR = Image(("python", "-m", "orchestrator"))
STORAGE = Image(("python", "-m", "orchestrator.node.storage"))
SERVERS = {
    "sklearnserver": "orchestrator.node.sklearnserver.SKLearnServer",
    "xgboostserver": "orchestrator.node.xgboostserver.XGBoostServer",
    "mlflowserver": "orchestrator.node.mlflowserver.MLFlowServer",
}
BUILT_IN: Mapping[str, Image] = {
    "seldonio/rollouts-orchestrator": ORCHESTRATOR,
    "seldonio/rollouts-node": Image(NODE),
    "seldonio/rollouts-storage-initializer": STORAGE,
    **{f"seldonio/rollouts-{name}": Image((*NODE, served)) for name, served in SERVERS.items()},
    "seldonio/seldon-core-executor": ORCHESTRATOR,
    "seldonio/rclone-storage-initializer": STORAGE,
    "seldonio/storage-initializer": STORAGE,
    "kfserving/storage-initializer": STORAGE,
    **{f"seldonio/{name}": Image((*NODE, served)) for name, served in SERVERS.items()},
    # Tools that every machine has: the container's own command runs as it is written.
    "busybox": Image(()),
    "alpine": Image(()),
    "python": Image(()),
}


class ImageNotFoundError(Exception):
    """No local command stands for an image; the message says how to give it one."""


class CatalogueError(ValueError):
    """A catalogue file cannot be used; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Commands by image name, without tag and digest; an entry also covers the images below it (`name/...`)."""

    images: Mapping[str, Image]

    @classmethod
    def default(cls) -> Catalogue:
        """Our images and upstream's."""
        return cls(BUILT_IN)

    def extended(self, more: Mapping[str, Image]) -> Catalogue:
        """With entries added or replaced."""
        return Catalogue({**self.images, **more})

    def find(self, image: str) -> Image | None:
        """The longest entry that covers an image, None when there is none."""
        parts = repository(image).removeprefix("docker.io/").removeprefix("library/").split("/")
        for length in range(len(parts), 0, -1):
            if found := self.images.get("/".join(parts[:length])):
                return found
        return None

    def resolve(self, container: Mapping[str, Any], annotated: str | None) -> Image:
        """What to run for a container: the annotated command line, else the image's entry point with the container's
        own `command` and `args` in Kubernetes' sense. Raises ImageNotFoundError.
        """
        name, image = container["name"], container.get("image") or ""
        command, args = tuple(container.get("command") or ()), tuple(container.get("args") or ())
        found = self.find(image)
        if annotated is not None:
            try:
                command, found = tuple(shlex.split(annotated)), found or Image(())
            except ValueError as error:
                raise ImageNotFoundError(f"annotation {COMMAND_ANNOTATION}{name}: {error}: {annotated!r}") from error
        if found is None or not (found.argv or command or args):
            raise ImageNotFoundError(missing(name, image))
        words = (*(command or found.argv), *args)
        return Image((sys.executable, *words[1:]) if words[0] in PYTHONS else words, found.env)


def missing(container: str, image: str) -> str:
    """What to do about an image that is not in the catalogue."""
    name = repository(image) or "NAME"
    served = "start the local cluster with --runtime mlserver, or " if name.endswith("seldonio/mlserver") else ""
    return (
        f"no local command is known for image {image!r} of container {container!r}: {served}annotate the pod template "
        f"with {COMMAND_ANNOTATION}{container}: <command line>, or start the local cluster with --images FILE.yaml "
        f"that has the line `{name}: [program, argument, ...]`"
    )


def repository(image: str) -> str:
    """An image name without tag and digest: `host:5000/a/b:1@sha256:...` is `host:5000/a/b`."""
    return re.sub(r":[\w][\w.\-]*$", "", image.partition("@")[0])


def read(file: Path) -> dict[str, Image]:
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
        entries[repository(str(image))] = Image(tuple(str(word) for word in words))
    return entries
