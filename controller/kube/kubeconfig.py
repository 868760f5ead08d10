"""Kubeconfigs: files merged as kubectl merges them, and what their context says.

A context that says all itself is read here, since importing the client library costs half a second. One that asks
somebody else who we are (`exec`, `auth-provider`), or says what this file does not know, is the library's to read.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Entry = dict[str, Any]
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CLUSTER = {
    "server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name",
    "proxy-url", "extensions", "disable-compression",
}  # fmt: skip
_USER = {
    "token", "tokenFile", "username", "password", "client-certificate", "client-certificate-data", "client-key",
    "client-key-data", "extensions",
}  # fmt: skip


class KubeconfigError(ValueError):
    """The files cannot be used; the text says why, and shows nothing of what stands in them but names."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plain:
    """What a context says that asks nobody else. Certificates and keys are PEM."""

    server: str
    authorization: str | None = None
    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Chosen:
    """A context, and what it leads to, each with the folder that its relative paths begin in."""

    name: str
    namespace: str | None
    cluster: Entry
    cluster_folder: Path
    user: Entry = field(default_factory=dict)
    user_folder: Path = Path()


def chosen(paths: str, context: str | None) -> Chosen:
    """Return the context that is meant, of files merged as kubectl does: the first that says something is right.

    Args:
        paths: one path, or several with the system's separator; what does not exist is passed over.
        context: its name; the current one when absent.

    Raises:
        KubeconfigError: a file cannot be read, or there is no such context, cluster or user.
    """
    files = list(_files(paths))
    if not files:
        raise KubeconfigError(f"{paths!r} is not a file; expected a kubeconfig (--kubeconfig, KUBECONFIG)")
    name = context or next((str(each["current-context"]) for _, each in files if each.get("current-context")), "")
    contexts = _entries(files, "contexts", "context")
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        said = f"there is no context {name!r}" if name else "no current-context is set"
        raise KubeconfigError(f"{paths!r}: {said}; name one with --context. There are: {known}")
    _, current = contexts[name]
    clusters, users = _entries(files, "clusters", "cluster"), _entries(files, "users", "user")
    cluster, user = str(current.get("cluster") or ""), str(current.get("user") or "")
    if cluster not in clusters:
        raise KubeconfigError(f"{paths!r}: context {name!r} names cluster {cluster!r}, which is not in clusters")
    folder, found = clusters[cluster]
    users_folder, account = users.get(user, (Path(), {}))
    return Chosen(
        name=name,
        namespace=str(current.get("namespace") or "") or None,
        cluster=found,
        cluster_folder=folder,
        user=account,
        user_folder=users_folder,
    )


def contexts(paths: str) -> list[str]:
    """Return the names of the contexts of some files.

    Raises:
        KubeconfigError: a file cannot be read.
    """
    return list(_entries(list(_files(paths)), "contexts", "context"))


def plain(found: Chosen) -> Plain | None:
    """Return what a context says; None where the library has to read it.

    Raises:
        OSError: a file that it names cannot be read.
        ValueError: what should be base64 is not.
    """
    cluster, user = found.cluster, found.user
    if not cluster.keys() <= _CLUSTER or not user.keys() <= _USER or not isinstance(cluster.get("server"), str):
        return None
    return Plain(
        server=cluster["server"].rstrip("/"),
        authorization=_authorization(user, found.user_folder),
        authority=_material(cluster, "certificate-authority", found.cluster_folder),
        certificate=_material(user, "client-certificate", found.user_folder),
        key=_material(user, "client-key", found.user_folder),
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name") or None,
        proxy=cluster.get("proxy-url") or None,
    )


def _authorization(user: Mapping[str, Any], folder: Path) -> str | None:
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = (folder / str(user["tokenFile"])).read_text("utf-8").strip()
    if token:
        return f"Bearer {token}"
    if "username" in user and "password" in user:
        return "Basic " + base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode()
    return None


def _material(entry: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    if data := entry.get(f"{key}-data"):
        try:
            return base64.b64decode("".join(str(data).split()), validate=True)
        except ValueError:
            raise KubeconfigError(f"{key}-data is not base64") from None
    return (folder / str(entry[key])).read_bytes() if entry.get(key) else None


def _files(paths: str) -> Iterator[tuple[Path, Entry]]:
    """Give each file's folder and content."""
    for part in filter(None, paths.split(os.pathsep)):
        path = Path(part).expanduser()
        if not path.is_file():
            continue
        try:
            content = yaml.load(path.read_text("utf-8"), Loader=_LOADER) or {}  # noqa: S506 - a safe loader
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            where = getattr(error, "problem_mark", None)
            line = f", line {where.line + 1}" if where is not None else ""
            raise KubeconfigError(f"{str(path)!r}{line}: {type(error).__name__}; expected YAML") from None
        if not isinstance(content, dict):
            raise KubeconfigError(f"{str(path)!r}: expected a kubeconfig, a YAML object")
        yield path.absolute().parent, content


def _entries(files: list[tuple[Path, Entry]], plural: str, singular: str) -> dict[str, tuple[Path, Entry]]:
    found: dict[str, tuple[Path, Entry]] = {}
    for folder, content in files:
        for each in content.get(plural) or ():
            if not isinstance(each, dict) or not isinstance(each.get(singular) or {}, dict):
                raise KubeconfigError(f"{plural}: expected entries with name and {singular}")
            found.setdefault(str(each.get("name")), (folder, each.get(singular) or {}))
    return found
