"""Volumes as folders: written when the pod starts, kept in step with labels, annotations, ConfigMaps and Secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcluster.node.environment import ConfigError, Facts, content, field, keys, resource
from localcluster.objects import Object

Files = dict[str, bytes]
LIVE = ("configMap", "secret", "downwardAPI", "projected")


def prepare(facts: Facts, root: Path, claims: Path) -> dict[str, str]:
    """Make every volume of a pod; the folder of each by name. Raises ConfigError."""
    folders: dict[str, str] = {}
    for volume in facts.pod["spec"].get("volumes") or ():
        name = volume["name"]
        folder = root / name
        if "hostPath" in volume:
            folder = Path(volume["hostPath"]["path"])
            if str(volume["hostPath"].get("type") or "").endswith("OrCreate"):
                (folder if "Directory" in volume["hostPath"]["type"] else folder.parent).mkdir(
                    parents=True, exist_ok=True
                )
            elif not folder.exists():
                raise ConfigError(f"volume {name}: hostPath {folder} does not exist on this machine")
        elif "persistentVolumeClaim" in volume:
            folder = claims / facts.pod["metadata"]["namespace"] / volume["persistentVolumeClaim"]["claimName"]
            folder.mkdir(parents=True, exist_ok=True)
        elif "emptyDir" in volume or "ephemeral" in volume:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            write(folder, files(volume, facts))
        folders[name] = str(folder)
    return folders


def refresh(facts: Facts, root: Path) -> None:
    """Write again the volumes whose sources may have changed. Raises ConfigError."""
    for volume in facts.pod["spec"].get("volumes") or ():
        if any(kind in volume for kind in LIVE):
            write(root / volume["name"], files(volume, facts))


def is_live(pod: Object) -> bool:
    """Whether a pod has volumes with sources in the API."""
    return any(kind in volume for volume in pod["spec"].get("volumes") or () for kind in LIVE)


def files(volume: Mapping[str, Any], facts: Facts) -> Files:
    """The files of a volume with sources in the API, by relative path. Raises ConfigError."""
    name = volume["name"]
    if "downwardAPI" in volume:
        return _downward(volume["downwardAPI"], facts)
    if "configMap" in volume:
        return _selected(name, "configmaps", volume["configMap"].get("name", ""), volume["configMap"], facts)
    if "secret" in volume:
        return _selected(name, "secrets", volume["secret"].get("secretName", ""), volume["secret"], facts)
    if "projected" in volume:
        found: Files = {}
        for source in volume["projected"].get("sources") or ():
            found |= _projected(name, source, facts)
        return found
    kinds = ", ".join(key for key in volume if key != "name") or "nothing"
    raise ConfigError(
        f"volume {name}: {kinds} is not available on a local node; use emptyDir, hostPath, configMap, secret, "
        "downwardAPI, projected or persistentVolumeClaim"
    )


def write(folder: Path, wanted: Files) -> None:
    """Make a folder hold exactly these files; each changed one is replaced at once, so no reader sees a part of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in wanted.items():
        target = folder / path
        if folder not in target.parents or ".." in Path(path).parts:
            raise ConfigError(f"the path {path!r} leaves its volume")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.read_bytes() == data:
            continue
        draft = target.with_name(f".{target.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        draft.replace(target)
    for present in folder.rglob("*"):
        if present.is_file() and str(present.relative_to(folder)) not in wanted:
            present.unlink()


def _downward(source: Mapping[str, Any], facts: Facts) -> Files:
    found: Files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            found[item["path"]] = field(item["fieldRef"]["fieldPath"], facts).encode()
            continue
        reference = item.get("resourceFieldRef") or {}
        chosen = [one for one in facts.pod["spec"]["containers"] if one["name"] == reference.get("containerName")]
        if not chosen:
            raise ConfigError(f"downwardAPI {item['path']}: no container is named {reference.get('containerName')!r}")
        found[item["path"]] = resource(reference, chosen[0]).encode()
    return found


def _selected(volume: str, plural: str, name: str, source: Mapping[str, Any], facts: Facts) -> Files:
    obj = facts.lookup(plural, name)
    if obj is None:
        if source.get("optional"):
            return {}
        raise ConfigError(f"volume {volume}: {plural[:-1]} {name!r} does not exist")
    items = source.get("items") or [{"key": key, "path": key} for key in keys(obj)]
    found: Files = {}
    for item in items:
        data = content(obj, item["key"])
        if data is not None:
            found[item["path"]] = data
        elif not source.get("optional"):
            raise ConfigError(f"volume {volume}: {plural[:-1]} {name!r} has no key {item['key']!r}")
    return found


def _projected(volume: str, source: Mapping[str, Any], facts: Facts) -> Files:
    if "downwardAPI" in source:
        return _downward(source["downwardAPI"], facts)
    if "configMap" in source:
        return _selected(volume, "configmaps", source["configMap"]["name"], source["configMap"], facts)
    if "secret" in source:
        return _selected(volume, "secrets", source["secret"]["name"], source["secret"], facts)
    if "serviceAccountToken" in source:
        return {}  # a local process has no identity of its own in the cluster
    raise ConfigError(f"volume {volume}: projected source {', '.join(source)} is not available on a local node")
