"""The revisions of a rollout as they stand in the cluster, and where traffic goes: parts of its status."""

from typing import Annotated, Literal

from pydantic import Field

from controller.api.meta import Instant, StatusModel
from controller.api.percent import Seen
from controller.api.strategy import RouteMatch


class RevisionStatus(StatusModel):
    """One revision of the template, as it stands in the cluster."""

    hash: str
    """The hash of its template."""
    number: int
    """Counts up with every new template."""
    name: str = ""
    """The child SeldonDeployment, and the ControllerRevision."""
    role: Literal["stable", "canary", "retired"] = "canary"
    """What it is to the rollout now."""
    replicas: int = 0
    """Pods wanted."""
    ready_replicas: int = 0
    """Pods that are ready."""
    weight: Seen = 0
    """Percent of live requests that the route gives it now. What it is to have stands in `weights`."""
    mirror: Seen = 0
    """Percent of live requests that the route copies to it now."""
    message: str = ""
    """Why it is not ready, in the pod's own words."""
    path: str = ""
    """The path under which it can be asked alone, until it is stable."""
    retired_at: Instant | None = None
    """When it lost its last traffic; its pods go after the scale-down delay."""
    restarted_at: Instant | None = None
    """When a person last had its pods replaced."""


class ObservedTraffic(StatusModel):
    """What the gateway served in the last window, counted."""

    canary_percent: float | None = None
    """The canary's share of the requests."""
    stable_requests: int = 0
    """Requests that stable served."""
    canary_requests: int = 0
    """Requests that the canary served."""
    at: Instant | None = None
    """When it was counted."""


class Weights(StatusModel):
    """Where traffic is to go. While pods are missing a revision has another weight; that stands with the revision."""

    stable: Seen = 100
    """Percent of live traffic for stable."""
    canary: Seen = 0
    """Percent of live traffic for the canary."""
    mirror: Seen = 0
    """Percent of live requests that are copied to the canary."""
    mirror_match: Annotated[tuple[RouteMatch, ...], Field(max_length=10)] = ()
    """Which requests are copied to the canary: any of these, or all when empty."""
    control: Seen = 0
    """Percent of live requests that are copied to stable, for the judge, once the canary has them all."""
    before: Seen = 0
    """Percent that the canary had when it began to lose it: it goes in proportion to stable's ready pods."""
    earlier: tuple[Seen, ...] = ()
    """Percents that the canary had before, in this rollout."""
    changed_at: Instant | None = None
    """When the weights were last written."""
    accepted_at: Instant | None = None
    """From when on they count: the mesh took them, and the gateway counted nothing against them since."""
    route_hash: str = ""
    """The hash of the routes that were written then."""
    verified: bool = False
    """The observed share of requests agrees with the weight."""
    observed: ObservedTraffic = ObservedTraffic()
