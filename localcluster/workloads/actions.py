"""What a plan asks for, as data: the shell does these in order and stops at the first failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localcluster.objects import Object, key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create an object of a kind."""

    group_version: str
    plural: str
    obj: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Merge a patch into an object or its `sub`; with `guarded`, only if it is still the one that was decided on."""

    group_version: str
    plural: str
    target: Object
    patch: dict[str, Any]
    sub: str = ""
    guarded: bool = True

    def body(self) -> dict[str, Any]:
        """The patch to send: guarded ones carry uid and resourceVersion."""
        meta = dict(self.patch.get("metadata") or {}) | {"uid": self.target["metadata"]["uid"]}
        if self.guarded:
            meta["resourceVersion"] = self.target["metadata"]["resourceVersion"]
        return self.patch | {"metadata": meta}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete exactly this object."""

    group_version: str
    plural: str
    target: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Record an Event about an object."""

    about: Object
    reason: str
    message: str
    warning: bool = False


Action = Create | Patch | Delete | Tell


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in order, and the seconds after which time alone may change the answer."""

    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None


@dataclass(slots=True)
class Draft:
    """A plan while it is being written."""

    actions: list[Action] = field(default_factory=list)
    requeue_after: float | None = None

    def wake(self, seconds: float) -> None:
        """Look again after so many seconds, or earlier when something else asks for it."""
        seconds = max(0.05, seconds)
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)

    def done(self) -> Plan:
        """The finished plan."""
        return Plan(tuple(self.actions), self.requeue_after)


def describe(action: Action) -> str:
    """One line for a log."""
    match action:
        case Create(obj=obj):
            return f"create {obj['kind']} {obj['metadata'].get('name') or obj['metadata'].get('generateName')}"
        case Patch(target=target, sub=sub):
            return f"patch {target['kind']} {'/'.join(key_of(target))} {sub}".rstrip()
        case Delete(target=target):
            return f"delete {target['kind']} {'/'.join(key_of(target))}"
        case Tell(reason=reason, message=message):
            return f"event {reason}: {message}"
