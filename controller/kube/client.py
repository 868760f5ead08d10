"""Sends requests to the API server and turns answers into objects, or into our own errors."""

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from controller.kube import requests, tables
from controller.kube.answers import an_object, answered, lost
from controller.kube.connection import Connect, Connection
from controller.kube.errors import ApiError, NotFoundError, UnauthorizedError
from controller.kube.line import Line
from controller.kube.objects import Object
from controller.kube.patience import ATTEMPTS, pause_before_retry
from controller.kube.requests import Propagation, Request
from controller.kube.resources import Resource
from controller.kube.transport import LostError, Reply, Transport

if TYPE_CHECKING:
    from controller.metrics import Metrics

Answer = TypeVar("Answer")
Listing = tuple[list[Any], str]
"""Items as they came, and the list's resourceVersion."""

log = logging.getLogger("seldon_rollouts.kube")

PAGE = 500
ROWS = 5000
"""Rows of a table are small."""
REQUEST_TIMEOUT = timedelta(seconds=30)


class Client:
    """Requests and answers; give it `close()` at the end, or use it as an async context manager.

    Args:
        connect: reads the configuration, each time anew.
        metrics: where requests are counted; without it they are counted once somebody asks for `metrics`.
        user_agent: how we call ourselves.
        chance: draws a number in [0, 1), for jitter.
        transport: makes what carries requests; aiohttp's when absent.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        metrics: "Metrics | None" = None,
        user_agent: str = "seldon-rollouts",
        chance: Callable[[], float] = random.random,
        transport: Callable[[], Transport] | None = None,
    ) -> None:
        if metrics is not None:
            self.metrics = metrics
        self._line = Line(connect, transport or _lasting)
        self._user_agent = user_agent
        self._chance = chance
        self._warned: dict[str, None] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @cached_property
    def metrics(self) -> "Metrics":
        """Where requests are counted: what was given, else something of our own from now on."""
        from controller.metrics import Metrics  # loads what exposes them, which a command does without

        return Metrics()

    async def close(self) -> None:
        """Close all connections."""
        await self._line.close()

    async def connect(self) -> None:
        """Read the credentials now instead of with the first request.

        Raises:
            CredentialsError: they cannot be used.
        """
        await self._line.connected()

    @property
    def server(self) -> str:
        """The API server's address; empty before the first request."""
        return self._line.server

    # verbs

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Read one object from the server."""
        return await self.send(requests.get(resource, namespace, name))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing:
        """Read all objects, page by page; return them with the list's resourceVersion.

        Raises:
            GoneError: the list grew too old between two pages; begin again.
        """
        items: list[Any] = []
        token, limit = "", PAGE
        while True:
            page = await self.send(
                requests.list_page(resource, namespace, labels=labels, fields=fields, limit=limit, continue_token=token)
            )
            items.extend(page.get("items") or ())
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return items, str(metadata.get("resourceVersion") or "")

    async def table(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> tables.Rows:
        """Read all objects as rows: the printer columns by name, and `metadata`. Far less than the objects."""
        rows: tables.Rows = []
        token = ""
        while True:
            asking = requests.list_page(
                resource, namespace, labels=labels, limit=ROWS, continue_token=token, accept=requests.TABLE
            )
            page = await self._patiently(asking, REQUEST_TIMEOUT, tables.read)
            rows.extend(page.named())
            token = page.metadata.token
            if not token:
                return rows

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object; for reviews, ask and get the answer."""
        return await self.send(requests.create(resource, obj))

    async def replace(self, resource: Resource, obj: Object) -> Object:
        """Put an object in the place of the one it was read from."""
        return await self.send(requests.replace(resource, obj))

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        """Server-side apply with our field manager."""
        return await self.send(requests.apply(resource, obj, force=force))

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        resource_version: str | None = None,
    ) -> Object:
        """Change the fields that `patch` names."""
        return await self.send(
            requests.merge_patch(resource, namespace, name, patch, resource_version=resource_version)
        )

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
    ) -> Object:
        """Put `status` in the place of the whole status."""
        return await self.send(
            requests.patch_status(resource, namespace, name, status, resource_version=resource_version)
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> Object:
        """Delete an object; return it as it is while it ends, or a Status."""
        return await self.send(requests.delete(resource, namespace, name, uid=uid, propagation=propagation))

    async def served(self, resource: Resource) -> Resource | None:
        """Ask discovery for the newest version of a kind that is served, among those we can read."""
        for version in (resource.version, *resource.older):
            candidate = resource.at(version)
            try:
                found = await self.send(requests.discover(candidate.root))
            except NotFoundError:
                continue
            if any(entry.get("name") == resource.plural for entry in found.get("resources") or ()):
                return candidate
        return None

    # sending

    async def send(self, request: Request, *, timeout: timedelta = REQUEST_TIMEOUT) -> Object:  # noqa: ASYNC109 - handed on
        """Send a request and return the parsed answer; wait and repeat when the server asks for patience.

        Raises:
            ApiError: the class says why; `UnavailableError` with status 0 when there was no answer.
        """
        return await self._patiently(request, timeout, an_object)

    async def _patiently(self, request: Request, timeout: timedelta, read: Callable[[bytes], Answer]) -> Answer:  # noqa: ASYNC109 - handed on
        waited = timedelta(0)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._send_once(request, timeout, read)
            except UnauthorizedError:
                if attempt > 1 or not await self._line.renewed():
                    raise
            except ApiError as error:
                wait = pause_before_retry(error, request, attempt=attempt, waited=waited, draw=self._chance())
                if wait is None:
                    raise
                waited += wait
                await asyncio.sleep(wait.total_seconds())
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send_once(self, request: Request, timeout: timedelta, read: Callable[[bytes], Answer]) -> Answer:  # noqa: ASYNC109 - handed on
        began = time.monotonic()
        code = "0"
        try:
            connection, transport = await self._line.connected()
            reply = await transport.exchange(connection, request, self._headers(connection, request), limit=timeout)
            code = str(reply.status)
            self._warn(request, reply)
            return answered(request, reply, read)
        except LostError as error:
            raise lost(request, error) from error
        finally:
            self._count(request, code, time.monotonic() - began)

    def _count(self, request: Request, code: str, seconds: float | None = None) -> None:
        if "metrics" in self.__dict__:
            self.metrics.api_requests.labels(request.verb, code).inc()
            if seconds is not None:
                self.metrics.api_seconds.labels(request.verb).observe(seconds)

    @asynccontextmanager
    async def stream(self, request: Request, *, quiet: timedelta) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and give its chunks of bytes.

        Args:
            request: the watch.
            quiet: the longest silence; then the stream raises.

        Raises:
            ApiError: the server refuses, or the stream breaks or falls silent (`UnavailableError`).
        """
        code = "0"
        try:
            connection, transport = await self._line.connected()
            headers = self._headers(connection, request)
            async with transport.stream(connection, request, headers, quiet=quiet) as (head, chunks):
                code = str(head.status)
                self._count(request, code)
                if head.status != 200:
                    body = b"".join([chunk async for chunk in chunks])
                    answered(request, dataclasses.replace(head, body=body), an_object)
                yield chunks
        except LostError as error:
            if code == "0":
                self._count(request, code)
            raise lost(request, error) from error

    def _headers(self, connection: Connection, request: Request) -> dict[str, str]:
        headers = {"Accept": request.accept, "User-Agent": self._user_agent}
        if connection.authorization.value:
            headers["Authorization"] = connection.authorization.value
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    def _warn(self, request: Request, reply: Reply) -> None:
        """Tell once what the API server warns of: a deprecated version, an unknown field."""
        for warning in reply.warnings:
            if warning in self._warned:
                continue
            if len(self._warned) >= 1000:
                self._warned.pop(next(iter(self._warned)))
            self._warned[warning] = None
            log.warning("the API server warns path=%s warning=%s", request.path, warning)


def _lasting() -> Transport:
    from controller.kube.lasting import Lasting  # loads aiohttp, which a command does without

    return Lasting()
