"""What controllers see of a cluster: cached reads that are never older than our own writes, and writes."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from controller.kube.client import Client
from controller.kube.informer import Informer
from controller.kube.resources import Resource
from controller.kube.watches import Change

Object = dict[str, Any]
Objects = list[Object]


class Cluster:
    """Cached reads and write-through writes."""

    client: Client

    def watch(
        self,
        resource: Resource,
        *,
        labels: str = "",
        optional: bool = False,
        indexed: tuple[str, ...] = (),
        on_change: Callable[[Change], None],
    ) -> Informer:
        """Keep a cache of a kind."""
        raise NotImplementedError

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """Return an object from the cache."""
        raise NotImplementedError

    def list(self, resource: Resource, namespace: str | None = None) -> Objects:
        """Return all objects of the cache."""
        raise NotImplementedError

    def owned(self, resource: Resource, owner_uid: str) -> Objects:
        """Return the objects whose controller owner has this uid."""
        raise NotImplementedError

    def selected(self, resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> Objects:
        """Return the objects that carry these labels."""
        raise NotImplementedError

    def available(self, resource: Resource) -> bool:
        """Say whether the kind is served."""
        raise NotImplementedError

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        """Server-side apply with our field manager."""
        raise NotImplementedError

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object."""
        raise NotImplementedError

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        resource_version: str | None = None,
    ) -> Object:
        """Patch an object."""
        raise NotImplementedError

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
    ) -> Object:
        """Replace our status."""
        raise NotImplementedError

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    ) -> None:
        """Delete an object."""
        raise NotImplementedError

    async def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"],  # noqa: A002 - the API's word
        reason: str,
        message: str,
        action: str = "",
    ) -> None:
        """Say what happened."""
        raise NotImplementedError
