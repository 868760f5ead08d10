"""What controllers see of a cluster: cached reads that are never older than our own writes, and writes."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Self

from controller.errors import ControllerError
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.kube.events import EventType
from controller.kube.informer import Informer
from controller.kube.objects import Object
from controller.kube.recorder import Recorder
from controller.kube.reflector import DEFAULT_TIMING, Timing
from controller.kube.requests import Propagation
from controller.kube.resources import Resource
from controller.kube.watches import Change

Objects = list[Object]


class FencedError(ControllerError):
    """The lease may be another's by now; a write could undo its work."""


class Cluster:
    """Cached reads and write-through writes. Readers never change what they are given.

    Declare the watches, then `await start()` (or use it as an async context manager) and `await synced()`.

    Args:
        client: sends the requests; closing it is the caller's business.
        namespaces: the namespaces that are watched; all when empty.
        timing: how long list and watch take.
        recorder: writes events; one with our name when absent.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespaces: tuple[str, ...] = (),
        timing: Timing = DEFAULT_TIMING,
        recorder: Recorder | None = None,
    ) -> None:
        self.client = client
        self.recorder = recorder or Recorder(client)
        self._namespaces = namespaces
        self._timing = timing
        self._informers: dict[str, Informer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started = False
        self.fence: Callable[[], bool] = lambda: True
        """Asked before each write: may this process still act? Set by whoever holds the lease."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # caches

    def watch(
        self,
        resource: Resource,
        *,
        labels: str = "",
        optional: bool = False,
        indexed: tuple[str, ...] = (),
        on_change: Callable[[Change], None],
    ) -> Informer:
        """Keep a cache of a kind and hear of its changes; the same kind twice shares one cache.

        Args:
            resource: the kind.
            labels: a label selector; differing ones for one kind widen its cache, and each hears only of its own.
            optional: the kind may not be served; the cache is then empty until it is.
            indexed: labels by which `selected` finds objects without reading all of them.
            on_change: called for each change, in the event loop, without waiting; our own writes are told when the
                watch confirms them.

        Raises:
            ValueError: the selector is not valid, or the running cache is narrower than it asks.
        """
        informer = self._informers.get(resource.name)
        if informer is None:
            informer = Informer(self.client, resource, namespaces=self._namespaces, timing=self._timing)
            self._informers[resource.name] = informer
        informer.subscribe(on_change, labels=labels, optional=optional)
        informer.index(indexed)
        if self._started:
            self._run(informer)
        return informer

    async def start(self) -> None:
        """Begin to fill the caches."""
        self._started = True
        for informer in self._informers.values():
            self._run(informer)

    def _run(self, informer: Informer) -> None:
        name = informer.resource.name
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(informer.run(), name=f"informer {name}")

    async def stop(self) -> None:
        """Write the last events and stop following."""
        await self.recorder.close()
        tasks, self._tasks, self._started = list(self._tasks.values()), {}, False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def tasks(self) -> Mapping[str, asyncio.Task[None]]:
        """The running informers, by resource name."""
        return self._tasks

    def unsynced(self) -> list[str]:
        """Return the kinds whose cache has never been complete, each with what is wrong."""
        return [
            f"{informer.resource.name}: {informer.problem}"
            for informer in self._informers.values()
            if not informer.synced
        ]

    async def synced(self) -> None:
        """Wait until every cache has once been complete."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    # reading

    def _informer(self, resource: Resource) -> Informer:
        informer = self._informers.get(resource.name)
        if informer is None:
            raise LookupError(f"{resource.name} is not watched; declare a Watch for it, or ask `client`")
        return informer

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """Return an object from the cache; never older than our own last write."""
        return self._informer(resource).store.get(((namespace or "") if resource.namespaced else "", name))

    def list(self, resource: Resource, namespace: str | None = None) -> Objects:
        """Return the objects of one namespace, or of all, from the cache."""
        return self._informer(resource).store.all(namespace if resource.namespaced else None)

    def owned(self, resource: Resource, owner_uid: str) -> Objects:
        """Return the objects whose controller owner has this uid."""
        return self._informer(resource).store.owned(owner_uid)

    def selected(self, resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> Objects:
        """Return the objects that carry these labels; quick when one of them was declared in `indexed`."""
        return self._informer(resource).store.selected(namespace if resource.namespaced else None, labels)

    def available(self, resource: Resource) -> bool:
        """Say whether the kind is served; false before the first list, and while an optional kind is not there."""
        return self._informer(resource).served is not None

    async def fresh(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Return an object from the server itself: for what no cache may be trusted with.

        Raises:
            NotFoundError: it is not there.
        """
        informer = self._informers.get(resource.name)
        served = informer.served if informer is not None else None
        return await self.client.get(served or resource, namespace, name)

    # writing

    async def _writable(self, resource: Resource) -> Resource:
        """Return the version of a kind to write: the newest that the server has.

        Raises:
            FencedError: this process no longer leads.
            NotFoundError: the kind is not served.
        """
        if not self.fence():
            raise FencedError(f"not writing {resource.name}: this process no longer leads")
        if not resource.older:
            return resource
        informer = self._informers.get(resource.name)
        served = informer.served if informer is not None else None
        served = served or await self.client.served(resource)
        if served is None:
            raise NotFoundError(404, "NotServed", f"{resource.name} is not served by this cluster")
        return served

    def _written(self, resource: Resource, obj: Object) -> Object:
        informer = self._informers.get(resource.name)
        return informer.written(obj) if informer is not None else obj

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        """Server-side apply with our field manager; create the object when there is none.

        Raises:
            ConflictError: another manager owns a field and `force` is false, or a given resourceVersion is stale.
        """
        served = await self._writable(resource)
        return self._written(resource, await self.client.apply(served, obj, force=force))

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object.

        Raises:
            ConflictError: there is one of that name (`reason` is `AlreadyExists`).
        """
        served = await self._writable(resource)
        return self._written(resource, await self.client.create(served, obj))

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        resource_version: str | None = None,
    ) -> Object:
        """Change the fields that `patch` names; None removes one.

        Raises:
            ConflictError: `resource_version` is given and stale.
        """
        served = await self._writable(resource)
        answer = await self.client.merge_patch(served, namespace, name, patch, resource_version=resource_version)
        return self._written(resource, answer)

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
    ) -> Object:
        """Put `status` in the place of the whole status.

        Raises:
            ConflictError: the object changed since `resource_version`.
        """
        served = await self._writable(resource)
        answer = await self.client.patch_status(served, namespace, name, status, resource_version=resource_version)
        return self._written(resource, answer)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """Delete an object; one that is gone already, even with its kind, is success.

        Raises:
            ConflictError: `uid` is given, and the object of that name has another.
        """
        key = ((namespace or "") if resource.namespaced else "", name)
        informer = self._informers.get(resource.name)
        before = informer.store.get(key) if informer is not None else None
        try:
            served = await self._writable(resource)
            answer = await self.client.delete(served, namespace, name, uid=uid, propagation=propagation)
        except NotFoundError:
            answer = {}
        if informer is None:
            return
        if _lingers(answer):
            informer.written(answer)
        elif gone := uid or _uid_of(answer) or _uid_of(before or {}):
            informer.store.deleted(key, gone)  # what has come since we asked is not meant

    async def event(
        self,
        regarding: Object,
        *,
        type: EventType,  # noqa: A002 - the API's word
        reason: str,
        message: str,
        action: str = "",
    ) -> None:
        """Say what happened to an object. Never waits for the server and never fails; repeated events are counted."""
        self.recorder.record(regarding, type=type, reason=reason, message=message, action=action)


def _lingers(answer: Object) -> bool:
    """Say whether the answer of a deletion is an object that stays for a while: finalizers, or a grace period."""
    metadata = answer.get("metadata") or {}
    if answer.get("kind") == "Status" or not metadata.get("deletionTimestamp"):
        return False
    return bool(metadata.get("finalizers")) or bool(metadata.get("deletionGracePeriodSeconds"))


def _uid_of(answer: Object) -> str | None:
    """Return the uid that an object or a deletion's answer names: its own, or the one in a Status's details."""
    place = "details" if answer.get("kind") == "Status" else "metadata"
    uid = (answer.get(place) or {}).get("uid")
    return uid if isinstance(uid, str) and uid else None
