"""Where the API server is and how we prove who we are: the parts of a kubeconfig file that a local program needs."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Named = Mapping[str, Any]


class KubeconfigError(ValueError):
    """The kubeconfig file cannot be used; the message names the file, the field and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A server (`https://host:port`) with the trust and the credentials to use for it."""

    server: str
    tls: ssl.SSLContext | bool = True
    headers: tuple[tuple[str, str], ...] = ()


def load(path: Path, context: str | None = None) -> Connection:
    """The connection of a context (default: `current-context`) of a kubeconfig file.

    Understood: certificate-authority(-data), insecure-skip-tls-verify, token, tokenFile,
    client-certificate(-data) with client-key(-data), username with password. Raises KubeconfigError.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{path}: not a readable kubeconfig: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig: expected a mapping, got {type(document).__name__}")
    name = context or document.get("current-context")
    if not name:
        raise KubeconfigError(f"{path}: current-context is not set: name a context")
    chosen = _named(path, document, "contexts", name).get("context") or {}
    cluster = _named(path, document, "clusters", chosen.get("cluster")).get("cluster") or {}
    user = _named(path, document, "users", chosen.get("user")).get("user") or {} if chosen.get("user") else {}
    server = cluster.get("server")
    if not server:
        raise KubeconfigError(f"{path}: clusters[{chosen.get('cluster')}].cluster.server is not set")
    return Connection(server=str(server).rstrip("/"), tls=_tls(path, cluster, user), headers=_headers(path, user))


def _named(path: Path, document: Mapping[str, Any], section: str, name: object) -> Named:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            found: Named = entry
            return found
    known = ", ".join(str(entry.get("name")) for entry in document.get(section) or ()) or "none"
    raise KubeconfigError(f"{path}: {section} has no {name!r}; it has {known}")


def _headers(path: Path, user: Named) -> tuple[tuple[str, str], ...]:
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError(f"{path}: credential plugins (exec, auth-provider) are not supported: use a token")
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = _beside(path, user["tokenFile"]).read_text("utf-8").strip()
    if token:
        return (("Authorization", f"Bearer {token}"),)
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return (("Authorization", f"Basic {base64.b64encode(pair).decode()}"),)
    return ()


def _tls(path: Path, cluster: Named, user: Named) -> ssl.SSLContext | bool:
    if not str(cluster["server"]).startswith("https"):
        return True
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority := _material(path, cluster, "certificate-authority"):
        context.load_verify_locations(cadata=authority.decode())
    certificate, key = _material(path, user, "client-certificate"), _material(path, user, "client-key")
    if certificate and key:
        # The ssl module takes a chain only from a file; the folder is private (mode 0700) and gone after this block.
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder) / "client.pem"
            chain.write_bytes(certificate + b"\n" + key)
            context.load_cert_chain(chain)
    return context


def _material(path: Path, entry: Named, field: str) -> bytes | None:
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline)
    if file := entry.get(field):
        return _beside(path, file).read_bytes()
    return None


def _beside(path: Path, file: str) -> Path:
    """File names in a kubeconfig are relative to the file itself."""
    return path.parent / file
