"""What the operator can do to the cluster: ordered, idempotent data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Apply:
    """Create an object or make it as desired, by server-side apply.

    Args:
        object: as it should be.
        creates: nothing is known to stand under its name.
        first: we never applied it. What stands there all the same is looked at before: it may be somebody else's, or
            Seldon Core's operator wrote it for this SeldonDeployment, and what it wrote becomes ours.
    """

    object: Mapping[str, Any]
    creates: bool
    first: bool


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


Action = Apply | Mark | Delete
