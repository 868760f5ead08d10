"""The garbage collector's shell: it follows every kind that can be deleted, and empties namespaces that are to go.

For a real API server alone: Kubernetes does this in kube-controller-manager, which a local cluster does not run. The
embedded server collects by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.client import ApiClient
from localcluster.objects import ApiError, NotFoundError, Object, path_of
from localcluster.reflector import Reflector
from localcluster.workloads import garbage
from localcluster.workloads.garbage import Remove, Rewrite, Step, Thing

DISCOVER, SETTLE, EMPTY = 2.0, 0.05, 0.3
"""Seconds: between two looks at the kinds, from a change to a pass, between two looks into a namespace that goes."""
UNOWNED = frozenset({"events"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    group_version: str
    plural: str
    namespaced: bool


class Collector:
    """Collects garbage through the API. `start()`, then `stop()`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._served: dict[tuple[str, str], _Kind] = {}
        self._caches: dict[tuple[str, str], Reflector] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._discover(), name="garbage: kinds"),
            asyncio.create_task(self._collect(), name="garbage: collector"),
        ]

    async def stop(self) -> None:
        """End all watches."""
        tasks = [*self._tasks, *self._leaving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(cache.stop() for cache in self._caches.values()))

    # which kinds there are

    async def _discover(self) -> None:
        while True:
            try:
                self._served, found = await self._all_kinds()
            except ApiError as error:
                log.info("asking for the kinds: %s", error)
            else:
                await self._follow(found)
            await asyncio.sleep(DISCOVER)

    async def _all_kinds(self) -> tuple[dict[tuple[str, str], _Kind], dict[tuple[str, str], _Kind]]:
        """By (apiVersion, kind): all that is served, and of each what is preferred and can be watched and deleted."""
        groups = (await self._client.request("GET", "/apis"))["groups"]
        preferred = {"v1", *(group["preferredVersion"]["groupVersion"] for group in groups)}
        versions = ["v1", *(each["groupVersion"] for group in groups for each in group["versions"])]
        served, followed = {}, {}
        for version in versions:
            root = "/api/v1" if version == "v1" else f"/apis/{version}"
            try:
                resources = (await self._client.request("GET", root))["resources"]
            except NotFoundError:
                continue
            for each in resources:
                if "/" in each["name"]:
                    continue
                kind = _Kind(version, each["name"], bool(each["namespaced"]))
                served[version, each["kind"]] = kind
                collectable = {"list", "watch", "delete"} <= set(each["verbs"]) and each["name"] not in UNOWNED
                if version in preferred and collectable:
                    followed[version, each["kind"]] = kind
        return served, followed

    async def _follow(self, found: Mapping[tuple[str, str], _Kind]) -> None:
        for name in self._caches.keys() - found.keys():
            await self._caches.pop(name).stop()
        for name in found.keys() - self._caches.keys():
            kind = found[name]
            cache = Reflector(self._client, kind.group_version, kind.plural, changed=self._changed, optional=True)
            self._caches[name] = cache.start()
        self._kinds = dict(found)

    # what follows from what there is

    async def _collect(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            self._empty_namespaces()
            steps = garbage.plan(self._things())
            if steps:
                outcomes = await asyncio.gather(*(self._carried_out(step) for step in steps))
                if not all(outcomes):
                    asyncio.get_running_loop().call_later(1.0, self._changed.set)

    def _things(self) -> list[Thing]:
        return [
            Thing(group_version=kind.group_version, plural=kind.plural, obj=obj)
            for name, kind in self._kinds.items()
            for obj in self._caches[name].objects.values()
        ]

    async def _carried_out(self, step: Step) -> bool:
        thing, meta = step.thing, step.thing.obj["metadata"]
        where = thing.namespace or None
        try:
            for owner in step.because:
                if await self._exists(owner, thing.namespace):
                    return False  # our caches were not complete yet
            match step:
                case Remove(propagation=propagation):
                    log.debug("deleting %s %s/%s", thing.plural, thing.namespace, meta["name"])
                    await self._client.delete(
                        thing.group_version,
                        thing.plural,
                        meta["name"],
                        namespace=where,
                        uid=thing.uid,
                        propagation=propagation,
                    )
                case Rewrite(metadata=metadata):
                    guard = {"uid": thing.uid, "resourceVersion": meta["resourceVersion"]}
                    patch = {"metadata": {**metadata, **guard}}
                    await self._client.patch(thing.group_version, thing.plural, meta["name"], patch, namespace=where)
        except NotFoundError:
            return True
        except ApiError as error:
            log.debug("%s %s/%s: %s", thing.plural, thing.namespace, meta["name"], error)
            return False
        return True

    async def _exists(self, owner: Mapping[str, Any], namespace: str) -> bool:
        kind = self._served.get((owner["apiVersion"], owner["kind"]))
        if kind is None:
            return True  # what is not served cannot be told from what is not known yet
        where = namespace if kind.namespaced else None
        try:
            found = await self._client.get(kind.group_version, kind.plural, owner["name"], namespace=where)
        except NotFoundError:
            return False
        return bool(found["metadata"]["uid"] == owner["uid"])

    # namespaces that go

    def _empty_namespaces(self) -> None:
        cache = self._caches.get(("v1", "Namespace"))
        for obj in cache.objects.values() if cache else ():
            name = obj["metadata"]["name"]
            task = self._leaving.get(name)
            if "deletionTimestamp" in obj["metadata"] and (task is None or task.done()):
                self._leaving[name] = asyncio.create_task(self._empty(obj), name=f"garbage: namespace {name}")

    async def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        while True:
            with contextlib.suppress(NotFoundError):
                try:
                    if not await self._content_left(name):
                        await self._finalize(name)
                        return
                except ApiError as error:
                    log.debug("emptying namespace %s: %s", name, error)
            await asyncio.sleep(EMPTY)

    async def _content_left(self, namespace: str) -> bool:
        """Delete all that is in a namespace; True while something is still there."""
        served, followed = await self._all_kinds()
        plain = {("v1", "Event"): served["v1", "Event"]}
        left = False
        for kind in {**followed, **plain}.values():
            if not kind.namespaced:
                continue
            path = path_of(kind.group_version, kind.plural, namespace=namespace)
            page = await self._client.request("GET", path, params={"limit": "1"})
            if page["items"]:
                left = True
                options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
                await self._client.request("DELETE", path, body=options)
        return left

    async def _finalize(self, name: str) -> None:
        try:
            namespace = await self._client.get("v1", "namespaces", name)
            namespace["spec"]["finalizers"] = [
                each for each in namespace["spec"].get("finalizers") or () if each != "kubernetes"
            ]
            await self._client.update("v1", "namespaces", namespace, sub="finalize")
        except NotFoundError:
            return
