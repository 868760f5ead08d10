"""What a controller gives to the manager, and what an informer tells: the protocol between the rooms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from controller.kube.objects import Object
from controller.kube.resources import Resource
from controller.queue import Key

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object in a cache.

    Args:
        type: what happened.
        object: the object as it is now; for `DELETED`, as it was last seen.
        previous: what the cache held before, if anything.
    """

    type: ChangeType
    object: Object
    previous: Object | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """One kind that a controller watches, and whom a change of it wakes.

    Args:
        resource: the kind.
        keys: the keys to reconcile when this object changes; called for the object and for what it was before.
        optional: the kind may not be served (Istio); then the cache is empty and readiness does not wait for it.
        labels: a label selector, as the API's `labelSelector`.
        indexed: labels by which `Cluster.selected` finds objects without reading all of them.
        part: what of an object matters to those keys; a change of anything else wakes nobody.
    """

    resource: Resource
    keys: Callable[[Object], Iterable[Key]]
    optional: bool = False
    labels: str = ""
    indexed: tuple[str, ...] = ()
    part: Callable[[Object], object] | None = None

    def concerned(self, change: Change) -> bool:
        """Say whether a change touches what matters to the keys."""
        if self.part is None or change.type != "MODIFIED" or change.previous is None:
            return True
        return self.part(change.object) != self.part(change.previous)


class Controller(Protocol):
    """A reconciler with its watches; constructed as `Controller(cluster, settings)`."""

    @property
    def name(self) -> str:
        """Such as `rollout`; a label of the metrics."""

    @property
    def watches(self) -> tuple[Watch, ...]:
        """What it reads from the caches, and what wakes it."""

    async def reconcile(self, key: Key) -> timedelta | None:
        """Make the cluster match one object; return when to come back, if time alone can change the answer.

        An exception means back-off; one with `retry = False` waits until something changes.
        """

    def start(self, requeue: Callable[[Key], None]) -> None:
        """Take the function that wakes a key; called once, before the first reconcile."""

    async def run(self) -> None:
        """Do work of its own while we lead; cancelled when we do not. Returns at once if there is none."""
