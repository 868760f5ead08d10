"""Rollouts that wait for others: for what they depend on, and for the group with which they are promoted as one."""

from typing import Annotated, Literal

from pydantic import Field

from controller.api.meta import ApiModel, Instant, StatusModel

Level = Literal["Running", "Ready", "Serving", "Agreed"]


class Dependency(ApiModel):
    """Another rollout that must be done first."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """A SeldonRollout of the same namespace."""


class GroupSelector(ApiModel):
    """Which rollouts of the namespace are members."""

    match_labels: Annotated[dict[str, str], Field(min_length=1, max_length=20)]
    """Labels of the SeldonRollouts; every member carries them all, this one too."""


class Group(ApiModel):
    """Rollouts that are promoted, or rolled back, as one. Each member says the same selector."""

    selector: GroupSelector
    wave: Annotated[str, Field(max_length=253)] = ""
    """A name for the present change, such as a date. With it, a member that has another wave yet is waited for.

    Without it, only members whose new revision has begun are waited for.
    """


class GroupStatus(StatusModel):
    """What a member tells the others, and remembers of them."""

    level: Level = "Running"
    """Running: on its way. Ready: all but the promotion is done. Serving: the new revision serves all traffic, stable
    still stands. Agreed: it becomes stable as soon as all have agreed, and only another's rollback changes that."""
    joined_at: Instant | None = None
    """When the running revision came to the group."""
    members: tuple[str, ...] | None = None
    """With whom it is promoted, since all were ready."""
    alone_by: str = ""
    """Who had it promoted without waiting for the others."""
    promoted_at: Instant | None = None
    """When a revision of the group was last made stable here."""
