"""Who may take a Lease, and when: the pure part of leader election.

Clocks of different machines are never compared. A candidate waits a whole lease from the moment when it *saw* the last
renewal; the leader stops before a shorter term, counted from *before* it asked for that renewal, has passed. So they
cannot overlap, whatever the delays of the network.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a lease holds.

    Args:
        duration: after so long without a renewal, another may take it.
        deadline: after so long without a renewal, the leader stops; shorter than `duration`.
        retry: how often both look; shorter than `deadline`.
    """

    duration: timedelta = timedelta(seconds=15)
    deadline: timedelta = timedelta(seconds=10)
    retry: timedelta = timedelta(seconds=2)

    def __post_init__(self) -> None:
        """Refuse terms under which two could lead."""
        if self.duration < timedelta(seconds=1):
            raise ValueError(f"lease duration {self.duration} is too short; expected at least 1 s")
        if not timedelta(0) < self.retry < self.deadline < self.duration:
            raise ValueError(
                f"lease terms retry {self.retry}, deadline {self.deadline}, duration {self.duration} are not in order; "
                "expected 0 < retry < deadline < duration"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says.

    Args:
        holder: who has it; empty when nobody has.
        renewed: its `renewTime`, as text: only a change of it means something.
        duration: how long it holds without a renewal.
        transitions: how often it went to another.
        version: the Lease's resourceVersion.
    """

    holder: str
    renewed: str
    duration: timedelta
    transitions: int
    version: str


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a lease.

    Args:
        record: what it says, or said before somebody deleted it; None when there was none.
        seen_at: when it was first seen like this, on our own steady clock (seconds).
        deleted: whether the Lease is gone while its holder may not know it yet.
    """

    record: Record | None
    seen_at: float
    deleted: bool = False

    def after(self, record: Record | None, now: float) -> "View":
        """Return the view after another look: the old one if nothing was renewed since."""
        old = self.record
        if record is None and old is not None and old.holder:
            return View(old, self.seen_at, deleted=True)
        if old is not None and record is not None and (old.holder, old.renewed) == (record.holder, record.renewed):
            return View(record, self.seen_at)
        return View(record, now)


@dataclass(frozen=True, slots=True)
class Create:
    """There is no Lease: make it ours."""


@dataclass(frozen=True, slots=True)
class Take:
    """It is nobody's, or its holder is silent: make it ours."""


@dataclass(frozen=True, slots=True)
class Renew:
    """It is ours: say so again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It is another's: look again after so many seconds."""

    seconds: float


Decision = Create | Take | Renew | Wait


def decide(view: View, *, me: str, now: float, terms: Terms) -> Decision:
    """Say what to do about a lease.

    Args:
        view: what it says and since when.
        me: our identity.
        now: our steady clock, in seconds.
        terms: how long things hold.
    """
    record = view.record
    if record is None:
        return Create()
    if record.holder == me:
        return Create() if view.deleted else Renew()
    if not record.holder:
        return Take()
    free_at = view.seen_at + max(record.duration, timedelta(seconds=1)).total_seconds()
    if now >= free_at:
        return Create() if view.deleted else Take()
    return Wait(min(terms.retry.total_seconds(), free_at - now))


def holds_until(asked_at: float, terms: Terms) -> float:
    """Return until when we may work, if the renewal that was asked for at `asked_at` came through."""
    return asked_at + terms.deadline.total_seconds()


def parse(lease: Object, terms: Terms) -> Record:
    """Read a Lease; what is missing or odd in it counts as not held, or as our own terms."""
    spec = lease.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        renewed=str(spec.get("renewTime") or ""),
        duration=timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else terms.duration,
        transitions=transitions if isinstance(transitions, int) else 0,
        version=str((lease.get("metadata") or {}).get("resourceVersion") or ""),
    )


def render(lease: Object | None, *, namespace: str, name: str, me: str, at: datetime, terms: Terms) -> Object:
    """Return the Lease in which `me` has it; an empty `me` gives it up.

    Args:
        lease: the present one, whose resourceVersion is the precondition; None to create it.
        namespace: where it lives.
        name: its name.
        me: the holder.
        at: the wall clock, for people who read it.
        terms: how long it holds.
    """
    old = (lease or {}).get("spec") or {}
    before = str(old.get("holderIdentity") or "")
    transitions = old.get("leaseTransitions") or 0
    spec: Object = {
        "leaseDurationSeconds": max(1, round(terms.duration.total_seconds())) if me else 1,
        "renewTime": _micros(at),
        "acquireTime": old.get("acquireTime") if me in ("", before) and old.get("acquireTime") else _micros(at),
        "leaseTransitions": transitions + 1 if me and before != me and lease is not None else transitions,
    }
    if me:
        spec["holderIdentity"] = me
    metadata = dict((lease or {}).get("metadata") or {"name": name, "namespace": namespace})
    metadata.pop("managedFields", None)
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _micros(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
