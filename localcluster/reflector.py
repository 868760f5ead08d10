"""A live copy of one kind, kept by list and watch and by what our own writes were answered."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from localcluster.client import ApiClient
from localcluster.objects import ApiError, GoneError, Key, NotFoundError, Object, key_of, version_of

REMEMBERED = 10_000
"""Our own deletions that are remembered, so that older news brings nothing back."""
log = logging.getLogger(__name__)

OnChange = Callable[[Object | None, Object | None], None]


class Reflector:
    """A live copy of one kind: `objects` by (namespace, name), `changed` set at every change (the reader clears it).

    Start it with `start()`, wait for the first list with `await synced()`, end it with `await stop()`. `changed` can
    be one event shared by several reflectors. `on_change(new, old)` is called for each change, in order; `new` is None
    for a deletion. An `optional` kind that the server does not serve counts as synced and empty (`served` False), and
    is asked for again every second.
    """

    def __init__(
        self,
        client: ApiClient,
        group_version: str,
        plural: str,
        namespace: str | None = None,
        *,
        changed: asyncio.Event | None = None,
        on_change: OnChange | None = None,
        optional: bool = False,
    ) -> None:
        self.objects: dict[Key, Object] = {}
        self.changed = changed or asyncio.Event()
        self.served = True
        self._client, self._kind, self._namespace = client, (group_version, plural), namespace
        self._name = f"{group_version}/{plural}"
        self._on_change, self._optional = on_change, optional
        self._first_list = asyncio.Event()
        self._deleted: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Begin to list and watch, in a task of the running loop."""
        self._task = asyncio.create_task(self._run(), name=f"reflector {self._name}")
        return self

    async def synced(self) -> None:
        """Wait until the first list is in (starts the reflector where nobody did)."""
        if self._task is None:
            self.start()
        await self._first_list.wait()

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def observe(self, obj: Object) -> None:
        """Take in what the server answered to our own write, so that we never decide on something older."""
        obj["metadata"].pop("managedFields", None)
        self._take(obj)

    def forget(self, obj: Mapping[str, Any]) -> None:
        """Take in that an object is gone by our own delete; older news of it is ignored from here on."""
        self._deleted[_uid(obj)] = None
        while len(self._deleted) > REMEMBERED:
            del self._deleted[next(iter(self._deleted))]
        self._gone(obj)

    def _gone(self, obj: Mapping[str, Any]) -> None:
        """Drop this object, and no successor of its name."""
        cached = self.objects.get(key_of(obj))
        if cached is not None and _uid(cached) == _uid(obj):
            self._drop(key_of(obj))

    def _take(self, obj: Object) -> None:
        if _uid(obj) not in self._deleted:
            self._put(obj)

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        old = self.objects.get(key)
        if old is not None and _uid(old) == _uid(obj) and version_of(old) >= version_of(obj):
            return
        self.objects[key] = obj
        self._tell(obj, old)

    def _drop(self, key: Key) -> None:
        old = self.objects.pop(key, None)
        if old is not None:
            self._tell(None, old)

    def _tell(self, new: Object | None, old: Object | None) -> None:
        self.changed.set()
        if self._on_change is not None:
            self._on_change(new, old)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                since = await self._list()
                failures = 0
                while True:
                    began = time.monotonic()
                    since = await self._watch(since)
                    if time.monotonic() - began < 1:
                        await asyncio.sleep(0.2)  # a server that ends every watch at once is not hammered
            except GoneError:
                continue
            except NotFoundError as error:
                self._missing(error)
                await asyncio.sleep(1)
            except ApiError as error:
                failures += 1
                log.log(logging.DEBUG if failures < 3 else logging.WARNING, "%s: %s", self._name, error)
                await asyncio.sleep(min(5.0, 0.1 * 2**failures) * random.uniform(0.7, 1.3))
            except (KeyError, TypeError, ValueError):
                log.exception("%s: an object or its reader is broken; listing again", self._name)
                await asyncio.sleep(1)

    def _missing(self, error: NotFoundError) -> None:
        if not self._optional:
            log.warning("%s is not served: %s", self._name, error)
            return
        self.served = False
        for key in list(self.objects):
            self._drop(key)
        self._first_list.set()

    async def _list(self) -> str:
        group_version, plural = self._kind
        items, since = await self._client.list(group_version, plural, namespace=self._namespace)
        present = {key_of(item) for item in items}
        for key in self.objects.keys() - present:
            # Our own write may be newer than the list that was under way.
            if version_of(self.objects[key]) <= int(since or 0):
                self._drop(key)
        for item in items:
            self._take(item)
        self.served = True
        self._first_list.set()
        self.changed.set()
        return since

    async def _watch(self, since: str) -> str:
        group_version, plural = self._kind
        async for event in self._client.watch(group_version, plural, since=since, namespace=self._namespace):
            obj = event["object"]
            since = obj["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            obj["metadata"].pop("managedFields", None)
            if event["type"] == "DELETED":
                self._gone(obj)
            else:
                self._take(obj)
        return since


def _uid(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("uid") or "")
