"""The Secret that all replicas share: the authority, the server's certificate, their keys."""

import base64
from collections.abc import Mapping
from typing import Any

from controller.admission.rotation import Material, readable
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.kube.resources import SECRET

NAME = "seldon-rollouts-webhook"
_KEYS = {
    "authority": "ca.crt",
    "authority_key": "ca.key",
    "before": "previous-ca.crt",
    "certificate": "tls.crt",
    "key": "tls.key",
}
Object = dict[str, Any]


async def read(client: Client, namespace: str) -> Object | None:
    """Return the Secret; None when there is none."""
    try:
        return await client.get(SECRET, namespace, NAME)
    except NotFoundError:
        return None


async def write(client: Client, namespace: str, secret: Object | None, material: Material) -> None:
    """Put material into the Secret that was read, or make it.

    Raises:
        ConflictError: somebody else was first.
    """
    data = {name: base64.b64encode(getattr(material, field)).decode() for field, name in _KEYS.items()}
    if secret is not None:
        await client.replace(SECRET, {**secret, "data": data})
        return
    metadata = {"name": NAME, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "seldon-rollouts"}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
    await client.create(SECRET, body)


def material_of(secret: Mapping[str, Any] | None) -> Material | None:
    """Return what a Secret holds; None when there is none, or it cannot be read."""
    data = (secret or {}).get("data") or {}
    try:
        values = {field: base64.b64decode(data.get(name) or "", validate=True) for field, name in _KEYS.items()}
    except ValueError:
        return None
    material = Material(**values)
    return material if readable(material) else None
