"""Does the mesh have a route as it stands? It says so in the VirtualService, or it says nothing and is believed. Pure.

Whoever asks by a first route before the mesh has it gets 404, so it is waited for; one that follows another is served
by that one meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.api.mesh import answer
from controller.deployment.observed import Object

SILENCE = timedelta(seconds=2)
"""How long the answer for a first route is waited for where none has been seen yet: the mesh may write none."""
PATIENCE = timedelta(seconds=30)
"""How long where the mesh has answered for another VirtualService: it does write, and may be slow."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the mesh does not count as having a route.

    Args:
        words: for a person.
        rest: after how long it counts without an answer; None: when the mesh says so.
    """

    words: str
    rest: timedelta | None = None


def objection(route: Object, *, patience: timedelta, now: datetime) -> Objection | None:
    """Return why the mesh does not count as having this generation of a route; None when it does.

    Args:
        route: as it stands.
        patience: how long the answer for a first route is waited for.
        now: the present.
    """
    said = answer(route)
    if said is None:
        return _awaited(route, patience, now)
    if not said.current:
        return Objection("the mesh has not taken over the VirtualService yet")
    return None if said.taken else Objection(f"the mesh does not have the VirtualService: {said.words}")


def _awaited(route: Object, patience: timedelta, now: datetime) -> Objection | None:
    """Wait from when it was made: a clock of ours that is behind the server's waits for less, never for longer."""
    made = route["metadata"].get("creationTimestamp")
    rest = datetime.fromisoformat(made) + patience - now if made else timedelta(0)
    if not timedelta(0) < rest <= patience:
        return None
    return Objection("the mesh has not said yet that it has the VirtualService", rest)
