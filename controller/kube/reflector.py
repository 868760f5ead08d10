"""Follows one kind in one scope: list, then watch from there, and again when the watch ends, for ever."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import orjson

from controller.backoff import Backoff
from controller.kube import requests
from controller.kube.client import PAGE, Client
from controller.kube.errors import ApiError, GoneError, NotFoundError, error_from_status
from controller.kube.lines import Lines
from controller.kube.objects import MalformedError, Object, well_formed
from controller.kube.resources import Resource
from controller.kube.watches import ChangeType

log = logging.getLogger("seldon_rollouts.kube")


DEFAULT_BACKOFF = Backoff(timedelta(seconds=0.5), timedelta(seconds=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long the parts of list and watch take.

    Args:
        backoff: the waits after failures in a row.
        poll: how often discovery is asked for a kind that is not served.
        confirm: the wait before discovery is asked a second time whether a kind has really gone.
        quiet: the longest silence on a watch before it is opened anew; servers send bookmarks about every minute.
        watch: the shortest time after which the server is asked to end a watch; chance may double it.
        page: objects for each page of a list.
    """

    backoff: Backoff = DEFAULT_BACKOFF
    poll: timedelta = timedelta(seconds=10)
    confirm: timedelta = timedelta(seconds=1)
    quiet: timedelta = timedelta(seconds=90)
    watch: timedelta = timedelta(minutes=5)
    page: int = PAGE


DEFAULT_TIMING = Timing()
PROVEN = timedelta(seconds=5)
"""A watch that lived so long was no failure, even if nothing came."""


class Sink(Protocol):
    """Where a reflector puts what it hears: the informer."""

    resource: Resource
    optional: bool

    @property
    def labels(self) -> str:
        """The label selector."""

    def begin(self) -> int:
        """Mark the moment before a list."""

    def replace(self, objects: Iterable[Object], *, version: str, began: int, namespace: str | None) -> None:
        """Take a whole list."""

    def event(self, kind: ChangeType, obj: Object) -> None:
        """Take one event."""

    def malformed(self, what: str) -> None:
        """Count and tell something unreadable."""


class Reflector:
    """The loop of one scope.

    Args:
        client: sends the requests.
        sink: takes what is heard.
        namespace: the scope; None for all namespaces.
        timing: how long things take.
        chance: draws a number in [0, 1), for jitter.
    """

    def __init__(
        self, client: Client, sink: Sink, namespace: str | None, *, timing: Timing, chance: Callable[[], float]
    ) -> None:
        self._client, self._sink, self._namespace = client, sink, namespace
        self._timing, self._chance = timing, chance
        self._version = ""  # where the next watch begins; empty means list first
        self._proven = False  # whether the present watch told anything
        self._suspect = False  # whether something unreadable came, so that the cache may lack it
        self._misses = 0
        self.served: Resource | None = None
        self.listed = asyncio.Event()
        """Whether the cache has once been complete, or discovery said that there is nothing."""
        self.problem = "not listed yet"
        """What is wrong now; empty when all is well."""

    async def run(self) -> None:
        """Follow until cancelled; no error of the server or of an object ends it."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            self._proven = False
            wait: timedelta | None = None
            reason = "ended"
            try:
                wait = await self._pass()
            except Exception as error:  # noqa: BLE001 - the cache has to survive whatever the network brings
                reason = self._explain(error)
            lived = asyncio.get_running_loop().time() - began
            failures = 0 if self._proven or lived >= PROVEN.total_seconds() else failures + 1
            if wait is None:
                self._client.metrics.watch_restarts.labels(self._sink.resource.name, reason).inc()
                wait = self._timing.backoff.after(failures, self._chance())
            if self._suspect:
                self._suspect, self._version = False, ""
            await asyncio.sleep(wait.total_seconds())

    async def _pass(self) -> timedelta | None:
        """List if needed and watch to the end; return a wait of its own when the kind is not served."""
        if not self._version:
            served = await self._resolve()
            if served is None:
                return self._absent()
            self._misses = 0
            await self._list(served)
            self.served, self.problem = served, ""
            self.listed.set()
        assert self.served is not None
        await self._watch(self.served)
        return None

    def _explain(self, error: Exception) -> str:
        """Note what went wrong; return a short reason for the metrics."""
        name = self._sink.resource.name
        if isinstance(error, GoneError):
            self._version = ""
            log.info("watch is too old, listing again resource=%s", name)
            return "gone"
        if isinstance(error, NotFoundError):
            self._version = ""
        if isinstance(error, ApiError):
            if error.reason == "Timeout" and self._version:
                return "silent"
            self.problem = str(error)
            log.warning("watch failed resource=%s error=%s", name, error)
            return error.reason
        self._version = ""
        self.problem = f"{type(error).__name__}: {error}"
        log.warning("watch failed resource=%s error=%s", name, self.problem, exc_info=error)
        return type(error).__name__

    # discovery

    async def _resolve(self) -> Resource | None:
        resource = self._sink.resource
        if self._sink.optional or resource.older:
            return await self._client.served(resource)
        return resource

    def _absent(self) -> timedelta:
        """The kind is not served. When it was, ask again before all objects of the cache are taken for deleted."""
        resource = self._sink.resource
        self._misses += 1
        if self.served is not None and self._misses < 2:
            return self._timing.confirm
        if self.served is not None:
            log.warning("kind is no longer served resource=%s", resource.name)
            self.served = None
        if self._sink.optional:
            self._sink.replace((), version="", began=self._sink.begin(), namespace=self._namespace)
            self.problem = ""
            self.listed.set()
        else:
            self.problem = f"{resource.name} is not served"
        return self._timing.poll

    # list

    async def _list(self, served: Resource) -> None:
        began = self._sink.begin()
        objects: list[Object] = []
        token = ""
        while True:
            request = requests.list_page(
                served, self._namespace, labels=self._sink.labels, limit=self._timing.page, continue_token=token
            )
            page = await self._client.send(request)
            objects.extend(self._readable(page.get("items") or (), served))
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                break
        version = str(metadata.get("resourceVersion") or "")
        self._sink.replace(objects, version=version, began=began, namespace=self._namespace)
        self._version = version
        log.debug("listed resource=%s namespace=%s objects=%d", served.name, self._namespace or "*", len(objects))

    def _readable(self, items: Iterable[Any], served: Resource) -> Iterable[Object]:
        for item in items:
            try:
                obj = well_formed(item)
            except MalformedError as error:
                self._sink.malformed(f"in a list: {error}")
                continue
            obj.setdefault("apiVersion", served.api_version)  # a list of a built-in kind leaves them out
            obj.setdefault("kind", served.kind)
            yield obj

    # watch

    async def _watch(self, served: Resource) -> None:
        seconds = self._timing.watch.total_seconds() * (1 + self._chance())
        request = requests.watch(
            served,
            self._namespace,
            resource_version=self._version,
            labels=self._sink.labels,
            timeout_seconds=max(1, round(seconds)),
        )
        lines = Lines()
        async with self._client.stream(request, quiet=self._timing.quiet) as chunks:
            self.problem = ""
            async for chunk in chunks:
                dropped = lines.dropped
                for line in lines.feed(chunk):
                    self._take(line)
                if lines.dropped > dropped:
                    self._doubt(f"a line of more than {lines.limit} bytes")

    def _take(self, line: bytes) -> None:
        """Take one line of a watch.

        Raises:
            ApiError: the line says that the watch is over.
        """
        try:
            event = orjson.loads(line)
            kind, obj = event["type"], event["object"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            self._doubt(f"a line of {len(line)} bytes: {type(error).__name__}")
            return
        if kind == "ERROR":
            code = obj.get("code") if isinstance(obj, dict) else None
            raise error_from_status(
                code if isinstance(code, int) else 500, obj, about=f"watch {self._sink.resource.name}"
            )
        try:
            if kind == "BOOKMARK":
                version = obj["metadata"]["resourceVersion"]
            else:
                obj = well_formed(obj)
                version = obj["metadata"].get("resourceVersion")
                self._sink.event(kind, obj)
        except (MalformedError, KeyError, TypeError) as error:
            self._doubt(f"an event of type {kind!r}: {error}")
            return
        self._proven = True
        if version:
            self._version = str(version)

    def _doubt(self, what: str) -> None:
        """Pass over something unreadable; list again when this watch ends, since it may have been a change."""
        self._suspect = True
        self._sink.malformed(what)
