"""A part: something that a rollout has to do with in some stories only."""

from typing import TYPE_CHECKING

from simulated.api import Object

if TYPE_CHECKING:
    from simulated.world import World


class Part:
    """A part of a world, whose methods `do_` are kinds of happenings. What it has nothing to say of stays as it is."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def spec(self) -> Object:
        """What the rollout's spec says of it."""
        return {}

    def begin(self) -> None:
        """What there is of it before the rollout."""

    def begun(self) -> None:
        """What people do once the rollout is applied."""

    def look(self) -> None:
        """Look at the world; the users have sent their requests."""

    def heal(self) -> None:
        """Let its troubles end."""

    def at_rest(self) -> bool:
        """Whether it is in peace."""
        return True

    def judged(self) -> bool:
        """Whether figures of it go on being written, for somebody who is waited for."""
        return False

    def children(self) -> set[str]:
        """The SeldonDeployments of other rollouts that it should have at rest."""
        return set()

    def ended(self) -> None:
        """Look at what is left when everything is at rest."""
