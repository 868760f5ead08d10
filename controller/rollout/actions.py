"""The closed set of things that the shell can be told to do for a rollout, in order. Each is idempotent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Literal

from controller.api.rollout import RolloutStatus


class Reach(StrEnum):
    """What users may feel of an action; what it is held against before it is done follows from that (freshness)."""

    NOBODY = "nobody"
    REQUESTS = "requests"
    """Requests may go elsewhere."""
    PODS = "pods"
    """Pods that answer may go."""


@dataclass(frozen=True, slots=True)
class KeepRevision:
    """Store a revision's template as a ControllerRevision."""

    reach: ClassVar[Reach] = Reach.NOBODY
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApplyDeployment:
    """Write a revision's SeldonDeployment."""

    object: Mapping[str, Any]
    reach: Reach
    """Nobody feels one that is made; one that is written over may have fewer pods, or others."""


@dataclass(frozen=True, slots=True)
class ApplyRoute:
    """Write the VirtualService. It holds the resourceVersion that was decided on, so that a stale leader is refused."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TakeRoute:
    """Make a standing VirtualService ours, or another's, in one write: owner and routes at once."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    patch: Mapping[str, Any]
    version: str
    """The resourceVersion that was decided on."""


@dataclass(frozen=True, slots=True)
class MakeDeployment:
    """Make the SeldonDeployment that takes the rollout's place; one that is there already is left as it is."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MarkDeployment:
    """Mark the SeldonDeployment of the rollout's name, so that no operator routes it; or take the mark off."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    patch: Mapping[str, Any]
    version: str


@dataclass(frozen=True, slots=True)
class ReleaseDeployment:
    """Take our owner reference off a child, which goes on serving without us."""

    reach: ClassVar[Reach] = Reach.NOBODY
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class HoldRollout:
    """Set the rollout's finalizers: with ours, its traffic is looked after when it is deleted; without, it may go."""

    reach: ClassVar[Reach] = Reach.PODS
    finalizers: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class PatchRoute:
    """Write the HTTP routes of a person's VirtualService, if it is still the one that was decided on."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    name: str
    http: tuple[Mapping[str, Any], ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """Take away the rollout's own VirtualService: one of a person's is in force."""

    reach: ClassVar[Reach] = Reach.REQUESTS
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteDeployment:
    """Take down a revision's SeldonDeployment: it has had no traffic for the scale-down delay."""

    reach: ClassVar[Reach] = Reach.PODS
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ForgetRevision:
    """Drop a ControllerRevision beyond the history limit."""

    reach: ClassVar[Reach] = Reach.NOBODY
    name: str


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Make an AnalysisRun; one of that name that is there already will do."""

    reach: ClassVar[Reach] = Reach.NOBODY
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StopRun:
    """Tell an AnalysisRun to end."""

    reach: ClassVar[Reach] = Reach.NOBODY
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Drop a finished AnalysisRun beyond the history limit."""

    reach: ClassVar[Reach] = Reach.NOBODY
    name: str
    uid: str


RunAction = CreateRun | StopRun | DeleteRun
"""What is done to AnalysisRuns."""
TrafficAction = (
    KeepRevision | ApplyDeployment | ApplyRoute | PatchRoute | DeleteRoute | DeleteDeployment | ForgetRevision
)
"""What is done to traffic and revisions."""
Handover = TakeRoute | MakeDeployment | MarkDeployment | ReleaseDeployment | HoldRollout
"""What is done where a rollout takes something over, or leaves it."""
Action = TrafficAction | Handover | RunAction


@dataclass(frozen=True, slots=True)
class Announcement:
    """A Kubernetes Event, emitted once the status that tells of it is written."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, in order; what to say; and when to look again if nothing happens."""

    actions: tuple[Action, ...]
    status: RolloutStatus
    before_moving: RolloutStatus | None = None
    """The status without the word that the route was written, where that makes a difference."""
    announcements: tuple[Announcement, ...] = ()
    requeue_after: timedelta | None = None
