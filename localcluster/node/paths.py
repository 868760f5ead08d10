"""Mount paths: a container's `/mnt/models` is a folder of this machine, and its arguments must say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a container sees a volume, and which folder or file that is here."""

    path: str
    source: str


def mounts_of(container: Mapping[str, object], folders: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts of a container, longest path first; `folders` gives each volume's folder. Raises KeyError for an
    unknown volume.
    """
    mounts = []
    entries = container.get("volumeMounts") or ()
    assert isinstance(entries, Sequence)
    for entry in entries:
        folder = folders[entry["name"]]
        within = str(entry.get("subPath") or "").strip("/")
        mounts.append(Mount(entry["mountPath"].rstrip("/") or "/", f"{folder}/{within}" if within else folder))
    return tuple(sorted(mounts, key=lambda mount: -len(mount.path)))


def localize(text: str, mounts: Iterable[Mount]) -> str:
    """Replace mount paths by folders, only where a path begins: at the start, after `=`, `:`, a quote, a space, or as
    the path of a `file://` URI. `gs://bucket/mnt/models` and `/mnt/models-old` stay as they are.
    """
    chosen = {mount.path: mount.source for mount in mounts if mount.path != "/"}
    if not chosen:
        return text
    paths = "|".join(re.escape(path) for path in sorted(chosen, key=len, reverse=True))
    pattern = rf"(?:(?<=file://)|(?<![\w./\-]))(?:{paths})(?![\w.\-])"
    return re.sub(pattern, lambda found: chosen[found.group()], text)
