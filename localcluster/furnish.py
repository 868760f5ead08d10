"""What a new cluster is given before anything runs in it: definitions, namespaces and the default Gateway."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from localcluster import people as users
from localcluster.client import ApiClient
from localcluster.documents import of_kind
from localcluster.objects import ApiError, NotFoundError

ISTIO_CRDS = Path(__file__).parent / "istio_crds"
DEFINITIONS = "apiextensions.k8s.io/v1"
NAMESPACES = ("istio-system", "seldon-system")
GATEWAY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"namespace": "istio-system", "name": "seldon-gateway"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
}
"""The gateway that VirtualServices of upstream's operator are bound to."""


async def furnish(
    client: ApiClient,
    crds: Iterable[Path] = (),
    *,
    roles: Iterable[Path] = (),
    people: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Create or update definitions (Istio's and those of `crds`: files or folders), namespaces, Gateway and people.

    `roles` are files of ClusterRoles; `people` has the ClusterRoles of each user.

    Raises ApiError when the server refuses one, and TimeoutError when a definition is not served in time.
    """
    files = [*_yaml_files(ISTIO_CRDS), *(file for path in crds for file in _yaml_files(path))]
    for file in files:
        for document in of_kind(file, "CustomResourceDefinition"):
            await client.apply(DEFINITIONS, "customresourcedefinitions", document)
    for name in NAMESPACES:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await client.apply("v1", "namespaces", namespace)
    await _when_served(client, GATEWAY)
    for file in roles:
        for document in of_kind(file, "ClusterRole"):
            await client.apply(document["apiVersion"], "clusterroles", document)
    for name, theirs in (people or {}).items():
        for role in theirs:
            await client.apply(f"{users.RBAC}/v1", "clusterrolebindings", users.binding(name, role))


async def _when_served(client: ApiClient, obj: dict[str, Any], limit: float = 20.0) -> None:
    """Apply an object of a kind that was defined a moment ago: the server may need time to serve it."""
    deadline = time.monotonic() + limit
    while True:
        try:
            await client.apply(obj["apiVersion"], "gateways", obj)
        except NotFoundError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{obj['apiVersion']} gateways is not served after {limit:g} s: {error}") from error
            await asyncio.sleep(0.05)
        else:
            return


def _yaml_files(path: Path) -> list[Path]:
    if not path.exists():
        raise ApiError(0, "NoFile", f"there is no file or folder {path} to read definitions from")
    return sorted(path.glob("*.yaml")) if path.is_dir() else [path]
