"""People of the cluster beside its administrator: each has a token and ClusterRoles."""

import csv
import io
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = "people.csv"
RBAC = "rbac.authorization.k8s.io"


def write(path: Path, names: Iterable[str]) -> None:
    """Write a token file, `token,user,uid,groups` a line, readable by us alone; one that is there stays as it is."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text("".join(f"{secrets.token_hex(24)},{name},{name},people\n" for name in names), "utf-8")


def read(path: Path) -> Mapping[str, str]:
    """Return the token of each person; none where there is no file."""
    text = path.read_text("utf-8") if path.exists() else ""
    return {row[1]: row[0] for row in csv.reader(io.StringIO(text))}


def binding(name: str, role: str) -> dict[str, Any]:
    """Return what gives a person a ClusterRole everywhere."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"local-{name}-{role}"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": name}],
    }
