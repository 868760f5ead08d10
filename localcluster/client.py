"""A small Kubernetes client: requests in raw JSON, and a cache kept by list and watch.

Objects are plain dicts as the server gives them, without managedFields; a reader never changes one that it was given.
It shares no code with the controller's client, so that the one cannot hide a mistake of the other.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import orjson

from localcluster import kubeconfig
from localcluster.objects import (
    ApiError,
    ConflictError,
    GoneError,
    Key,
    NotFoundError,
    Object,
    error_of,
    key_of,
    path_of,
    version_of,
)

__all__ = [
    "ApiClient",
    "ApiError",
    "ConflictError",
    "GoneError",
    "Key",
    "NotFoundError",
    "Object",
    "Reflector",
    "key_of",
    "path_of",
    "version_of",
]

PatchKind = Literal["merge", "strategic", "json", "apply"]

FIELD_MANAGER = "localcluster"
PAGE = 500
WATCH_SECONDS = 240
CONTENT_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
log = logging.getLogger(__name__)


class ApiClient:
    """Requests to one API server; open it with `async with`, or call `close()`. Every call may raise ApiError."""

    def __init__(self, connection: kubeconfig.Connection) -> None:
        self.server = connection.server
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: str | Path, context: str | None = None) -> Self:
        """A client for the current (or the named) context. Raises KubeconfigError."""
        return cls(kubeconfig.load(Path(path), context))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session, made on first use, inside the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=dict(self._connection.headers),
                connector=aiohttp.TCPConnector(ssl=self._connection.tls, limit=0),
                timeout=aiohttp.ClientTimeout(total=30),
            )
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request with a JSON body and a JSON answer. Raises ApiError, with status 0 when there was no answer."""
        data = orjson.dumps(body) if body is not None else None
        headers = {"Content-Type": content_type} if data is not None else {}
        try:
            async with self.session.request(
                method, self.server + path, params=params, data=data, headers=headers
            ) as answer:
                content = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", f"{method} {path}: {error or type(error).__name__}") from error
        if status >= 400:
            raise error_of(status, content)
        parsed: Object = orjson.loads(content)
        return parsed

    async def get(self, group_version: str, plural: str, name: str, *, namespace: str | None = None) -> Object:
        """One object. Raises NotFoundError."""
        return await self.request("GET", path_of(group_version, plural, namespace=namespace, name=name))

    async def list(
        self, group_version: str, plural: str, *, namespace: str | None = None, labels: str = ""
    ) -> tuple[list[Object], str]:
        """All objects, read page by page, and the resourceVersion to watch from. List items get their kind back."""
        path, items = path_of(group_version, plural, namespace=namespace), []
        params = {"limit": str(PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            page = await self.request("GET", path, params=params)
            kind = str(page.get("kind", "")).removesuffix("List")
            for item in page.get("items") or ():
                item["metadata"].pop("managedFields", None)
                items.append({"apiVersion": group_version, "kind": kind} | item)
            token = page["metadata"].get("continue")
            if not token:
                return items, page["metadata"].get("resourceVersion", "0")
            params["continue"] = token

    async def create(
        self, group_version: str, plural: str, obj: Mapping[str, Any], *, namespace: str | None = None, sub: str = ""
    ) -> Object:
        """Create an object (or, with `sub` such as `binding` or `eviction`, post to that part of the named one)."""
        meta = obj.get("metadata") or {}
        where = namespace or meta.get("namespace")
        path = path_of(group_version, plural, namespace=where, name=meta["name"] if sub else "", sub=sub)
        return await self.request("POST", path, params={"fieldManager": FIELD_MANAGER}, body=obj)

    async def update(
        self, group_version: str, plural: str, obj: Mapping[str, Any], *, namespace: str | None = None, sub: str = ""
    ) -> Object:
        """Replace an object or its `sub` (`status`). Raises ConflictError when its resourceVersion is stale."""
        where = namespace or obj["metadata"].get("namespace")
        path = path_of(group_version, plural, namespace=where, name=obj["metadata"]["name"], sub=sub)
        return await self.request("PUT", path, params={"fieldManager": FIELD_MANAGER}, body=obj)

    async def patch(
        self,
        group_version: str,
        plural: str,
        name: str,
        patch: object,
        *,
        namespace: str | None = None,
        sub: str = "",
        kind: PatchKind = "merge",
    ) -> Object:
        """Patch an object or its `sub`; put metadata.resourceVersion into a merge patch to be refused when stale."""
        path = path_of(group_version, plural, namespace=namespace, name=name, sub=sub)
        params = {"fieldManager": FIELD_MANAGER} | ({"force": "true"} if kind == "apply" else {})
        return await self.request("PATCH", path, params=params, body=patch, content_type=CONTENT_TYPES[kind])

    async def apply(
        self, group_version: str, plural: str, obj: Mapping[str, Any], *, namespace: str | None = None, sub: str = ""
    ) -> Object:
        """Server-side apply with our field manager, taking over fields that others own."""
        where = namespace or obj["metadata"].get("namespace")
        name = obj["metadata"]["name"]
        return await self.patch(group_version, plural, name, obj, namespace=where, sub=sub, kind="apply")

    async def delete(
        self,
        group_version: str,
        plural: str,
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        grace: int | None = None,
        propagation: str = "Background",
    ) -> bool:
        """Delete an object (only the one with `uid`, where given); False when it, or that one, is not there."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self.request("DELETE", path_of(group_version, plural, namespace=namespace, name=name), body=options)
        except (NotFoundError, ConflictError):
            return False
        return True

    async def watch(
        self, group_version: str, plural: str, *, since: str, namespace: str | None = None, labels: str = ""
    ) -> AsyncIterator[Object]:
        """Watch events from a resourceVersion until the server ends the stream. Raises GoneError when it is too old."""
        params = {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        if labels:
            params["labelSelector"] = labels
        url = self.server + path_of(group_version, plural, namespace=namespace)
        limit = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, sock_connect=10)
        try:
            async with self.session.get(url, params=params, timeout=limit) as answer:
                if answer.status >= 400:
                    raise error_of(answer.status, await answer.read())
                try:
                    rest = b""
                    async for chunk in answer.content.iter_any():
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            if line:
                                yield _checked(orjson.loads(line))
                finally:
                    if answer.connection and answer.connection.transport:  # not at its end: no TLS farewell
                        answer.connection.transport.abort()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", f"watch {url}: {error or type(error).__name__}") from error


def _checked(event: Object) -> Object:
    """The event; an ERROR event is raised as the error that it carries."""
    if event["type"] == "ERROR":
        status = event.get("object") or {}
        raise error_of(int(status.get("code") or 500), orjson.dumps(status))
    return event


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
        self._on_change, self._optional = on_change, optional
        self._first_list = asyncio.Event()
        self._deleted: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Begin to list and watch, in a task of the running loop."""
        self._task = asyncio.create_task(self._run(), name=f"reflector {'/'.join(self._kind)}")
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
        if obj["metadata"].get("uid") not in self._deleted:
            obj["metadata"].pop("managedFields", None)
            self._put(obj)

    def forget(self, obj: Mapping[str, Any]) -> None:
        """Take in that an object is gone by our own delete; older news of it is ignored from here on."""
        self._deleted[obj["metadata"].get("uid", "")] = None
        while len(self._deleted) > 10_000:
            del self._deleted[next(iter(self._deleted))]
        cached = self.objects.get(key_of(obj))
        if cached is not None and cached["metadata"].get("uid") == obj["metadata"].get("uid"):
            self._drop(key_of(obj))

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        old = self.objects.get(key)
        if (
            old is not None
            and version_of(old) >= version_of(obj)
            and old["metadata"].get("uid") == obj["metadata"].get("uid")
        ):
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
                log.log(logging.DEBUG if failures < 3 else logging.WARNING, "%s: %s", "/".join(self._kind), error)
                await asyncio.sleep(min(5.0, 0.1 * 2**failures) * random.uniform(0.7, 1.3))
            except (KeyError, TypeError, ValueError):
                log.exception("%s: an object or its reader is broken; listing again", "/".join(self._kind))
                await asyncio.sleep(1)

    def _missing(self, error: NotFoundError) -> None:
        if not self._optional:
            log.warning("%s is not served: %s", "/".join(self._kind), error)
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
            if item["metadata"].get("uid") not in self._deleted:
                self._put(item)
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
                cached = self.objects.get(key_of(obj))
                if cached is not None and cached["metadata"].get("uid") == obj["metadata"].get("uid"):
                    self._drop(key_of(obj))
            elif obj["metadata"].get("uid") not in self._deleted:
                self._put(obj)
        return since
