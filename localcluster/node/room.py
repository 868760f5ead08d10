"""Where pods live: what all pods of the node share (NodeRoom), and what the containers of one pod share (PodRoom)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from localcluster.client import ApiClient
from localcluster.events import Recorder
from localcluster.images import COMMAND_ANNOTATION, Catalogue
from localcluster.node import volumes
from localcluster.node.environment import ConfigError, Facts, expand, variables
from localcluster.node.paths import Mount, localize, mounts_of
from localcluster.node.process import Command
from localcluster.node.records import Records
from localcluster.objects import NotFoundError, Object

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""What a container gets of our own environment, beside the mark by which the local cluster finds its processes."""
MARKS = "SELDON_LOCAL_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the node was started."""

    data_dir: Path
    log_dir: Path
    hosts_file: Path
    node_name: str = "local"
    import_path: tuple[str, ...] = ()
    storage_root: str = ""
    catalogue: Catalogue = field(default_factory=Catalogue.default)

    def base_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """A clean environment: the few variables that programs need, and our Python first on PATH."""
        base = {name: environ[name] for name in PASSED_ON if name in environ}
        base |= {name: value for name, value in environ.items() if name.startswith(MARKS)}
        base["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
        base["PYTHONUNBUFFERED"] = "1"
        if self.storage_root:
            base["SELDON_STORAGE_ROOT"] = self.storage_root
        if self.import_path:
            base["PYTHONPATH"] = os.pathsep.join(self.import_path)
        return base


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRoom:
    """What all pods share."""

    settings: Settings
    client: ApiClient
    recorder: Recorder
    records: Records
    http: aiohttp.ClientSession


class PodRoom:
    """What the containers of one pod share: its address, its folders, its volumes."""

    def __init__(self, node: NodeRoom, pod: Object, address: str) -> None:
        self.node, self.pod, self.address = node, pod, address
        meta = pod["metadata"]
        self.folder = node.settings.data_dir / "pods" / meta["uid"]
        self.logs = node.settings.log_dir / meta["namespace"] / meta["name"]
        self._folders: dict[str, str] = {}

    @property
    def grace(self) -> float:
        """The pod's grace period, seconds."""
        value = self.pod["metadata"].get("deletionGracePeriodSeconds")
        if value is None:
            value = self.pod["spec"].get("terminationGracePeriodSeconds")
        return 30.0 if value is None else float(value)

    async def prepare(self) -> None:
        """Make the volumes. Raises ConfigError."""
        facts = await self._facts()
        self._folders = volumes.prepare(facts, self.folder / "volumes", self.node.settings.data_dir / "claims")

    async def refresh(self) -> None:
        """Bring the volumes in step with their sources. Raises ConfigError."""
        volumes.refresh(await self._facts(), self.folder / "volumes")

    async def command(self, container: Mapping[str, Any]) -> Command:
        """What to run for a container. Raises ConfigError, ImageNotFoundError."""
        name = container["name"]
        annotated = (self.pod["metadata"].get("annotations") or {}).get(COMMAND_ANNOTATION + name)
        image = self.node.settings.catalogue.resolve(container, annotated)
        own = variables(container, await self._facts())
        fixed = {
            "POD_IP": self.address,
            "HOSTNAME": self.pod["metadata"]["name"],
            "SELDON_BIND_ADDRESS": self.address,
            "SELDON_HOSTS_FILE": str(self.node.settings.hosts_file),
        }
        brought = {key: expand(value, fixed) for key, value in image.env.items()}
        env = self.node.settings.base_environment(os.environ) | brought | own | fixed
        if self.node.settings.import_path and "PYTHONPATH" in own:
            env["PYTHONPATH"] = os.pathsep.join([own["PYTHONPATH"], *self.node.settings.import_path])
        mounts = self._mounts(container)
        env = {key: localize(value, mounts) if key in own or key in brought else value for key, value in env.items()}
        words = [localize(expand(word, brought | own | fixed), mounts) for word in image.argv]
        folder = self.folder / "containers" / name
        wanted = container.get("workingDir") or ""
        inside = localize(wanted, mounts)  # any other folder of an image does not exist here
        return Command(argv=words, env=env, folder=Path(inside) if inside != wanted else folder)

    def localized(self, words: Sequence[str], container: Mapping[str, Any]) -> list[str]:
        """The words of a probe or a hook, with mount paths as folders."""
        mounts = self._mounts(container)
        return [localize(word, mounts) for word in words]

    def new_log(self, container: str) -> Path:
        """The log file for a new run of a container; the last run's is kept as `<container>.previous.log`."""
        file: Path = self.logs / f"{container}.log"
        if file.exists():
            file.replace(self.logs / f"{container}.previous.log")
        return file

    def tell(self, reason: str, message: str, *, container: str = "", warning: bool = False) -> None:
        """Record an event of this pod."""
        part = f"spec.containers{{{container}}}" if container else ""
        self.node.recorder.tell(self.pod, reason, message, warning=warning, part=part)

    def _mounts(self, container: Mapping[str, Any]) -> tuple[Mount, ...]:
        try:
            return mounts_of(container, self._folders)
        except KeyError as error:
            raise ConfigError(
                f"container {container['name']}: volumeMounts names no volume of the pod: {error}"
            ) from error

    async def _facts(self) -> Facts:
        """The pod with the ConfigMaps and Secrets that it names, read now."""
        found: dict[tuple[str, str], Object | None] = {}
        for plural, name in references(self.pod["spec"]):
            try:
                namespace = self.pod["metadata"]["namespace"]
                found[plural, name] = await self.node.client.get("v1", plural, name, namespace=namespace)
            except NotFoundError:
                found[plural, name] = None
        return Facts(pod=self.pod, address=self.address, lookup=lambda plural, name: found.get((plural, name)))


def references(spec: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The (plural, name) of every ConfigMap and Secret that a pod names in environments and volumes."""
    found: set[tuple[str, str]] = set()
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        for source in container.get("envFrom") or ():
            _note(found, source, {"configMapRef": "configmaps", "secretRef": "secrets"})
        for entry in container.get("env") or ():
            _note(found, entry.get("valueFrom") or {}, {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"})
    for volume in spec.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            _note(found, source, {"configMap": "configmaps", "secret": "secrets"})
    return found


def _note(found: set[tuple[str, str]], source: Mapping[str, Any], fields: Mapping[str, str]) -> None:
    for field_name, plural in fields.items():
        if reference := source.get(field_name):
            found.add((plural, reference.get("name") or reference.get("secretName") or ""))
