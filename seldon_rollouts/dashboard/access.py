"""Who asks, and what they may do: a TokenReview and SubjectAccessReviews, so that Kubernetes' RBAC decides both."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import Secret
from seldon_rollouts.view.base import View

ROLLOUTS = {"group": resources.SELDON_ROLLOUT.group, "resource": resources.SELDON_ROLLOUT.plural}
TRUST, PERMISSION, REMEMBERED = timedelta(seconds=30), timedelta(seconds=10), 10_000
"""How long a review's answer holds, and how many are remembered."""

Value = TypeVar("Value")


class Person(View):
    """Somebody whose token the API server knows."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}


@dataclass(slots=True)
class Remembered(Generic[Value]):
    """Answers that hold for a while, at most so many."""

    now: Callable[[], datetime]
    holds: timedelta
    _known: dict[str, tuple[datetime, Value]] = field(default_factory=dict)

    def get(self, key: str) -> Value | None:
        """Return an answer that still holds."""
        found = self._known.get(key)
        return found[1] if found is not None and self.now() < found[0] else None

    def put(self, key: str, value: Value) -> Value:
        """Keep an answer; forget the oldest when there are too many."""
        self._known.pop(key, None)
        self._known[key] = (self.now() + self.holds, value)
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return value


class Access:
    """Asks the API server with the dashboard's own rights; an error of asking is raised, and allows nothing.

    Args:
        client: may create tokenreviews and subjectaccessreviews (the ClusterRole system:auth-delegator).
        now: the clock.
    """

    def __init__(self, client: Client, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._people: Remembered[Person] = Remembered(now, TRUST)
        self._allowed: Remembered[bool] = Remembered(now, PERMISSION)

    async def who(self, token: Secret) -> Person | None:
        """Return whose token it is; None when the API server does not take it.

        Raises:
            ApiError: the API server could not be asked.
        """
        if not token.value:
            return None
        key = hashlib.sha256(token.value.encode()).hexdigest()
        known = self._people.get(key)
        if known is not None:
            return known
        review = _review("authentication.k8s.io/v1", "TokenReview", {"token": token.value})
        status = (await self._client.create(resources.TOKEN_REVIEW, review)).get("status") or {}
        if not status.get("authenticated"):
            return None
        user = status.get("user") or {}
        person = Person(
            name=str(user.get("username", "")),
            uid=str(user.get("uid", "")),
            groups=tuple(user.get("groups") or ()),
            extra={key: tuple(values) for key, values in (user.get("extra") or {}).items()},
        )
        return self._people.put(key, person)

    async def may(self, person: Person, verb: str, namespace: str = "", name: str = "") -> bool:
        """Say whether a person may do this to SeldonRollouts; without a namespace, to those of all namespaces.

        Raises:
            ApiError: the API server could not be asked.
        """
        key = "\0".join((person.name, person.uid, *person.groups, verb, namespace, name))
        known = self._allowed.get(key)
        if known is not None:
            return known
        attributes = {**ROLLOUTS, "verb": verb, "namespace": namespace, "name": name}
        asked = {
            "user": person.name,
            "uid": person.uid,
            "groups": list(person.groups),
            "extra": {key: list(values) for key, values in person.extra.items()},
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        review = _review("authorization.k8s.io/v1", "SubjectAccessReview", asked)
        status = (await self._client.create(resources.SUBJECT_ACCESS_REVIEW, review)).get("status") or {}
        return self._allowed.put(key, bool(status.get("allowed")) and not status.get("denied"))

    async def readable(self, person: Person, namespaces: Iterable[str]) -> frozenset[str]:
        """Return those of the namespaces whose rollouts a person may list."""
        every = frozenset(namespaces)
        if await self.may(person, "list"):
            return every
        return frozenset([each for each in sorted(every) if await self.may(person, "list", each)])


def _review(version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "spec": dict(spec)}
