"""What the operator can do to the cluster: ordered, idempotent data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Apply:
    """Create an object or make it as desired, by server-side apply."""

    object: Mapping[str, Any]
    creates: bool


@dataclass(frozen=True, slots=True)
class Inherit:
    """Make ours what Seldon Core's operator wrote of an object, so that it goes when it is no longer wanted."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Write since when an object only drains; None takes the mark off."""

    kind: str
    name: str
    resource_version: str
    retired_at: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this very object."""

    kind: str
    name: str
    uid: str


Action = Apply | Inherit | Mark | Delete
