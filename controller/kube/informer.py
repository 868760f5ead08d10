"""The cache of one kind and those who want to hear of its changes."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controller.kube import selectors
from controller.kube.client import Client
from controller.kube.objects import MalformedError, Object, key_of, well_formed
from controller.kube.reflector import DEFAULT_TIMING, Reflector, Timing
from controller.kube.resources import Resource
from controller.kube.store import Store
from controller.kube.watches import Change, ChangeType

log = logging.getLogger("seldon_rollouts.kube")

OnChange = Callable[[Change], None]
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})


@dataclass(frozen=True, slots=True)
class _Subscription:
    labels: str
    on_change: OnChange


class Informer:
    """One kind, one cache, any number of subscribers.

    Args:
        client: sends the requests.
        resource: the kind, in its newest version.
        namespaces: the namespaces to watch; all when empty.
        timing: how long things take.
        chance: draws a number in [0, 1), for jitter.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespaces: tuple[str, ...] = (),
        timing: Timing = DEFAULT_TIMING,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.resource = resource
        self.optional = True
        self.store = Store()
        self.labels = ""
        self._client = client
        self._subscriptions: list[_Subscription] = []
        self._scopes: tuple[str | None, ...] = namespaces if namespaces and resource.namespaced else (None,)
        self._reflectors = tuple(Reflector(client, self, scope, timing=timing, chance=chance) for scope in self._scopes)
        self.started = False

    def subscribe(self, on_change: OnChange, *, labels: str = "", optional: bool = False) -> None:
        """Add someone who hears of every change of an object that the selector selects.

        Before the start, differing selectors widen the cache to all objects; each hears only of its own. One subscriber
        that needs the kind makes it required.

        Raises:
            ValueError: the selector is not valid, or the running cache is narrower than it asks.
        """
        selectors.parse(labels)
        if self.started and self.labels not in ("", labels):
            raise ValueError(f"{self.resource.name}: watched with {self.labels!r} already, cannot add {labels!r}")
        if not self._subscriptions:
            self.labels = labels
        elif self.labels != labels and not self.started:
            self.labels = ""
        self.optional = self.optional and optional
        self._subscriptions.append(_Subscription(labels, on_change))

    def index(self, labels: Iterable[str]) -> None:
        """Declare labels that `Store.selected` is asked for."""
        self.store.declare(labels)

    async def run(self) -> None:
        """Keep the cache until cancelled."""
        self.started = True
        self._client.metrics.cached.labels(self.resource.name).set_function(lambda: float(len(self.store)))
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())

    @property
    def synced(self) -> bool:
        """Whether the cache has once been complete."""
        return all(reflector.listed.is_set() for reflector in self._reflectors)

    async def wait_synced(self) -> None:
        """Wait until the cache has once been complete."""
        for reflector in self._reflectors:
            await reflector.listed.wait()

    @property
    def served(self) -> Resource | None:
        """The kind in the version that the server has; None while it is not served."""
        return next((reflector.served for reflector in self._reflectors if reflector.served is not None), None)

    @property
    def problem(self) -> str:
        """Why the cache is not complete, or no longer follows; empty when all is well."""
        return next((reflector.problem for reflector in self._reflectors if reflector.problem), "")

    # our own writes

    def written(self, obj: Object) -> Object:
        """Take the answer of a write into the cache; return it without what nobody reads."""
        try:
            obj = well_formed(obj)
        except MalformedError as error:
            self.malformed(f"the answer of a write: {error}")
            return obj
        if not self._covers(obj):
            return obj
        if selectors.matches(self.labels, obj):
            self.store.written(obj)
        else:
            self.store.dropped(obj)
        return obj

    def _covers(self, obj: Object) -> bool:
        return None in self._scopes or key_of(obj)[0] in self._scopes

    # news from the server

    def begin(self) -> int:
        """Mark the moment before a list."""
        return self.store.begin()

    def replace(self, objects: Iterable[Object], *, version: str, began: int, namespace: str | None) -> None:
        """Take a whole list and tell what changed."""
        for change in self.store.replace(objects, version=version, began=began, namespace=namespace):
            self._tell(change)

    def event(self, kind: ChangeType, obj: Object) -> None:
        """Take one event and tell it unless it is old news.

        Raises:
            MalformedError: the type is unknown.
        """
        if kind not in _CHANGES:
            raise MalformedError("unknown type")
        change = self.store.event(kind, obj)
        if change is not None:
            self._tell(change)

    def malformed(self, what: str) -> None:
        """Count and tell something unreadable; the stream goes on."""
        self._client.metrics.malformed.labels(self.resource.name).inc()
        log.warning("unreadable, passed over resource=%s what=%s", self.resource.name, what)

    def _tell(self, change: Change) -> None:
        for subscription in self._subscriptions:
            seen = _as_seen(change, subscription.labels)
            if seen is None:
                continue
            try:
                subscription.on_change(seen)
            except Exception:
                log.exception("a subscriber failed resource=%s object=%s", self.resource.name, key_of(change.object))


def _as_seen(change: Change, labels: str) -> Change | None:
    """Return the change as someone sees it who looks through a selector: objects come and go with their labels."""
    if not labels:
        return change
    now = change.type != "DELETED" and selectors.matches(labels, change.object)
    before = change.previous is not None and selectors.matches(labels, change.previous)
    if now:
        return change if before else Change("ADDED", change.object, None)
    return Change("DELETED", change.object, change.previous) if before else None
