"""Copies of some requests: what does not match is not copied, and who answers is nobody else for it."""

from typing import TYPE_CHECKING, Any

from controller.kube.resources import VIRTUAL_SERVICE
from simulated.api import Object
from simulated.mesh import MAIN, chosen
from simulated.part import Part

if TYPE_CHECKING:
    from simulated.world import World

SETTLED = 10.0
"""Seconds without trouble after which what is written is what is meant."""


class Copies(Part):
    """Looks at the routes while a mirror has a match."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._seen: tuple[Any, ...] = ()

    def look(self) -> None:
        world, status = self._world, self._world.status()
        weights, live = status.get("weights") or {}, world.api.find(VIRTUAL_SERVICE, world.door())
        asked = [weights.get(each) for each in ("canary", "mirror", "mirrorMatch")]
        now = (asked, live and live["metadata"]["generation"], status.get("phase"))
        before, self._seen = self._seen, now
        if live is None or before != now or not world.calm(world.timeline.now - SETTLED):
            return
        canary = (status.get("canaryRevision") or {}).get("name")
        if canary and weights.get("mirror") and weights.get("mirrorMatch"):
            self._check(live, canary)

    def _check(self, live: Object, canary: str) -> None:
        (main,) = [each for each in live["spec"]["http"] if each.get("name") in MAIN]
        if _copied(main, canary):
            self._world.promises.broken("what does not match is not copied", f"{main['name']} is copied to {canary}")
        for each in chosen(live):
            self._world.reached["matched", "copied" if _copied(each, canary) else "kept", ""] += 1
            if [_given(part) for part in each["route"]] != [_given(part) for part in main["route"]]:
                said = f"{each['name']} is answered by others than {main['name']}"
                self._world.promises.broken("what is copied is answered as all else", said)


def _copied(http: Object, child: str) -> bool:
    return any(each["destination"]["host"].startswith(f"{child}-") for each in http.get("mirrors") or ())


def _given(part: Object) -> tuple[str, float]:
    return part["destination"]["host"], part.get("weight", 100)
