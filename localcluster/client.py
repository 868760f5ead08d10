"""A small Kubernetes client: requests in raw JSON.

Objects are plain dicts as the server gives them, without managedFields; a reader never changes one that it was given.
It shares no code with the controller's client, so that the one cannot hide a mistake of the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
import orjson

from localcluster import kubeconfig
from localcluster.objects import ApiError, ConflictError, NotFoundError, Object, error_of, path_of

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

    async def __aexit__(self, *_: object) -> None:
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
